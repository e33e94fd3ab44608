import time
from dataclasses import replace

import numpy as np
import pytest

from tamis.errors import Cancelled, InvalidSetting
from tamis.ml.encoder import fits
from tamis.ml.encoder.fits import Fits
from tamis.ml.encoder.trainer import EncoderTrainer, held_out
from tamis.ml.encoder.watching import Watcher
from tamis.ml.holding_out import NOTHING_TO_VALIDATE
from tamis.ml.progress import StopCheck
from tamis.ml.restart import State
from tamis.ml.schedule import EVALUATIONS, MOST_TIMES, hyperparameters
from tamis.ml.trained import Attended, Task
from tamis.schema import Message

ENCODERS = ("bert", "roberta", "electra", "distilbert", "modernbert", "deberta-v2", "albert")
DECODERS = ("llama", "mistral", "qwen2")
FAST = {"learning_rate": 3e-4}


@pytest.fixture(scope="module")
def train(base_of, dataset_of):
    """A function: train a tiny base model on rows."""

    def run(rows, validation=None, *, kind="bert", attended=None, weights=None, target_weights=None, **chosen):
        data = dataset_of(rows, weights=weights)
        watched = dataset_of(validation, data.targets) if validation else None
        task = Task(data, watched, hyperparameters(**chosen), target_weights or {})
        return EncoderTrainer(base_of(kind), task, attended or Attended()).train()

    return run


@pytest.fixture(scope="module")
def single(rows_of):
    return lambda n, seed=0: [(text, {"t": label}) for text, label in rows_of(n, seed=seed)]


def state(finished):
    return {name: weight.numpy().tobytes() for name, weight in finished.network.state_dict().items()}


@pytest.mark.parametrize("kind", [*ENCODERS, *DECODERS])
def test_every_architecture_learns(train, single, kind):
    finished = train(single(60), single(51, seed=1), kind=kind, epochs=12, **FAST)
    assert (finished.held.said["logits"].argmax(1) == finished.held.data.truth["t"].codes).mean() > 0.6
    assert finished.network.config.num_labels == 3
    assert not finished.network.training


def test_few_rows_are_cross_validated(train, single):
    heard = []
    finished = train(single(40), epochs=6, attended=Attended(heard.append), **FAST)
    stages = list(dict.fromkeys(each.stage for each in heard if each.fold))
    assert stages == [f"fine-tuning, fold {number} of 5" for number in range(1, 6)]
    assert finished.held.rows == "5-fold cross-validation"
    assert len(finished.held.said["logits"]) == 40
    assert len(finished.checkpoints) >= EVALUATIONS
    assert all(
        row["step"] < after["step"] for row, after in zip(finished.checkpoints, finished.checkpoints[1:], strict=False)
    )
    assert {"valid_loss", "t.accuracy", "train_loss", "learning_rate"} <= finished.checkpoints[0].keys()


def test_of_many_rows_a_share_is_held_out_once(train, single):
    finished = train(single(1_000), epochs=2, **FAST)
    assert finished.checkpoints[0]["train_metric"] < 0.7 < finished.checkpoints[-1]["t.train_accuracy"]
    assert finished.held.rows == "201 of the training rows, held out"
    assert (finished.held.said["logits"].argmax(1) == finished.held.data.truth["t"].codes).mean() > 0.9


@pytest.fixture
def planned(monkeypatch):
    """The plans of fits with nobody watching."""
    plans, unwatched = [], Fits._unwatched

    def run(self, part, plan, place, begin):
        plans.append((place.name, plan.n_rows, plan.updates))
        return unwatched(self, part, plan, place, begin)

    monkeypatch.setattr(Fits, "_unwatched", run)
    return plans


