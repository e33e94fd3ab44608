"""The one line that a user of OpenAI's service changes: where the client is pointed at."""

import openai


def connect(url: str, key: str = "any-key-will-do") -> openai.OpenAI:
    """Return a client for a server at `url`."""
    return openai.OpenAI(api_key=key, base_url=f"{url}/v1")
