"""The one line that a user of Cohere's service changes: where the client is pointed at."""

from typing import Any

import cohere


class Connected:
    """The client, with its second version as `second` and its asynchronous one as `asynchronous`."""

    def __init__(self, url: str, key: str) -> None:
        self._first = cohere.Client(key, base_url=url)
        self.second = cohere.ClientV2(key, base_url=url)
        self.asynchronous = cohere.AsyncClient(key, base_url=url)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._first, name)

    def wait_for(self, dataset_id: str) -> Any:
        """Return a dataset once it has been looked at; raise where it failed, as `wait` does."""
        return self._first.wait(self._first.datasets.get(dataset_id))

    def check(self) -> Any:
        """Call what `check_api_key` of the client itself would not."""
        return cohere.client.BaseCohere.check_api_key(self._first)


def connect(url: str, key: str = "any-key-will-do") -> Connected:
    """Return a client for a server at `url`."""
    return Connected(url, key)
