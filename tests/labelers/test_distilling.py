"""A model of one's own from an LLM's labels, measured beside it on rows that people labelled."""

import json
from pathlib import Path

import pytest

from tamis.errors import NoRows, NothingToLearn
from tamis.labelers.budget import Price
from tamis.labelers.distilling import STUDENT, TEACHER, Distilled, Student, distil
from tamis.labelers.labelled_rows import read_unlabelled
from tamis.schema import Kind, Target
from tamis.testing import ScriptedLabeler, tiny_base

TARGET = Target.of("topic", Kind.SINGLE_LABEL, ("delivery", "billing"))
DELIVERY, BILLING = ["parcel", "package", "courier", "box", "van"], ["card", "invoice", "bank", "price", "fee"]


def truth_of(text: str) -> str:
    return "delivery" if set(text.split()) & set(DELIVERY) else "billing"


def teacher_says(text: object) -> dict[str, tuple[str, ...]] | None:
    """The truth, but for rows about vans (which it gets wrong) and statements (which it refuses)."""
    said = str(text)
    if "statement" in said:
        return None
    return {"topic": ("billing",) if "van" in said else (truth_of(said),)}


TEXTS = [f"where is my {word} {more}" for word in DELIVERY + BILLING for more in ("now", "please", "statement", "it")]
TESTS = [f"please change the {word}" for word in DELIVERY + BILLING]


@pytest.fixture
def test_file(tmp_path: Path) -> Path:
    path = tmp_path / "test.jsonl"
    path.write_text("".join(json.dumps({"text": text, "labels": {"topic": truth_of(text)}}) + "\n" for text in TESTS))
    return path


def run(tmp_path: Path, test_file: Path, texts: list[str], script=teacher_says) -> tuple[Distilled, ScriptedLabeler]:
    (tmp_path / "texts.txt").write_text("".join(f"{text}\n" for text in texts))
    teacher = ScriptedLabeler([TARGET], script)
    base = tmp_path / "base"
    student = Student(base=str(base if base.exists() else tiny_base(base)), out=tmp_path / "student")
    return distil(
        read_unlabelled(tmp_path / "texts.txt"), str(test_file), teacher, student=student, price=Price(1.0, 10.0)
    ), teacher


def test_teacher_and_student_are_measured_on_the_same_rows(tmp_path: Path, test_file: Path) -> None:
    found, teacher = run(tmp_path, test_file, TEXTS)
    assert found.comparison.n == len(TESTS)
    contenders = found.comparison.targets["topic"].contenders
    assert set(contenders) == {TEACHER, STUDENT}
    assert contenders[TEACHER].figures["accuracy"].value == pytest.approx(0.9)  # the van
    assert found.agreement["topic"].n == len(TESTS)
    teacher_report = next(each for each in found.comparison.contenders if each.name == TEACHER)
    assert teacher_report.speed.seconds < 60
    assert teacher_report.speed.texts_per_second == pytest.approx(len(teacher.asked) / teacher_report.speed.seconds)
    assert found.agreement["topic"].share is not None
    assert found.labelled.outcomes()["refused"] == 10
    assert found.model.manifest.data.train_rows == 30
    assert (tmp_path / "student" / "manifest.json").exists()
    assert len(teacher.asked) == len(set(teacher.asked))  # the test rows are asked about once
    assert teacher.asked[: len(TESTS)] == TESTS  # and first


def test_what_a_million_texts_cost_is_told(tmp_path: Path, test_file: Path) -> None:
    found, _ = run(tmp_path, test_file, TEXTS)
    assert found.teacher_tokens == (100_000_000, 10_000_000)
    assert found.teacher_cost == pytest.approx(200.0)
    assert 0 < found.student_seconds < 100_000
    shown = {
        name: found.comparison.contender(name).cost for name in (TEACHER, STUDENT)
    }  # one figure, wherever it stands
    assert shown[TEACHER].million_texts == found.teacher_cost
    assert shown[STUDENT].million_texts_hours * 3600 == pytest.approx(found.student_seconds, abs=0.01)
    told = json.loads(json.dumps(found.to_json()))
    assert told["million_texts"]["teacher"]["cost"] == pytest.approx(200.0)
    assert told["learnt_from"] == 30


def test_rows_of_the_test_data_are_neither_labelled_nor_learnt_from(tmp_path: Path, test_file: Path) -> None:
    leaking = [TESTS[0], TESTS[1].upper(), f" {TESTS[2]}  "]
    found, teacher = run(tmp_path, test_file, [*TEXTS, *leaking])
    assert found.leaks == 3
    assert not set(leaking[1:]) & set(map(str, teacher.asked))
    assert not set(leaking) & {str(example.input) for example in found.labelled.examples}


def test_rows_out_of_scope_are_learnt_as_such(tmp_path: Path, test_file: Path) -> None:
    target = TARGET.model_copy(update={"oos_label": "other"})
    odd = [
        f"thank you for {word}"
        for word in ["login", "email", "username", "settings", "profile", "password", "it", "my"]
    ]
    (tmp_path / "texts.txt").write_text("".join(f"{text} {n}\n" for text in [*TEXTS, *odd] for n in "ab"))

    def script(text: object) -> dict[str, tuple[str, ...]]:
        return {"topic": ("other",) if str(text).startswith("thank") else (truth_of(str(text)),)}

    student = Student(base=str(tiny_base(tmp_path / "base")))
    rows = read_unlabelled(tmp_path / "texts.txt")
    found = distil(rows, str(test_file), ScriptedLabeler([target], script), student=student)
    learnt = found.model.targets[0]
    assert (learnt.labels, learnt.oos_label) == (("billing", "delivery"), "other")
    assert found.labelled.counts()["topic"]["other"] == 2 * len(odd)


def test_nothing_to_learn_from_is_told(tmp_path: Path, test_file: Path) -> None:
    with pytest.raises(NoRows, match="test data"):
        run(tmp_path, test_file, TESTS)
    with pytest.raises(NothingToLearn, match="30 rows"):
        run(tmp_path, test_file, TEXTS[:30], lambda _: None)
