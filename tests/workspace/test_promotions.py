"""Promotions: what is asked before measuring, what moves, what the history keeps; and the process that measures."""

import json
import time
from pathlib import Path

import pytest

from tamis.errors import AliasMoved, Conflict, InvalidRequest, InvalidSetting, Overloaded, UnknownFile, UnknownModel
from tamis.evaluation.gate import GateReport, Judged
from tamis.ml.registry import register
from tamis.ml.training import train
from tamis.settings import Settings
from tamis.store.records import OperationRecord
from tamis.testing import tiny_base
from tamis.workspace.background import LIVE
from tamis.workspace.promotions import Asked
from tamis.workspace.workspace import Workspace, open_workspace

SAID = {"delivery": "where is my parcel", "payment": "you charge my card"}


def rows(count: int, *, wrong: bool = False) -> bytes:
    topics = list(SAID)
    made = [
        {
            "text": f"{text} {'please ' * (n % 3)}{n}",
            "labels": {"topic": topics[1 - topics.index(topic)] if wrong else topic},
        }
        for n in range(count)
        for topic, text in SAID.items()
    ]
    return "".join(json.dumps(row) + "\n" for row in made).encode()


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model that is right, and one that learnt everything the wrong way round."""
    folder = tmp_path_factory.mktemp("models")
    base = str(tiny_base(folder / "base"))
    for name in ("good", "bad"):
        (folder / f"{name}.jsonl").write_bytes(rows(25, wrong=name == "bad"))
        train(folder / f"{name}.jsonl", base=base, out=folder / name, epochs=4)
    return {name: folder / name for name in ("good", "bad")}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TAMIS_HOME", str(tmp_path / "home"))
    return Settings(max_dry_runs=1)


@pytest.fixture
def workspace(settings: Settings, artifacts: dict[str, Path]):
    """good@1 and bad@1."""
    for name, folder in artifacts.items():
        register(settings.home, name, folder)
    with open_workspace(settings) as opened:
        yield opened


def asked(model: str = "good", *conditions: str, **more: object) -> Asked:
    return Asked(alias="prod", model=model, conditions=conditions or ["accuracy >= current"], data="test.jsonl", **more)  # type: ignore[arg-type]


def says(passed: bool, lost: tuple[str, ...] = ()):
    """Stands for what measures."""

    def measure(candidate, current):
        return GateReport(
            rows=3,
            candidate=f"{candidate.name}@{candidate.version}",
            current=None if current is None else f"{current.name}@{current.version}",
            targets={},
            p50_ms={},
            conditions=(Judged(condition="accuracy >= current", target="topic", value=0.5, needed=0.4, holds=passed),),
            lost=lost,
            passed=passed and not lost,
        )

    return measure


def never(candidate, current):
    raise AssertionError("nothing is to be measured")


def test_what_passes_is_moved_to_and_the_history_says_what_was_measured(workspace: Workspace):
    workspace.aliases.set("prod", "bad")
    outcome = workspace.promotions.promote(asked(by="key-1"), says(True))
    assert (outcome.passed, outcome.moved) == (True, True)
    assert outcome.why == "prod points at good@1 now (before: bad@1)."
    (move, _) = workspace.aliases.history("prod").moves
    assert (move.why, move.moved_by, move.from_name, move.to_name) == ("promote", "key-1", "bad@1", "good@1")
    assert move.figures["data"] == "test.jsonl"
    assert move.figures["conditions"][0]["value"] == 0.5


def test_what_does_not_pass_is_not(workspace: Workspace):
    workspace.aliases.set("prod", "bad")
    outcome = workspace.promotions.promote(asked(), says(False))
    assert (outcome.passed, outcome.moved) == (False, False)
    assert outcome.why == "prod stays at bad@1: 1 of 1 conditions did not hold."
    lost = workspace.promotions.promote(asked(), says(True, lost=("topic/x",)))
    assert lost.why == "prod stays at bad@1: good@1 lacks labels that bad@1 has."
    assert workspace.aliases.history("prod").total == 1


def test_a_dry_run_moves_nothing(workspace: Workspace):
    workspace.aliases.set("prod", "bad")
    outcome = workspace.promotions.promote(asked(dry_run=True), says(True))
    assert (outcome.passed, outcome.moved) == (True, False)
    assert "would be moved to good@1 (before: bad@1)" in outcome.why
    assert workspace.aliases.get("prod").model.name == "bad"


def test_where_it_points_there_already_nothing_is_measured(workspace: Workspace):
    workspace.aliases.set("prod", "good")
    outcome = workspace.promotions.promote(asked(), never)
    assert (outcome.passed, outcome.moved, outcome.report) == (True, False, None)
    assert "points at good@1 already" in outcome.why


def test_a_first_promotion_says_so(workspace: Workspace):
    with pytest.raises(Conflict, match=r"points at no model yet, so that “accuracy >= current”.*--first") as refused:
        workspace.promotions.promote(asked(), never)
    assert '"first": true' in refused.value.for_callers
    assert workspace.promotions.promote(asked("good", "accuracy >= 0.5"), says(True)).moved
    workspace.aliases.drop("prod")
    with pytest.raises(Conflict, match="no model yet"):
        workspace.promotions.promote(asked("bad"), never)
    assert workspace.promotions.promote(asked("bad", first=True), says(True)).why == "prod points at bad@1 now."


def test_an_alias_that_moved_while_it_was_measured_is_left_alone(workspace: Workspace):
    workspace.aliases.set("prod", "bad")

    def meanwhile(candidate, current):
        workspace.aliases.drop("prod")
        workspace.aliases.set("prod", "bad")
        return says(True)(candidate, current)

    with pytest.raises(AliasMoved):
        workspace.promotions.promote(asked(), meanwhile)
    assert workspace.aliases.get("prod").model.name == "bad"


def test_a_candidate_that_is_gone_after_it_was_measured(workspace: Workspace):
    workspace.aliases.set("prod", "bad")

    def meanwhile(candidate, current):
        workspace.models.delete(candidate.id)
        return says(True)(candidate, current)

    with pytest.raises(UnknownModel):
        workspace.promotions.promote(asked(), meanwhile)
    assert workspace.aliases.get("prod").model.name == "bad"


def test_what_is_refused_before_measuring(workspace: Workspace):
    workspace.aliases.set("prod", "bad")
    with pytest.raises(InvalidSetting, match="at character 1"):
        workspace.promotions.promote(asked("good", "better"), never)
    with pytest.raises(InvalidSetting, match="no condition"):
        workspace.promotions.promote(Asked(alias="prod", model="good", conditions=[], data="x"), never)
    with pytest.raises(UnknownModel):
        workspace.promotions.promote(asked("gone"), never)
    with pytest.raises(InvalidSetting, match="name of a model"):
        workspace.promotions.promote(Asked(alias="bad", model="good", conditions=["ece <= 1"], data="x"), never)
    workspace.models.archive("good")
    with pytest.raises(UnknownModel, match="archived"):
        workspace.promotions.promote(asked(), never)


class TestByFile:
    def test_measured_in_a_process_of_its_own(self, workspace: Workspace, upload):
        workspace.aliases.set("prod", "bad")
        file = upload(rows(20), "test.jsonl")
        refused = workspace.promotions.promote_by_file(
            asked("good", "accuracy >= current and ece <= 0 surely"), file.id
        )
        assert not refused.moved
        assert [each.holds for each in refused.report.conditions] == [True, False]
        done = workspace.promotions.promote_by_file(asked("good", "accuracy > current surely"), file.id)
        assert done.moved
        assert done.report.targets["topic"].figures[0].candidate == 1
        assert done.report.targets["topic"].figures[0].current == 0
        assert workspace.aliases.history("prod").moves[0].figures["data"] == "test.jsonl"
        assert not list((workspace.settings.home / "work").glob("promote-*"))
        with pytest.raises(InvalidSetting, match="no target 'tone'"):
            workspace.promotions.promote_by_file(asked("bad", "accuracy of tone >= 0"), file.id)

    def test_files_and_shares_that_cannot_be(self, workspace: Workspace, upload):
        workspace.aliases.set("prod", "bad")
        with pytest.raises(UnknownFile):
            workspace.promotions.promote_by_file(asked(), "gone")
        with pytest.raises(InvalidRequest, match="max_bad_share"):
            workspace.promotions.promote_by_file(asked(), upload(rows(2)).id, 0.9)

    def test_only_so_many_at_a_time(self, workspace: Workspace, upload):
        workspace.aliases.set("prod", "bad")
        file = upload(rows(2)).id
        with workspace.promotions._measuring, pytest.raises(Overloaded, match="max_dry_runs"):
            workspace.promotions.promote_by_file(asked(), file)

    def test_in_the_background_it_moves_though_nobody_looks(self, workspace: Workspace, upload):
        workspace.aliases.set("prod", "bad")
        file = upload(rows(20), "test.jsonl")
        assert workspace.promotions.begin(asked("bad", by="k"), file.id).why.endswith("nothing moved.")
        begun = workspace.promotions.begin(asked("good", "accuracy > current surely", by="k"), file.id)
        assert (begun.kind, begun.created_by) == ("promote", "k")
        while workspace.aliases.get("prod").model.name != "good":
            assert workspace.store.operations.find(begun.id).status in ("QUEUED", "RUNNING", "SUCCESS")
            time.sleep(0.05)
        done = ended(workspace, begun.id)
        assert done.summary == {"passed": True, "moved": True, "why": "prod points at good@1 now (before: bad@1)."}
        assert workspace.promotions.report(done).rows == 40
        last = workspace.aliases.history("prod").moves[0]
        assert (last.figures["data"], last.moved_by) == ("test.jsonl", "k")

    def test_one_that_others_moved_meanwhile_is_left(self, workspace: Workspace, upload, monkeypatch):
        workspace.aliases.set("prod", "bad")
        monkeypatch.setattr("tamis.workspace.operations.run_aside", self.moving(workspace))
        begun = workspace.promotions.begin(asked("good", "accuracy > current surely"), upload(rows(2)).id)
        failed = ended(workspace, begun.id)
        assert (failed.status, failed.error_code) == ("FAILED", "alias_moved")
        assert not list(workspace.store.objects.list(f"operations/{begun.id}"))

    @staticmethod
    def moving(workspace: Workspace):
        def run(kind: str, told: dict[str, str], *_: object) -> dict[str, object]:
            workspace.aliases.drop("prod")
            workspace.aliases.set("prod", "bad")
            record = workspace.store.operations.find(told["id"])
            report = says(True)(workspace.models.find("good"), workspace.models.find("bad"))
            with workspace.store.objects.writer(f"operations/{record.id}/result") as writer:
                writer.write(report.model_dump_json().encode())
                n_bytes = writer.commit().bytes
            return {"result_key": f"operations/{record.id}/result", "bytes": n_bytes, "summary": {}}

        return run


def ended(workspace: Workspace, id: str) -> OperationRecord:
    while (record := workspace.operations.get(id)).status in LIVE:
        time.sleep(0.05)
    return record
