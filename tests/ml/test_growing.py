import json
from itertools import pairwise

import numpy as np
import pytest

from tamis.errors import Cancelled, InvalidSetting, LimitExceeded, NothingToLearn, UnknownModel
from tamis.ml.model import load
from tamis.ml.restart import RestartPoints
from tamis.ml.static import growing
from tamis.ml.training import train

TEXTS = ["where is my parcel", "please refund the fee now", "my card does not work", "hello zebra quantum", ""]


def new_rows(n=24, label="greeting", target="intent"):
    words = ("zebra", "quantum", "walrus", "otter")
    return [
        {"text": f"hello {words[i % 4]} and {words[(i * 3 + 1) % 4]} number {i}", "labels": {target: label}}
        for i in range(n)
    ]


@pytest.fixture(scope="module")
def grown(tiny_folder):
    return train(new_rows(), start_from=tiny_folder)


@pytest.fixture(scope="module")
def parent(tiny_folder):
    return load(tiny_folder)


class TestALabelMore:
    def test_it_comes_behind_the_old_ones_and_is_given(self, grown, parent):
        (old, _), (new, _) = parent.targets, grown.targets
        assert new.labels == (*old.labels, "greeting")
        scores = grown.scores(["hello walrus and otter number 99"])["intent"]
        assert scores.argmax() == len(old.labels)

    def test_old_answers_stay(self, grown, parent, tiny_rows):
        texts = [row["text"] for row in tiny_rows]
        before = parent.scores(texts)["intent"].argmax(axis=1)
        after = grown.scores(texts)["intent"].argmax(axis=1)
        assert (before == after).mean() > 0.95

    def test_a_target_that_no_row_mentions_stays_as_it_was(self, grown, parent, tiny_rows):
        texts = [*TEXTS, *(row["text"] for row in tiny_rows)]
        np.testing.assert_allclose(grown.scores(texts)["topics"], parent.scores(texts)["topics"], atol=1e-5)
        mine, theirs = (model.manifest.target("topics") for model in (grown, parent))
        assert (mine.thresholds, mine.calibration) == (theirs.thresholds, theirs.calibration)

    def test_the_manifest_says_where_it_comes_from(self, grown, parent, tiny_folder):
        import hashlib

        said = grown.manifest.parent
        assert said.name == parent.name
        assert said.sha256 == hashlib.sha256((tiny_folder / "manifest.json").read_bytes()).hexdigest()
        assert (said.labels, said.targets, said.kept) == ({"intent": ("greeting",)}, (), ("topics",))
        assert any("No row mentions the target topics" in remark for remark in grown.run.remarks)
        assert any("have no row here" in remark for remark in grown.run.remarks)
        assert "cross-validation of what was added" in grown.run.held_out_rows

    def test_there_is_a_curve(self, grown):
        steps = [row["step"] for row in grown.manifest.checkpoints]
        assert len(steps) >= 20
        assert all(b > a for a, b in pairwise(steps))

    def test_it_is_stored_and_grows_again(self, grown, tmp_path):
        stored = grown.save(tmp_path / "model")
        again = train(new_rows(label="farewell"), start_from=stored.folder, out=tmp_path / "next", seed=3)
        assert again.targets[0].labels[-2:] == ("greeting", "farewell")
        assert again.manifest.parent.sha256 != grown.manifest.parent.sha256


class TestWhatElseIsAdded:
    def test_a_target(self, parent):
        rows = [*new_rows(12, "animal", "kind"), *new_rows(12, "thing", "kind")]
        for i, row in enumerate(rows):
            row["text"] += " lives" if i < 12 else " stands"
        model = train(rows, start_from=parent)
        assert [target.name for target in model.targets] == ["intent", "topics", "kind"]
        assert model.classify("hello otter lives")["kind"].label in ("animal", None)
        assert model.scores(["hello otter lives"])["kind"].argmax() == 0
        for name in ("intent", "topics"):
            np.testing.assert_allclose(model.scores(TEXTS)[name], parent.scores(TEXTS)[name], atol=1e-5)

    def test_a_label_of_a_multi_label_target(self, parent):
        rows = new_rows(24, ["zoo"], "topics") + new_rows(6, [], "topics")
        for row in rows[24:]:
            row["text"] = "parcel and fee " + row["text"][-2:]
        model = train(rows, start_from=parent)
        assert model.targets[1].labels[-1] == "zoo"
        assert "zoo" in model.classify("hello zebra and walrus number 4")["topics"].labels
        n_old = len(parent.targets[1].labels)
        entry, before = model.manifest.target("topics"), parent.manifest.target("topics")
        assert entry.thresholds[:n_old] == before.thresholds

    def test_rows_alone(self, parent, tiny_rows):
        model = train(tiny_rows[:20], start_from=parent)
        assert model.targets == parent.targets
        assert model.manifest.parent.labels == {}

    def test_rehearsed_rows_count(self, grown, parent, tiny_rows):
        some = tiny_rows[::3]
        model = train(new_rows(), start_from=parent, rehearse=some)
        assert model.manifest.data.train_rows == len(some) + 24
        assert model.manifest.parent.kept == ()
        assert not any("have no row here" in remark for remark in model.run.remarks)
        assert "of what was added" in model.run.held_out_rows

    def test_with_all_old_rows_it_is_trained_anew_in_the_old_order(self, parent, tiny_rows):
        model = train(new_rows(label="aaa"), start_from=parent, rehearse=tiny_rows)
        assert model.targets[0].labels == (*parent.targets[0].labels, "aaa")
        assert any("trained anew" in remark for remark in model.run.remarks)
        assert "of what was added" not in model.run.held_out_rows
        assert model.manifest.parent.labels == {"intent": ("aaa",)}
        assert model.manifest.base_model == parent.manifest.base_model

    def test_validation_data_of_all_labels_calibrates_all(self, parent, tiny_rows):
        held = [*tiny_rows, *new_rows(12)]
        model = train(new_rows(), held, start_from=parent)
        assert model.run.held_out_rows == "the validation data"
        assert model.manifest.target("intent").calibration != parent.manifest.target("intent").calibration

    def test_few_rows_are_enough(self, parent):
        model = train(new_rows(3), start_from=parent)
        assert model.targets[0].labels[-1] == "greeting"
        assert model.run.held_out is None


