import pytest

from tamis.cli.reading import Reading
from tamis.data.formats import ReadOptions
from tamis.errors import InvalidSetting


def test_nothing_given_is_the_default():
    assert Reading().options() == ReadOptions()


def test_everything_given_is_passed_on():
    given = Reading(
        text_column="body",
        label_column=["a", "b"],
        label_separator=["|"],
        binary_columns=False,
        delimiter="tab",
        encoding="cp1252",
        header=False,
        empty_means_none=True,
        split="test",
        config="en",
    ).options()
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
    assert Reading(label_separator=given).options() == ReadOptions(label_separator=read)


@pytest.mark.parametrize("given", [["|", ";"], ["topics=|", ";"], ["topics=|", "topics=;"], [""]])
def test_separators_that_contradict_each_other_are_refused(given):
    with pytest.raises(InvalidSetting, match="separator"):
        Reading(label_separator=given).options()


def test_wrong_settings_are_refused():
    with pytest.raises(InvalidSetting):
        Reading(delimiter="ab").options()
