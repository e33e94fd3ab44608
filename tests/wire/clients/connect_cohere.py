"""The one line that a user of Cohere's service changes: where the client is pointed at."""

import cohere


def connect(url: str, key: str = "any-key-will-do") -> cohere.Client:
    """Return a client for a server at `url`."""
    return cohere.Client(key, base_url=url)
