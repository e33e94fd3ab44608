import pytest

from tamis.data.loading import load_splits
from tamis.errors import Cancelled
from tamis.ml.base_models import load_base
from tamis.ml.estimates import estimate
from tamis.ml.given import given_splits
from tamis.ml.schedule import STEP_TOKENS, hyperparameters
from tamis.ml.static.estimates import Size, size_of
from tamis.ml.static.tokens import RunTokenizer
from tamis.ml.training import train


@pytest.fixture(scope="module")
def base(tiny_base):
    return load_base(str(tiny_base))


@pytest.fixture(scope="module")
def data(tiny_rows):
    return load_splits(*given_splits(tiny_rows)).train


@pytest.fixture(scope="module")
def tokenizer(base):
    return RunTokenizer(base.tokenizer_json, base.unknown_id)


class TestArithmetic:
    """That of the hosted service: tokens = steps x 65,536, epochs = tokens / tokens of the data."""

    @pytest.mark.parametrize(
        "chosen", [{}, {"training_steps": 250}, {"training_steps": 1}, {"epochs": 3}, {"epochs": 1e5}]
    )
    def test_it_holds_whatever_was_given(self, data, base, chosen):
        found = estimate(data, base, hyperparameters(**chosen))
        assert found.train_tokens_per_step == STEP_TOKENS == 65_536
        assert found.train_tokens == found.training_steps * 65_536
        assert found.epochs == pytest.approx(found.train_tokens / found.data_tokens)
        assert found.training_steps >= chosen.get("training_steps", 1)
        assert found.epochs >= chosen.get("epochs", 0)
        assert found.rows == 72

    def test_steps_are_those_given(self, data, base):
        assert estimate(data, base, hyperparameters(training_steps=250)).training_steps == 250

    def test_the_tokens_are_those_that_training_counts(self, data, base, tiny_rows, tiny_base):
        model = train(tiny_rows, base=str(tiny_base), epochs=1)
        assert estimate(data, base, hyperparameters()).data_tokens == model.manifest.training["tokens"]

    def test_seq_len_makes_them_fewer(self, base, tokenizer):
        texts = ["where is my parcel please " * 100, "refund"]
        whole, cut = size_of(texts, tokenizer), size_of(texts, tokenizer, 100)
        assert cut.tokens == 101 < whole.tokens
        assert cut.characters == whole.characters


class TestSize:
    def test_portions_make_no_difference(self, tokenizer, monkeypatch):
        texts = [f"where is parcel {n % 7}" for n in range(50)]
        whole = size_of(texts, tokenizer)
        monkeypatch.setattr("tamis.ml.static.estimates.COUNTED_AT_ONCE", 7)
        assert size_of(texts, tokenizer) == whole
        assert size_of([], tokenizer) == Size(0, 0)

    def test_it_can_be_cancelled(self, data, base):
        def stop():
            raise Cancelled

        with pytest.raises(Cancelled):
            estimate(data, base, hyperparameters(), check=stop)


class TestTimeAndMemory:
    def test_more_text_labels_and_passes_take_more(self, base, tiny_rows):
        def of(rows, **chosen):
            return estimate(load_splits(*given_splits(rows)).train, base, hyperparameters(**chosen))

        few, more = of(tiny_rows), of(tiny_rows * 30)
        assert more.peak_memory_mb > few.peak_memory_mb
        labelled = [row | {"labels": {**row["labels"], "many": str(n)}} for n, row in enumerate(tiny_rows * 30)]
        assert of(labelled).expected_duration_seconds > more.expected_duration_seconds
        assert of(labelled).peak_memory_mb > 2 * more.peak_memory_mb
        assert of(tiny_rows * 30, epochs=100).expected_duration_seconds > more.expected_duration_seconds
        assert of(tiny_rows, training_steps=10**6).expected_duration_seconds < 60, "what only overfits is not done"

    def test_given_validation_data_saves_the_folds(self, data, base):
        alone = estimate(data, base, hyperparameters())
        watched = estimate(data, base, hyperparameters(), validation=data)
        assert watched.expected_duration_seconds <= alone.expected_duration_seconds
        assert watched.data_tokens == alone.data_tokens
        assert watched.peak_memory_mb > alone.peak_memory_mb

    def test_packed_rows_take_less(self, base, tiny_rows, monkeypatch):
        data = load_splits(*given_splits(tiny_rows * 300)).train
        whole = estimate(data, base, hyperparameters())
        monkeypatch.setattr("tamis.ml.static.estimates.MOST_WHOLE", len(data) - 1)
        packed = estimate(data, base, hyperparameters())
        assert packed.peak_memory_mb < whole.peak_memory_mb / 2
        assert packed.expected_duration_seconds == whole.expected_duration_seconds
