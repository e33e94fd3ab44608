"""One JSON object: strict where JSON is strict, and where Python's reader is not.

Refuses duplicate keys, NaN and Infinity, and nesting beyond a limit. It does not know what the keys mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from tamis.data.formats.values import Value, kind_of
from tamis.data.rows import BadRow

Row = dict[str, Value]

_KEY_END = re.compile(r'"\s*:')
_AT_END = re.compile(r"(?: starting)? at$")  # of the decoder's messages, whose place is told in other words


def _no_constant(name: str) -> Value:
    raise BadRow("not_a_number", f"{name} is not JSON")


_DECODE = json.JSONDecoder(parse_constant=_no_constant).decode


def parse_row(text: str, max_nesting: int) -> Row:
    """Return the object that `text` is.

    Raises:
        BadRow: why it is none.
    """
    row = _parse(text)
    if type(row) is not dict:
        raise BadRow("not_an_object", f"The row is {kind_of(row)}, not an object")
    keys = _keys(row, max_nesting)
    # Every key takes a colon, so as many colons as keys means that none was given twice. Colons in texts make the
    # first count too high and escaped quotes the second; only then is the row read again, slowly.
    if text.count(":") != keys and len(_KEY_END.findall(text)) != keys:
        json.loads(text, object_pairs_hook=_unique)
    return row


def _parse(text: str) -> Value:
    try:
        value: Value = _DECODE(text)
    except json.JSONDecodeError as error:
        place = f"column {error.colno}" if error.lineno == 1 else f"its line {error.lineno}, column {error.colno}"
        raise BadRow("not_json", f"Not JSON, at {place}: {_AT_END.sub('', error.msg)}") from error
    except RecursionError as error:
        raise BadRow("too_deep", "Lists and objects are nested too deep to be read") from error
    except ValueError as error:  # numbers of thousands of digits
        raise BadRow("not_json", "A number has too many digits to be read") from error
    return value


def _keys(value: dict[str, Value] | list[Value], deeper: int) -> int:
    """The number of keys in a value, at all depths."""
    if not deeper:
        raise BadRow("too_deep", "Lists and objects are nested too deep")
    count, inner = 0, value
    if isinstance(value, dict):
        count, inner = len(value), value.values()  # type: ignore[assignment]
    for item in inner:
        if isinstance(item, dict | list):
            count += _keys(item, deeper - 1)
    return count


def _unique(pairs: Iterable[tuple[str, Value]]) -> Row:
    row: Row = {}
    for key, value in pairs:
        if key in row:
            raise BadRow("duplicate_key", f"The key {key[:80]!r} stands twice in one object")
        row[key] = value
    return row
