"""The three published notebooks, cell by cell, and the SDK's async example; only the URL is changed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from wire import training_rows
from wire.client_process import Json, run_program
from wire.sdk_environments import MISTRAL_WITH_JOBS, Sdk
from wire.server_process import Server
from wire.training_rows import Rows, as_list

TOKENS_A_STEP = 65536
WANDB_KEY = "0123456789abcdef0123456789abcdef01234567"
THRESHOLDS = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9]  # the product notebook's


@dataclass(frozen=True)
class Notebook:
    """What one of the published notebooks does differently."""

    name: str
    rows: Callable[[], Rows]
    kinds: dict[str, str]
    steps: int
    rate: float
    project: str | None


NOTEBOOKS = {
    "intent": Notebook("intent", training_rows.intents, {"intent": "single_class"}, 100, 0.00004, "intent-classifier"),
    "moderation": Notebook("moderation", training_rows.moderation, {"moderation": "multi_class"}, 200, 0.00005, None),
    "product": Notebook(
        "product",
        training_rows.products,
        {"food": "multi_class", "country_label": "single_class"},
        250,
        0.00007,
        "product-classifier",
    ),
}


@dataclass(frozen=True)
class Run:
    """A notebook that was run, and what its cells had."""

    notebook: Notebook
    rows: Rows
    had: Json


def options_for(notebook: Notebook, rows: Rows, folder: Path) -> Path:
    """Write the rows and the options of a client program."""
    options = rows.write(folder) | {"steps": notebook.steps, "rate": notebook.rate}
    path = folder / "options.json"
    path.write_text(json.dumps(options | {"project": notebook.project, "key": WANDB_KEY}), encoding="utf-8")
    return path


@pytest.fixture(scope="module", params=NOTEBOOKS)
def notebook(request: pytest.FixtureRequest) -> Notebook:
    """One of the published notebooks."""
    return NOTEBOOKS[request.param]


@pytest.fixture(scope="module", params=MISTRAL_WITH_JOBS, ids=str)
def run(request: pytest.FixtureRequest, notebook: Notebook, server: Server, once: Callable[..., Json]) -> Run:
    """A notebook, run to its end with one release of the SDK, whichever worker is the first to want it."""
    rows = notebook.rows().shuffled(str(request.param))

    def to_its_end(folder: Path) -> Json:
        return run_program(request.param, "notebook.py", server.url, options_for(notebook, rows, folder))

    return Run(notebook, rows, once(f"{notebook.name}-{request.param}", to_its_end))


class TestNotebook:
    """Every notebook with every release."""

    def test_the_files_are_uploaded(self, run: Run) -> None:
        uploaded = run.had["training"]
        assert (uploaded["object"], uploaded["filename"], uploaded["purpose"]) == ("file", "train.jsonl", "fine-tune")
        assert (uploaded["source"], uploaded["sample_type"]) == ("upload", "instruct")
        assert uploaded["num_lines"] == len(run.rows.train)
        assert run.had["validation"]["num_lines"] == len(run.rows.validation)

    def test_the_created_job_shows_what_was_asked(self, run: Run) -> None:
        job = run.had["created"]
        assert (job["object"], job["job_type"], job["status"]) == ("job", "classifier", "QUEUED")
        assert (job["model"], job["auto_start"], job["fine_tuned_model"]) == ("ministral-3b-latest", False, None)
        assert job["training_files"] == [run.had["training"]["id"]]
        assert job["validation_files"] == [run.had["validation"]["id"]]
        assert job["hyperparameters"]["training_steps"] == run.notebook.steps
        assert job["hyperparameters"]["learning_rate"] == run.notebook.rate
        assert job["metadata"]["cost"] == 0.0
        assert job["metadata"]["train_tokens"] is None

    def test_the_tracker_is_named_and_its_key_is_not(self, run: Run) -> None:
        found = run.had["created"]["integrations"] or []
        assert [tracker["project"] for tracker in found] == ([run.notebook.project] if run.notebook.project else [])
        assert WANDB_KEY not in json.dumps(run.had)

    def test_the_validated_job_has_the_notebooks_arithmetic(self, run: Run) -> None:
        job, metadata = run.had["validated"], run.had["validated"]["metadata"]
        assert job["status"] == "VALIDATED"
        assert metadata["train_tokens_per_step"] == TOKENS_A_STEP
        assert metadata["train_tokens"] == run.notebook.steps * TOKENS_A_STEP
        assert metadata["data_tokens"] > len(run.rows.train)
        assert job["hyperparameters"]["epochs"] == pytest.approx(
            metadata["train_tokens"] / metadata["data_tokens"], rel=1e-3
        )
        assert metadata["expected_duration_seconds"] > 0
        assert (metadata["cost"], metadata["cost_currency"]) == (0.0, "EUR")

    def test_targets_and_labels_are_those_of_the_data(self, run: Run) -> None:
        found = {target["name"]: target for target in run.had["validated"]["classifier_targets"]}
        assert list(found) == list(run.notebook.kinds)
        assert {name: target["loss_function"] for name, target in found.items()} == run.notebook.kinds
        assert {target["weight"] for target in found.values()} == {1.0}
        for name, target in found.items():
            assert len(target["labels"]) == len(set(target["labels"]))
            assert set(target["labels"]) == run.rows.labels(name)

    def test_no_status_is_seen_that_would_end_a_loop_early(self, run: Run) -> None:
        """The loops of the notebooks: until VALIDATED, then while QUEUED or RUNNING."""
        changes = [one for one, before in zip(run.had["seen"], [None, *run.had["seen"]], strict=False) if one != before]
        start = changes.index("VALIDATED") + 1
        assert set(changes[:start]) <= {"QUEUED", "VALIDATING", "VALIDATED"}
        assert changes[start:-1] in (["QUEUED", "RUNNING"], ["QUEUED"], ["RUNNING"])
        assert changes[-1] == "SUCCESS"
        assert run.had["started"]["status"] in ("QUEUED", "RUNNING")

    def test_the_finished_job(self, run: Run) -> None:
        job = run.had["finished"]
        assert job["status"] == "SUCCESS"
        assert job["fine_tuned_model"].startswith("ft:classifier:ministral-3b-latest:")
        assert job["fine_tuned_model"].endswith(f":{job['id'][:8]}")
        assert job["trained_tokens"] > 0
        assert isinstance(job["metadata"]["estimated_start_time"], int | None)

    def test_events_tell_each_change_once_oldest_first(self, run: Run) -> None:
        events = [event for event in run.had["finished"]["events"] if event["name"] == "status-updated"]
        said = [event["data"]["status"] for event in events]
        assert said == ["QUEUED", "VALIDATING", "VALIDATED", "RUNNING", "SUCCESS"]
        assert [event["created_at"] for event in events] == sorted(event["created_at"] for event in events)

    def test_checkpoints_make_a_curve(self, run: Run) -> None:
        checkpoints = run.had["finished"]["checkpoints"]
        steps = [checkpoint["step_number"] for checkpoint in checkpoints]
        assert steps == sorted(set(steps), reverse=True)
        assert len(steps) >= 20
        assert steps[0] <= run.notebook.steps
        first, last = checkpoints[-1]["metrics"], checkpoints[0]["metrics"]
        assert last["train_loss"] < first["train_loss"]
        assert last["valid_loss"] > 0
        assert 0 < last["valid_mean_token_accuracy"] <= 1

    def test_what_the_loop_plotted_is_part_of_that_curve(self, run: Run) -> None:
        whole = {str(c["step_number"]): c["metrics"]["train_loss"] for c in run.had["finished"]["checkpoints"]}
        plotted = run.had["curve"]
        assert plotted["train"] == whole  # the last turn of the loop sees the finished job
        assert set(plotted["valid"]) <= set(whole)
        assert plotted["growing"] == sorted(plotted["growing"])

    def test_one_answer_as_it_is_printed(self, run: Run) -> None:
        answer = run.had["first"]
        assert answer["model"] == run.had["finished"]["fine_tuned_model"]
        assert len(answer["id"]) == 32
        (result,) = answer["results"]
        assert list(result) == list(run.notebook.kinds)
        for target in run.had["finished"]["classifier_targets"]:
            assert list(result[target["name"]]["scores"]) == target["labels"]

    def test_scores_of_one_label_sum_to_one_and_those_of_several_do_not(self, run: Run) -> None:
        for target, kind in run.notebook.kinds.items():
            totals = [sum(scores[target].values()) for scores in run.had["scores"]]
            if kind == "single_class":
                assert totals == pytest.approx([1.0] * len(totals), abs=1e-4)
            else:
                assert max(abs(total - 1) for total in totals) > 0.01

    def test_a_score_does_not_depend_on_the_other_inputs(self, run: Run) -> None:
        for alone, beside in zip(run.had["scores"], run.had["together"], strict=True):
            for target, scores in alone.items():
                assert beside[target]["scores"] == pytest.approx(scores, abs=1e-5)

    def test_the_model_has_learnt(self, run: Run) -> None:
        """On held-out rows: the best label, or the labels over the threshold that the product notebook searches."""
        for target, kind in run.notebook.kinds.items():
            truth = [as_list(row["labels"][target]) for row in run.rows.test]
            scores = [found[target] for found in run.had["scores"]]
            if kind == "single_class":
                hits = [max(found, key=found.get) in labels for found, labels in zip(scores, truth, strict=True)]
                chance = max(sum(label in labels for labels in truth) for label in run.rows.labels(target))
                assert sum(hits) > 1.2 * chance
            else:
                threshold, quality = best_threshold(scores, truth)
                assert quality > 0.5
                assert THRESHOLDS[0] <= threshold <= THRESHOLDS[-1]


def best_threshold(scores: list[dict[str, float]], truth: list[list[str]]) -> tuple[float, float]:
    """Return the notebook's threshold with the best F1 over all labels, and that F1."""

    def quality(threshold: float) -> float:
        given = [{label for label, score in found.items() if score > threshold} for found in scores]
        hits = sum(len(labels & set(true)) for labels, true in zip(given, truth, strict=True))
        return 2 * hits / max(1, sum(map(len, given)) + sum(map(len, truth)))

    best = max(THRESHOLDS, key=quality)
    return best, quality(best)


@pytest.mark.parametrize("sdk", MISTRAL_WITH_JOBS, ids=str)
def test_the_async_example(sdk: Sdk, server: Server, tmp_path: Path) -> None:
    notebook = NOTEBOOKS["intent"]
    rows = notebook.rows().shuffled(f"async {sdk}")
    had = run_program(sdk, "notebook_async.py", server.url, options_for(notebook, rows, tmp_path))
    assert had["finished"]["status"] == "SUCCESS"
    assert had["finished"]["fine_tuned_model"]
    best = [max(found["intent"], key=found["intent"].get) for found in had["scores"]]
    hits = sum(label == row["labels"]["intent"] for label, row in zip(best, rows.test, strict=True))
    assert hits > len(rows.test) / 2  # answers to calls at the same time are not mixed up
    assert all(math.isclose(sum(found["intent"].values()), 1, abs_tol=1e-4) for found in had["scores"])
