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
        (["freeze_layers=-1"], r"freeze_layers = '-1': give a whole number from 0 to 1,000\."),
        (["lora_rank=few"], r"lora_rank = 'few': give a whole number from 1 to 1,024\."),
        (["long_texts=both"], r"long_texts = 'both': give cut or windows\."),
        (["precision=int4"], r"precision = 'int4': give auto, float32, bf16 or fp16\."),
        (["int8=maybe"], r"int8 = 'maybe': give true or false\."),
        (["lora=7"], r"lora = '7': give true or false\."),
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


@pytest.mark.parametrize("name", EncoderOptions.model_fields)
def test_what_every_option_may_be_is_told(name):
    with pytest.raises(InvalidSetting, match=f"{name} = .*: give .* (or|to) .*"):
        encoder_options({name: object()})