class TestRuns:
    def test_the_same_bytes_each_time(self, parent, tmp_path):
        folders = [train(new_rows(), start_from=parent, out=tmp_path / name).folder for name in "ab"]
        first, second = ((folder / "model.safetensors").read_bytes() for folder in folders)
        assert first == second

    def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(self, parent, tmp_path):
        whole = train(new_rows(), start_from=parent, out=tmp_path / "whole").folder

        def stops_late(progress, seen=[]):  # noqa: B006
            seen.append(progress)
            if len(seen) == 6:
                raise KeyboardInterrupt

        points = tmp_path / "points"
        with pytest.raises(KeyboardInterrupt):
            train(new_rows(), start_from=parent, listener=stops_late, restart=RestartPoints(points, every=0))
        again = train(new_rows(), start_from=parent, out=tmp_path / "again", restart=RestartPoints(points, every=0))
        assert (again.folder / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()

    def test_it_can_be_cancelled(self, parent, monkeypatch):
        monkeypatch.setattr("tamis.ml.progress.StopCheck.__init__.__defaults__", (0.0,))  # asked at every turn
        asked = []
        with pytest.raises(Cancelled):
            train(new_rows(), start_from=parent, stop=lambda: asked.append(1) or len(asked) > 3)

    def test_inputs_are_cut_as_the_model_s_were(self, tiny_base, tiny_rows):
        short = train(tiny_rows, base=str(tiny_base), epochs=1, seq_len=100)
        assert train(new_rows(), start_from=short).manifest.hyperparameters["seq_len"] == 100

    def test_chats_for_a_model_of_chats(self, chat_model):
        rows = [{"messages": [{"role": "user", "content": row["text"]}], "labels": row["labels"]} for row in new_rows()]
        assert train(rows, start_from=chat_model).targets[0].labels[-1] == "greeting"


class TestRefused:
    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"base": "static-en"}, "base model is that of the model"),
            ({"epochs": 2}, "epochs has no meaning"),
            ({"targets": []}, "Targets cannot be declared"),
            ({"oos_label": "oos"}, "out of scope cannot be learnt"),
        ],
    )
    def test_what_would_change_the_old_model(self, parent, given, said):
        with pytest.raises(InvalidSetting, match=said):
            train(new_rows(), start_from=parent, **given)

    def test_rehearsing_without_a_model(self, tiny_rows):
        with pytest.raises(InvalidSetting, match="model to start from"):
            train(tiny_rows, rehearse=tiny_rows)

    def test_an_encoder_without_old_rows_or_validation_data(self, parent, monkeypatch, tiny_rows):
        card = parent.manifest.base_model.model_copy(update={"tier": "encoder"})
        monkeypatch.setattr(parent, "manifest", parent.manifest.model_copy(update={"base_model": card}))
        with pytest.raises(InvalidSetting, match=r"would make it forget the old ones\. Give the old rows too"):
            train(new_rows(), start_from=parent)
        with pytest.raises(InvalidSetting, match="validation data"):
            train(new_rows(), start_from=parent, rehearse=tiny_rows)

    def test_a_model_that_is_not_there(self, tmp_path):
        with pytest.raises(UnknownModel):
            train(new_rows(), start_from=tmp_path / "none")

    def test_a_new_target_with_one_label(self, parent):
        with pytest.raises(NothingToLearn, match="kind"):
            train(new_rows(target="kind"), start_from=parent)

    def test_very_many_rows(self, parent, monkeypatch):
        monkeypatch.setattr(growing, "MOST_WHOLE", 20)
        with pytest.raises(LimitExceeded, match="Train anew"):
            train(new_rows(), start_from=parent)


def test_files_too(parent, tiny_folder, tmp_path):
    file = tmp_path / "more.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in new_rows()))
    model = train(file, start_from=tiny_folder, rehearse=[file])
    assert [tally.rows for tally in model.run.tallies] == [24, 24]
