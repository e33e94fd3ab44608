"""A layout is plain data, and says how to read a file."""

import pytest
from pydantic import ValidationError

from tamis.data.formats import ReadOptions
from tamis.data.layout import MOST_COLUMNS, Layout
from tamis.errors import InvalidSetting


def test_it_becomes_options_within_limits():
    layout = Layout(text="Message", labels=("Topic",), separators={"Topic": "|"}, header=True, delimiter="semicolon")
    options = layout.options(ReadOptions(max_line_bytes=99))
    assert (options.text_column, options.label_columns, options.header) == ("Message", ("Topic",), True)
    assert options.label_separator == {"Topic": "|"}
    assert options.delimiter == ";"
    assert options.max_line_bytes == 99
    assert Layout.model_validate(layout.model_dump(mode="json")) == layout


def test_what_is_not_said_is_detected():
    assert Layout().options(ReadOptions()) == ReadOptions()


def test_what_cannot_be_meant_is_refused():
    with pytest.raises(InvalidSetting, match="Unknown encoding"):
        Layout(encoding="klingon").options(ReadOptions())
    with pytest.raises(ValidationError):
        Layout.model_validate({"colour": "red"})
    with pytest.raises(ValidationError):
        Layout(labels=("a",) * (MOST_COLUMNS + 1))
