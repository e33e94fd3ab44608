"""Personal data in texts: e-mail addresses, telephone numbers, card and bank account numbers.

Numbers with check digits count only where these are right (Luhn's for cards, ISO 7064 mod 97 for IBANs), so that order
and tracking numbers are seldom taken for them. Names and addresses are not looked for: patterns cannot tell them.
Whole texts are looked at, in time that grows with their length alone: each pattern is bounded from where it begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

KINDS = {
    "email": "e-mail address",
    "card": "payment card number",
    "iban": "bank account number",
    "phone": "telephone number",
}
"""What is looked for, and what it is called."""

LEAST_DIGITS = 7
"""Digits of the shortest number that is looked for."""

_EMAIL = re.compile(r"(?<![\w.+-])[A-Za-z0-9][\w.+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
_CARD = re.compile(r"(?<![\w.,/-])\d(?:[ -]?\d){12,18}(?![\w/-])")
_PHONE = re.compile(r"(?<![\w.,:/#-])(?<!\d )(?:\+|00)?\(?\d(?:[ ./()-]{0,2}\d){6,14}(?![\w/:%-]| \d)")
_DIGITS = re.compile(r"\d")
_DATE = re.compile(r"(?:\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|\d{4}-\d{2}-\d{2})")
_ISSUERS = re.compile(
    r"(?:4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|35\d{14}|3[0689]\d{12,17}|6(?:011|[245]\d\d)\d{12,15})"
)
"""Beginnings and lengths of the numbers of the large issuers (ISO/IEC 7812)."""


@dataclass(frozen=True, slots=True)
class Found:
    """Personal data in a text: what it is, and from which character to which."""

    kind: str
    start: int
    end: int


def find_personal(text: str) -> list[Found]:
    """Return the personal data of a text, in its order; nothing overlaps."""
    if "@" not in text and sum(1 for _ in islice(_DIGITS.finditer(text), LEAST_DIGITS)) < LEAST_DIGITS:
        return []  # the usual text
    found, taken = list[Found](), bytearray(len(text))
    for each in _candidates(text):
        if taken.find(1, each.start, each.end) < 0:
            taken[each.start : each.end] = b"\1" * (each.end - each.start)
            found.append(each)
    return sorted(found, key=lambda each: each.start)


def masked(text: str) -> str:
    """Return the text with personal data replaced by what it is, in brackets: [email]."""
    parts, at = [], 0
    for each in find_personal(text):
        parts += [text[at : each.start], f"[{each.kind}]"]
        at = each.end
    return "".join([*parts, text[at:]])


def _candidates(text: str) -> Iterator[Found]:
    """The surest kinds first: what they take, others do not."""
    for match in _EMAIL.finditer(text):
        yield Found("email", *match.span())
    for match in _IBAN.finditer(text):
        if is_iban(match[0]):
            yield Found("iban", *match.span())
    for match in _CARD.finditer(text):
        if is_card(match[0]):
            yield Found("card", *match.span())
    for match in _PHONE.finditer(text):
        if _is_phone(match[0]):
            yield Found("phone", *match.span())


def is_card(written: str) -> bool:
    """Whether these are the digits of a payment card: 13 to 19, an issuer's beginning, Luhn's check digit."""
    digits = "".join(_DIGITS.findall(written))
    if not _ISSUERS.fullmatch(digits) or len(set(digits)) < 2:
        return False
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits))]
    return sum(digit - 9 if digit > 9 else digit for digit in doubled) % 10 == 0


def is_iban(written: str) -> bool:
    """Whether this is an IBAN: 15 to 34 characters of which the check digits are right (ISO 13616)."""
    plain = written.replace(" ", "")
    if not 15 <= len(plain) <= 34:
        return False
    turned = plain[4:] + plain[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def _is_phone(written: str) -> bool:
    """A number that is written like a telephone number: international, in brackets, or in groups; no date, no sum."""
    digits = _DIGITS.findall(written)
    if not 7 <= len(digits) <= 15 or _DATE.match(written) or len(set(digits)) < 3:
        return False
    if written.startswith(("+", "00")):
        return len(digits) >= (8 if written.startswith("+") else 10)
    groups = re.findall(r"\d+", written)
    plain = written.startswith("0") and len(groups) == 1 and 9 <= len(digits) <= 12
    return (
        plain
        or (len(groups) >= 3 and len(digits) >= 9 and max(map(len, groups)) <= 5)
        or (")" in written and len(digits) >= 9)
    )
