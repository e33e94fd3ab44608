"""Tamis: a classifier factory. Labelled text in, a measured and calibrated classifier out.

The public names are loaded when they are first used, so that `import tamis` stays quick.
"""

from __future__ import annotations

__version__ = "0.1.0"
