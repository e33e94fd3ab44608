"""Labelled data in every form it comes in, as a stream of examples and rejected rows."""

from tamis.data.formats.hub import hub_splits
from tamis.data.formats.options import Detected, ReadOptions, Source
from tamis.data.formats.reader import open_source

__all__ = ["Detected", "ReadOptions", "Source", "hub_splits", "open_source"]
