"""Curves of a training: the best checkpoint, many points thinned, figures that nobody checked."""

from tamis.store.records import CheckpointRecord
from tamis.web.dashboard.curves import MOST_POINTS, Curves, Progress, curves_of, judged, shown_figures, title_of


def rows(*figures: dict[str, float]) -> list[CheckpointRecord]:
    """Checkpoints, the last step first."""
    made = [CheckpointRecord("job", step, step, each) for step, each in enumerate(figures, 1)]
    return made[::-1]


def test_without_checkpoints_there_is_nothing_to_draw() -> None:
    empty = curves_of([])
    assert empty == Curves()
    assert empty.to_json()["best"] is None


def test_the_first_of_the_lowest_losses_is_the_best() -> None:
    found = curves_of(
        rows(
            {"epoch": 0.5, "train_loss": 1.0, "valid_loss": 0.9, "topic.accuracy": 0.5},
            {"epoch": 1.0, "train_loss": 0.5, "valid_loss": 0.4, "topic.accuracy": 0.9, "tokens_per_second": 10.0},
            {"epoch": 1.5, "train_loss": 0.2, "valid_loss": 0.4, "topic.accuracy": 0.95, "tokens_per_second": 20.0},
        )
    )
    assert (found.step, found.epoch, found.valid_loss) == ([1, 2, 3], [0.5, 1.0, 1.5], [0.9, 0.4, 0.4])
    assert found.best is not None
    assert (found.best.place, found.best.step) == (1, 2)
    assert found.best.told == "validation loss 0.4 after 1.0 passes over the data, accuracy 90.0 %"
    assert found.rate == 20.0
    assert found.to_json()["quality"] == [
        {"name": "topic", "figure": "accuracy", "values": [0.5, 0.9, 0.95], "training": None}
    ]


def test_very_many_points_are_thinned_and_keep_the_best_and_the_last() -> None:
    n_rows, best = 10 * MOST_POINTS + 7, 1234
    found = curves_of(rows(*({"valid_loss": 0.1 if n == best else 0.5} for n in range(n_rows))))
    assert len(found.step) <= MOST_POINTS + 2
    assert found.best is not None
    assert found.step[found.best.place] == best + 1
    assert found.step[-1] == n_rows


def test_figures_that_are_none_draw_gaps() -> None:
    found = curves_of(rows({"valid_loss": "x", "epoch": True, "train_loss": None}, {"train_loss": 2}))  # type: ignore[dict-item]
    assert (found.train_loss, found.valid_loss, found.epoch, found.best) == (
        [None, 2.0],
        [None, None],
        [None] * 2,
        None,
    )


def test_several_targets_have_their_mean_and_very_many_only_that() -> None:
    two = {"a.accuracy", "b.micro_f1", "valid_metric", "b.recall"}
    assert judged(two) == ["a.accuracy", "b.micro_f1", "valid_metric"]
    assert judged({"a.accuracy", "valid_metric"}) == ["a.accuracy"]
    assert judged({f"{n}.accuracy" for n in range(77)} | {"valid_metric"}) == ["valid_metric"]
    assert shown_figures({"valid_loss", "epoch", "a.accuracy"}) == ["epoch", "valid_loss", "a.accuracy"]
    assert title_of("b.micro_f1") == "b, micro-F1"
    found = curves_of(rows({"a.accuracy": 0.5, "b.accuracy": 0.7, "valid_metric": 0.6, "valid_loss": 1.0}))
    assert found.best is not None
    assert found.best.told == "validation loss 1, accuracy 50.0 % (a), accuracy 70.0 % (b), mean of all targets 60.0 %"


def test_progress_is_told_in_a_line() -> None:
    said = {"progress": {"stage": "fitting", "share": 0.5, "seconds_left": 75}}
    assert Progress.of(said).told(1234.5) == "Fitting · 50.0 % · 1 min 15 s left · 1,234 tokens a second"
    assert Progress.of({}).told() == "Beginning"
    assert Progress.of({"progress": {"stage": None, "share": "x", "seconds_left": []}}) == Progress()


def test_figures_of_rows_that_are_learnt_from_stand_beside_those_of_the_others() -> None:
    of_both = {"a.accuracy": 0.5, "a.train_accuracy": 0.6, "b.micro_f1": 0.4, "valid_metric": 0.45}
    found = curves_of(rows(of_both, of_both | {"a.train_accuracy": "x", "train_metric": 0.7}))  # type: ignore[arg-type]
    assert found.has_training
    assert [(name, training) for name, _, _, training in found.quality] == [
        ("a", [0.6, None]),
        ("b", None),
        ("", [None, 0.7]),
    ]
    assert shown_figures({*of_both, "train_metric", "b.train_recall"}) == [
        *("a.accuracy", "a.train_accuracy", "b.micro_f1", "valid_metric", "train_metric"),
    ]
    assert title_of("a.train_accuracy") == "a, accuracy, in training"
    assert title_of("train_metric") == "mean of targets, in training"
    assert not curves_of(rows({"a.accuracy": 0.5})).has_training
