"""The one line that a user of the hosted service changes: where the client is pointed at."""

try:
    from mistralai import Mistral  # 1.x
except ImportError:
    from mistralai.client import Mistral  # 2.x and later


def connect(url: str, key: str = "any-key-will-do") -> Mistral:
    """Return a client for a server at `url`."""
    return Mistral(api_key=key, server_url=url)