@pytest.mark.parametrize(
    ("allowed", "updates"), [({}, 100), ({"epochs": 4}, 8 * 4), ({"epochs": 100}, MOST_TIMES * 50)]
)
def test_the_last_fit_is_as_long_as_is_usual_and_its_rate_falls(train, single, planned, monkeypatch, allowed, updates):
    """Others were best early, while the rate was still high: of 60 rows 100 updates are usual."""
    watched = Fits.watched

    def early(self, train, held, place, later=None):
        made = watched(self, train, held, place, later)
        return replace(made, outcome=replace(made.outcome, best_update=made.outcome.plan.updates // 2))

    monkeypatch.setattr(Fits, "watched", early)
    train(single(60), **allowed, **FAST)
    assert planned == [("all", 60, updates)]


@pytest.mark.parametrize(("allowed", "first", "last"), [({}, 100, 100), ({"epochs": 100}, 100, 299)])
def test_fits_that_are_watched_are_not_stopped_before_the_usual_end(train, single, monkeypatch, allowed, first, last):
    """The loss of others is lowest at once, and rises: what is beyond the usual updates is left out."""
    losses = iter(range(1, 10_000))
    monkeypatch.setattr(Watcher, "__call__", lambda *_: {"valid_loss": float(next(losses))})
    finished = train(single(60), single(60, seed=1), **allowed, **FAST)
    assert first <= finished.checkpoints[-1]["update"] <= last
    early = [remark for remark in finished.remarks if "Stopped early" in remark]
    assert len(early) == (last > first)


def test_a_fit_that_rehearses_the_last_one_is_taken_from_its_end(train, single, monkeypatch):
    """The loss of others is lowest at once: a validation set has that state kept, folds have not."""
    outcomes, watched = [], Fits.watched

    def told(self, *given):
        made = watched(self, *given)
        outcomes.append(made.outcome.best_update)
        return made

    monkeypatch.setattr(Fits, "watched", told)
    losses = iter(range(1, 10_000))
    monkeypatch.setattr(Watcher, "__call__", lambda *_: {"valid_loss": float(next(losses))})
    train(single(60), single(60, seed=1), **FAST)
    assert outcomes.pop() < 10
    train(single(60), **FAST)
    assert outcomes == [100] * 5
    outcomes.clear()
    train(single(60), single(12, seed=1), **FAST)
    assert all(best < 10 for best in outcomes), "no last fit follows those that calibrate beside a small validation set"
    assert len(outcomes) == 6


@pytest.mark.parametrize(("enough", "rows"), [(3_000, [("all", 1_000)]), (1_000, [])])
def test_many_rows_are_gone_on_with_and_fewer_begun_again(train, single, planned, monkeypatch, enough, rows):
    monkeypatch.setattr(fits, "WORTH_BEGINNING_AGAIN", enough)
    monkeypatch.setattr(fits, "MORE_EPOCHS", 0)
    train(single(1_000), epochs=1, **FAST)
    assert [(name, n) for name, n, _ in planned] == rows


def test_nothing_is_held_out_of_a_handful(train, single):
    finished = train(single(6), epochs=2)
    assert finished.held is None
    assert finished.checkpoints


def test_a_small_validation_set_chooses_and_training_rows_calibrate(train, single):
    finished = train(single(60), single(12, seed=1), epochs=2)
    out = held_out(finished.held)
    assert out.rows == "5-fold cross-validation; the validation data is small"
    assert len(out.logits["t"]) == len(out.truth["t"]) == 60
    assert any("fewer than 50 rows" in remark for remark in finished.remarks)


def test_validation_without_a_known_label_is_left_aside(train, single):
    finished = train(single(12), [("a", {"t": "unheard of"})], epochs=1)
    assert NOTHING_TO_VALIDATE in finished.remarks


def test_several_targets_with_unknown_labels(train, rows_of):
    rows = []
    for place, (text, label) in enumerate(rows_of(80)):
        labels = {"t": label} if place % 4 else {}
        rows.append((text, labels | {"m": [label, *(["first"] if place % 2 else [])]}))
    finished = train(rows, epochs=8, **FAST)
    out = held_out(finished.held)
    assert out.logits["t"].shape == (80, len(finished.held.data.target("t").labels))
    assert out.logits["m"].shape == (80, 4)
    known = out.truth["t"].known
    assert 40 < known.sum() < 80
    assert (out.logits["t"].argmax(1) == out.truth["t"].codes)[known].mean() > 0.6
    assert {"t.accuracy", "m.micro_f1", "valid_metric"} <= finished.checkpoints[-1].keys()
    assert {"t.train_accuracy", "m.train_micro_f1", "train_metric"} <= finished.checkpoints[-1].keys()


def test_weights_of_rows_and_targets_count(train, single):
    rows = [("same text", {"t": label}) for label in ("a", "b")] * 20
    heavy = train(rows, rows[:10], weights=[5.0 if labels["t"] == "a" else 1.0 for _, labels in rows], epochs=6, **FAST)
    assert (heavy.held.said["logits"].argmax(1) == 0).all()
    both = [(text, {"t": labels["t"], "u": labels["t"]}) for text, labels in single(60)]
    finished = train(both, both[:50], target_weights={"t": 1.0, "u": 0.0}, epochs=8, **FAST)
    out = held_out(finished.held)
    accuracies = [(out.logits[name].argmax(1) == out.truth[name].codes).mean() for name in ("t", "u")]
    assert accuracies[0] > accuracies[1] + 0.2


def test_chats_with_and_without_a_template(base_of, dataset_of, rows_of):
    rows = [((Message("user", text), Message("assistant", "ok")), {"t": label}) for text, label in rows_of(24)]
    for template in (False, True):
        base = base_of("qwen2", template=template)
        finished = EncoderTrainer(base, Task(dataset_of(rows), None, hyperparameters(epochs=1)), Attended()).train()
        assert finished.reading.template.is_usable == template
    odd = [
        ((Message("refuse", text),), labels) for (_, labels), text in zip(rows, "abcdefghijklmnopqrstuvwx", strict=True)
    ]
    finished = EncoderTrainer(base, Task(dataset_of(odd), None, hyperparameters(epochs=1)), Attended()).train()
    assert any("refused 24 of the training chats" in remark for remark in finished.remarks)


def test_the_same_run_gives_the_same_bytes_and_another_seed_others(train, single):
    rows = single(20)
    first, again, other = (train(rows, epochs=1, seed=seed) for seed in (3, 3, 4))
    assert state(first) == state(again)
    assert first.checkpoints == again.checkpoints
    assert state(first) != state(other)


def test_frozen_layers_do_not_change_and_others_do(train, single, base_folder):
    from safetensors.numpy import load_file

    finished = train(single(20), epochs=2, encoder={"freeze_layers": 2}, **FAST)
    before = load_file(base_folder("bert") / "model.safetensors")
    after = {name.removeprefix("bert."): weight.numpy() for name, weight in finished.network.state_dict().items()}
    same = {name for name, weight in before.items() if np.array_equal(weight, after[name])}
    assert all(name.startswith(("embeddings.", "encoder.layer.0.", "encoder.layer.1.")) for name in same)
    assert "encoder.layer.1.output.dense.weight" in same
    assert "encoder.layer.2.output.dense.weight" not in same
    assert finished.facts["frozen_layers"] == 2


def test_what_is_recalled_is_what_the_frozen_layers_say(train, single, monkeypatch):
    from tamis.ml.encoder import frozen

    rows, chosen = single(30), {"epochs": 3, "encoder": {"freeze_layers": 2}, **FAST}
    remember, asked = frozen.FrozenLayers.remember, []

    def by_the_layers(layers, *given):
        asked.append(any(isinstance(module, frozen._Layer) for module in layers._model.modules()))
        return remember(layers, *given)

    monkeypatch.setattr(frozen.FrozenLayers, "remember", by_the_layers)
    recalled = train(rows, rows[:15], **chosen)
    assert asked == [False, False], "training and validation rows, while the layers are in their place"
    monkeypatch.setattr(frozen, "MOST_BYTES", 0)
    computed = train(rows, rows[:15], **chosen)
    assert recalled.held.said["logits"] == pytest.approx(computed.held.said["logits"], abs=4e-3)


@pytest.mark.parametrize("kind", ["bert", "modernbert"])
def test_many_rows_are_learnt_with_help_that_is_thrown_away(train, single, monkeypatch, kind):
    validation = single(20, seed=1)
    names = set(train(single(40), validation, kind=kind, epochs=1).network.state_dict())
    monkeypatch.setattr("tamis.ml.encoder.fits.MANY_ROWS", 30)
    finished = train(single(60), validation, kind=kind)
    assert set(finished.network.state_dict()) == names
    assert not any(module._forward_hooks for module in finished.network.modules())
    assert finished.checkpoints[-1]["t.accuracy"] > 0.6


def test_lora_gives_plain_weights_that_differ_in_the_layers(train, single, base_folder):
    from safetensors.numpy import load_file

    finished = train(single(60), single(51, seed=1), kind="llama", epochs=8, encoder={"lora": True}, **FAST)
    before = load_file(base_folder("llama") / "model.safetensors")
    after = {name.removeprefix("model."): weight.numpy() for name, weight in finished.network.state_dict().items()}
    assert set(before) | {"score.weight"} == set(after)
    assert not np.array_equal(before["layers.0.self_attn.q_proj.weight"], after["layers.0.self_attn.q_proj.weight"])
    assert np.array_equal(before["embed_tokens.weight"], after["embed_tokens.weight"])
    assert (finished.held.said["logits"].argmax(1) == finished.held.data.truth["t"].codes).mean() > 0.6
    assert finished.facts["lora"] is True


def test_options_that_do_nothing_are_remarked_on(train, single):
    finished = train(
        single(24), single(12, seed=1), kind="albert", epochs=1, encoder={"freeze_layers": 2, "lora_rank": 2}
    )
    told = [remark.partition(":")[0] for remark in finished.remarks if "does nothing" in remark]
    assert told == ["freeze_layers = 2 does nothing", "lora_rank = 2 does nothing"]


def test_what_is_known_before_training_is_told_before_it(train, single):
    told = []
    chosen = {"epochs": 1, "seq_len": 1_000, "encoder": {"lora_rank": 2}}
    finished = train(single(24), single(12, seed=1), attended=Attended(told.append), **chosen)
    before = told[: next(place for place, each in enumerate(told) if each.stage == "fine-tuning")]
    early = [each.remark for each in before if each.remark]
    assert [remark[:14] for remark in early] == ["lora_rank = 2 ", "seq_len = 1,00"]
    assert set(early) <= set(finished.remarks)


@pytest.mark.parametrize("kind", ["distilbert", "modernbert", "roberta"])
def test_lora_on_encoders_trains_the_whole_head(train, single, kind):
    finished = train(single(24), single(12, seed=1), kind=kind, epochs=1, encoder={"lora": True})
    assert not any("lora" in name for name in finished.network.state_dict())


@pytest.mark.parametrize("many", [3_000, 10])
def test_gradient_checkpointing_computes_the_same(train, single, monkeypatch, many):
    monkeypatch.setattr("tamis.ml.encoder.fits.MANY_ROWS", many)
    rows = single(20)
    plain, saved = (train(rows, rows[:10], epochs=1, encoder={"gradient_checkpointing": on}) for on in (False, True))
    assert plain.held.said["logits"] == pytest.approx(saved.held.said["logits"], abs=1e-4)


@pytest.mark.parametrize(
    ("kind", "many", "encoder", "alone"),
    [
        ("bert", 31, {}, True),
        ("bert", 30, {}, False),  # a second head reads other tokens of the last layer
        ("bert", 31, {"freeze_layers": 3}, False),  # nothing is computed of it again
        ("bert", 31, {"lora": True}, False),
        ("distilbert", 31, {}, False),
    ],
)
def test_the_last_layer_is_computed_for_the_first_token_where_nobody_reads_another(
    train, single, monkeypatch, kind, many, encoder, alone
):
    import torch

    from tamis.ml.encoder import first_token

    learnt, forward = [], first_token._forward

    def heard(*given):
        if torch.is_grad_enabled():
            learnt.append(1)
        return forward(*given)

    monkeypatch.setattr(first_token, "_forward", heard)
    monkeypatch.setattr("tamis.ml.encoder.fits.MANY_ROWS", many)
    train(single(30), single(12, seed=1), kind=kind, epochs=1, encoder=encoder)
    assert bool(learnt) == alone


@pytest.mark.parametrize("many", [3_000, 10])
def test_what_is_cut_is_told_and_windows_read_it(train, rows_of, monkeypatch, many):
    monkeypatch.setattr("tamis.ml.encoder.fits.MANY_ROWS", many)
    rows = [(" ".join([text] * 40)[:250], {"t": label}) for text, label in rows_of(51)]
    cut = train(rows, rows, epochs=1, seq_len=100)
    assert cut.facts["cut_share"] == 1.0
    assert any("51 of 51 training inputs (100.0%) were longer than 100 tokens" in remark for remark in cut.remarks)
    assert any("Choose a larger seq_len, up to 160, or read long" in remark for remark in cut.remarks)
    assert not any("is more than" in remark for remark in cut.remarks)
    wished = train(rows, rows, epochs=1, seq_len=1_000)
    assert any("seq_len = 1,000 is more than the 160 tokens that the base" in remark for remark in wished.remarks)
    long = [(" ".join([text] * 40), label) for text, label in rows]
    longest = train(long, long, epochs=1)
    assert any("were cut. Read long texts in windows" in remark for remark in longest.remarks)
    windows = train(rows, rows, epochs=10, seq_len=100, encoder={"long_texts": "windows"}, **FAST)
    assert windows.facts["cut_share"] == 0.0
    assert windows.remarks == ()
    assert (windows.held.said["logits"].argmax(1) == windows.held.data.truth["t"].codes).mean() > 0.6


def test_more_than_is_sensible_is_not_planned(train, single):
    finished = train(single(20), training_steps=250)
    assert any("passes over the data were allowed" in remark for remark in finished.remarks)
    assert any("Stopped early" in remark for remark in finished.remarks)


def test_it_can_be_cancelled_in_the_middle_of_an_update(train, single):
    begin, calls = time.monotonic(), []

    def stop():
        calls.append(time.monotonic() - begin)
        return len(calls) > 5

    with pytest.raises(Cancelled):
        train(single(60), attended=Attended(check=StopCheck(stop, every=0.0)))


def test_half_precision_needs_a_gpu(train, single):
    with pytest.raises(InvalidSetting, match="needs a GPU"):
        train(single(20), encoder={"precision": "bf16"})


def test_torch_is_left_as_it_was(train, single):
    import torch

    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    train(single(12), epochs=1)
    assert torch.equal(torch.rand(3), wanted)
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_last_fit_that_went_wrong_is_told(train, single, monkeypatch):
    assert not any("went wrong" in remark for remark in train(single(60), epochs=6, **FAST).remarks)
    whole = Fits.alone

    def spoilt(self, given, share=None):
        fit, curve = whole(self, given, share)
        return State({name: np.zeros_like(array) for name, array in fit.arrays.items()}, fit.facts), curve

    monkeypatch.setattr(Fits, "alone", spoilt)
    (told,) = (remark for remark in train(single(60), epochs=6, **FAST).remarks if "went wrong" in remark)
    assert "Train again" in told
