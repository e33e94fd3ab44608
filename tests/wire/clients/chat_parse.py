"""The product notebook's comparison with LLMs: `client.chat.parse` into a pydantic model with enumerations.

python chat_parse.py URL KEY MODEL TEXT
"""

import json
import sys
from enum import Enum

from connect import connect
from pydantic import BaseModel

Category = Enum("Category", {"dairies": "dairies", "plant_based_foods": "plant-based-foods"})
Country = Enum("Country", {"france": "france", "united_states": "united-states"})


class Food(BaseModel):
    """What the LLM is asked to answer."""

    categories: list[Category]
    country: Country


def main() -> None:
    """Ask once and print what came out."""
    url, key, model, text = sys.argv[1:]
    client = connect(url, key)
    answer = client.chat.parse(
        model=model,
        messages=[{"role": "user", "content": f"Classify the following food product.\n\nProduct Name: {text}"}],
        response_format=Food,
        max_tokens=512,
        temperature=0,
    )
    parsed = answer.choices[0].message.parsed
    print(json.dumps({"categories": [c.value for c in parsed.categories], "country": parsed.country.value}))


if __name__ == "__main__":
    main()
