import pytest

from tamis.cli.reading import read_options
from tamis.data.formats import ReadOptions
from tamis.errors import InvalidSetting


def test_nothing_given_is_the_default():
    assert read_options() == ReadOptions()


def test_everything_given_is_passed_on():
    given = read_options(
        text_column="body",
        label_columns=["a", "b"],
        label_separator=["|"],
        binary_columns=False,
        delimiter="tab",
        encoding="cp1252",
        header=False,
        empty_means_none=True,
        split="test",
        config="en",
    )
    assert given == ReadOptions(
        text_column="body",
        label_columns=("a", "b"),
        label_separator="|",
        binary_columns=False,
        delimiter="\t",
        encoding="cp1252",
        header=False,
        empty_means_none=True,
        split="test",
        config="en",
    )


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (["topics=|"], {"topics": "|"}),
        (["topics=|", "2=, "], {"topics": "|", "2": ", "}),
        (["a=b=;"], {"a=b": ";"}),
        (["="], "="),
        (["=>"], "=>"),
        (["a="], "a="),
        ([], None),
    ],
)
def test_a_separator_may_be_that_of_one_column(given, read):
    assert read_options(label_separator=given) == ReadOptions(label_separator=read)


@pytest.mark.parametrize("given", [["|", ";"], ["topics=|", ";"], ["topics=|", "topics=;"], [""]])
def test_separators_that_contradict_each_other_are_refused(given):
    with pytest.raises(InvalidSetting, match="separator"):
        read_options(label_separator=given)


def test_wrong_settings_are_refused():
    with pytest.raises(InvalidSetting):
        read_options(delimiter="ab")
