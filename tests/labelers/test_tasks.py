"""What is to be labelled, as people write it."""

import json
from pathlib import Path

import pytest

from tamis.errors import InvalidSetting, UnreadableFile
from tamis.labelers.tasks import read_task, task_of_names
from tamis.schema import Kind


def test_names_are_labels_of_one_target() -> None:
    target = task_of_names(["a", " b "], "intent").targets[0]
    assert (target.name, target.kind, target.labels) == ("intent", Kind.SINGLE_LABEL, ("a", "b"))
    assert task_of_names(["a"], several=True).targets[0].kind is Kind.MULTI_LABEL


@pytest.mark.parametrize("names", [[], ["a"], ["a", "a"], ["a", ""], ["a", " a"]])
def test_names_that_are_no_choice_are_refused(names: list[str]) -> None:
    with pytest.raises(InvalidSetting):
        task_of_names(names)


def test_a_file_declares_targets(tmp_path: Path) -> None:
    declared = {
        "plain": ["a", "b"],
        "meant": {"labels": {"x": "an x", "y": ""}, "oos_label": "neither"},
        "many": {"labels": ["safe", "rude"], "kind": "multi_label", "none_labels": []},
    }
    (tmp_path / "targets.json").write_text(json.dumps(declared))
    task = read_task(tmp_path / "targets.json")
    assert [target.name for target in task.targets] == ["plain", "meant", "many"]
    assert task.targets[1].oos_label == "neither"
    assert task.targets[2].none_labels == ()
    assert task.descriptions == {"meant": {"x": "an x", "y": ""}}


def test_the_same_in_toml(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_text('plain = ["a", "b"]\n[many]\nkind = "multi_label"\n[many.labels]\nx = "an x"\n')
    task = read_task(tmp_path / "t.toml")
    assert [(target.name, target.labels) for target in task.targets] == [("plain", ("a", "b")), ("many", ("x",))]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "{" * 100_000,
        '{"a": "b"}',
        '{"a": ["x"]}',
        '{"a": ["x", "x"]}',
        '{"a": ["x", 3]}',
        '{"": ["x", "y"]}',
        '{"a": {"labels": ["x", "y"], "kind": "other"}}',
        '{"a": {"labels": ["x", "y"], "oos_label": "x"}}',
        '{"a": {"labels": ["x", "y"], "kind": "multi_label", "oos_label": "z"}}',
        '{"a": {"labels": ["x", "y"], "more": 1}}',
        '{"a": {"labels": {"x": 1, "y": 2}}}',
    ],
)
def test_what_declares_nothing_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(content)
    with pytest.raises(InvalidSetting):
        read_task(tmp_path / "t.json")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="targets"):
        read_task(tmp_path / "nothing.json")
