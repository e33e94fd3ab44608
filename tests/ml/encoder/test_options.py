import pytest

from tamis.errors import InvalidSetting
from tamis.ml.encoder.options import EncoderOptions, encoder_options, parsed_options


def test_pairs_become_options():
    made = parsed_options(["freeze_layers=0", "long_texts = windows", "lora=true", "precision=bf16"])
    assert made == EncoderOptions(freeze_layers=0, long_texts="windows", lora=True, precision="bf16")
    assert parsed_options([]) is None


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["freeze"], "not of the form NAME=VALUE"),
        (["lora=1", "lora=0"], "given twice"),
        (["frozen=2"], "There is no encoder option 'frozen': there are freeze_layers"),
        (["freeze_layers=-1"], "freeze_layers = '-1'"),
        (["long_texts=both"], "long_texts = 'both'"),
        (["lora=true", "freeze_layers=2"], "lora = true and freeze_layers = 2 contradict each other.*Leave one"),
        (["lora=false", "lora_rank=4"], "lora = false and lora_rank = 4 contradict each other.*Leave one"),
    ],
)
def test_what_is_wrong_is_told(pairs, message):
    with pytest.raises(InvalidSetting, match=message):
        parsed_options(pairs)


def test_options_may_be_made_already():
    made = EncoderOptions(lora=True)
    assert encoder_options(made) is made
    with pytest.raises(InvalidSetting, match="contradict"):
        encoder_options(EncoderOptions(lora=True, freeze_layers=1))
    assert encoder_options(None) == EncoderOptions()
