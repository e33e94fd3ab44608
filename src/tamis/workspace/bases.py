"""Base models for requests: each loaded once however many ask, and waited for no longer than a request may take.

Some are fetched from afar first, which takes as long as it takes: it goes on when those who asked have been told so.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future

from tamis.errors import Overloaded
from tamis.ml.base_models import Base, load_base

RETRY_S = 30


class Bases:
    """Base models that are on their way. All methods may be called from any thread."""

    def __init__(self, longest_s: float) -> None:
        """Take how long to wait for one."""
        self._longest_s = longest_s
        self._lock = threading.Lock()
        self._coming: dict[str, Future[Base]] = {}

    def load(self, name: str) -> Base:
        """Return a base model, which is not kept here.

        Raises:
            Overloaded: it is not here yet.
            UnknownBaseModel: there is none of this name, or it cannot be fetched.
        """
        with self._lock:
            coming = self._coming.get(name)
            if coming is None:
                coming = self._coming[name] = Future()
                threading.Thread(target=_load, args=(name, coming), name=f"load {name}", daemon=True).start()
        try:
            return coming.result(self._longest_s)
        except TimeoutError:
            if coming.done():  # it is what loading it came to
                raise
            raise Overloaded(
                f"The base model {name} is still being fetched: try again in a minute. It is kept on the server then.",
                retry_after=RETRY_S,
            ) from None
        finally:
            with self._lock:
                if coming.done() and self._coming.get(name) is coming:
                    del self._coming[name]


def _load(name: str, coming: Future[Base]) -> None:
    try:
        coming.set_result(load_base(name))
    except BaseException as error:  # noqa: BLE001  whatever it is, it is for those who wait
        coming.set_exception(error)
