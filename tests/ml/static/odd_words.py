"""Texts of few words in many spellings, by which quick ways to the logits are held against the batch."""

ODD_WORDS = [
    "parcel",
    "card",
    "refund",
    "where",
    "WHERE",
    "is",
    "my",
    "?",
    "now.",
    "é",
    "包裹",
    "👋🏽",
    "parcel,card",
    "\n",
]
