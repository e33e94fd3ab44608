import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from tamis.errors import Cancelled
from tamis.ml.encoder.inputs import CHARACTERS_PER_TOKEN, LONGEST, Encoding, tokens_read
from tamis.ml.encoder.templates import ChatTemplate
from tamis.schema import Ending, Message

SOURCE = "{{ bos_token }}{% for m in messages %}{{ m['role'] }}:{{ m['content'] }}{{ eos_token }}{% endfor %}"


@pytest.fixture(scope="module")
def read(tokenizer_json):
    """A function: the sequences of some inputs as texts, and the encoding's own answer."""
    tokenizer = Tokenizer.from_buffer(tokenizer_json)

    def run(inputs, source=tokenizer_json, **how):
        made = Encoding(source, **how).encode(inputs)
        texts = [
            tokenizer.decode(made.ids[made.offsets[s] : made.offsets[s + 1]].tolist(), skip_special_tokens=False)
            for s in range(len(made.lengths))
        ]
        return texts, made

    return run


def test_a_text_keeps_its_beginning_and_a_chat_its_end(read):
    texts, made = read(["abcdefghij", "abc", (Message("user", "0123456789"),)], max_length=6)
    assert texts == ["<s>abcd</s>", "<s>abc</s>", "<s>6789</s>"]
    assert made.n_cut == 2
    assert made.lengths.tolist() == [6, 5, 6]


def test_windows_cover_a_text_and_overlap(read):
    text = "".join(chr(97 + place % 26) for place in range(40))
    texts, made = read([text, "short"], max_length=18, windows=4)
    inner = [each.removeprefix("<s>").removesuffix("</s>") for each in texts[:-1]]
    assert inner == [text[:16], text[14:30], text[28:40]]
    assert made.first.tolist() == [0, 3, 4]
    assert made.n_cut == 0
    assert read([text], max_length=10, windows=2)[1].n_cut == 1


@pytest.mark.parametrize(("max_length", "windows"), [(6, 1), (18, 1), (10, 2), (18, 4)])
def test_as_much_is_read_as_is_told(read, max_length, windows):
    most = tokens_read(max_length - len(["<s>", "</s>"]), windows)
    for length in (most, most + 1):
        texts, made = read(["a" * length], max_length=max_length, windows=windows)
        assert len(texts) == windows
        assert made.n_cut == (length > most)


def test_an_ending_keeps_its_end_in_windows_too(read):
    text = "".join(chr(97 + place % 26) for place in range(40))
    assert read([Ending("abcdefghij"), Ending("abc")], max_length=6)[0] == ["<s>ghij</s>", "<s>abc</s>"]
    texts, made = read([Ending(text), "b", Ending("c"), text], max_length=18, windows=2)
    inner = [each.removeprefix("<s>").removesuffix("</s>") for each in texts]
    assert inner == [text[10:26], text[24:], "b", "c", text[:16], text[14:30]]
    assert made.cut == (0, 3)
    words = " ".join(["lorem"] * 5_000) + " last"
    assert read([Ending(words)], max_length=50)[0][0].endswith("lorem last</s>")
    assert read([Ending(words)], max_length=50)[0] == read([Ending(words[-3_000:])], max_length=50)[0]


def test_a_long_text_gives_the_tokens_of_its_beginning_however_long_it_is(read):
    words = " ".join(["lorem"] * 5_000)
    assert read([words], max_length=50)[0] == read([words[:3_000]], max_length=50)[0]
    spaces = " " * (CHARACTERS_PER_TOKEN * 60) + "end"
    assert read([spaces], max_length=50)[0][0].startswith("<s>  ")
    chat = (Message("user", words + " last"),)
    assert read([chat], max_length=50)[0][0].endswith("lorem last</s>")


def test_a_chat_goes_through_the_template_and_keeps_its_opening_mark(read, bare_tokenizer_json):
    special = {"bos_token": "<s>", "eos_token": "</s>"}
    chat = (Message("user", "hello"), Message("assistant", "yes"))
    how = {"source": bare_tokenizer_json, "template": ChatTemplate(SOURCE, special)}
    assert read([chat], max_length=100, **how)[0] == ["<s>user:hello</s>assistant:yes</s>"]
    assert read([chat], max_length=8, **how)[0] == ["<s>nt:yes</s>"]


def test_a_chat_that_the_template_refuses_is_read_as_lines(read, bare_tokenizer_json):
    template = ChatTemplate("{{ raise_exception('no') }}")
    texts, made = read([(Message("user", "hi"),)], bare_tokenizer_json, max_length=100, template=template)
    assert texts == ["user: hi"]
    assert made.n_lines == 1


def test_an_input_without_tokens_is_one_token(read, bare_tokenizer_json):
    _, made = read([""], bare_tokenizer_json, max_length=10, empty_id=2)
    assert made.ids.tolist() == [2]


def test_halves_of_surrogate_pairs_are_read_as_unknown(read):
    assert read(["\ud800x"], max_length=10)[0] == ["<s>?x</s>"]


def test_selecting_and_padding(tokenizer_json):
    made = Encoding(tokenizer_json, max_length=8, windows=3).encode(["a", "abcdefghijkl", "xyz"])
    some = made.select(np.array([2, 1]))
    assert some.tokens_of_inputs.tolist() == [made.tokens_of_inputs[2], made.tokens_of_inputs[1]]
    ids, mask = some.padded(np.array([0, 1]), 0)
    assert ids.shape == mask.shape == (2, 8)
    assert (ids[mask == 0] == 0).all()
    assert ids[0][mask[0] == 1].tolist() == made.ids[made.offsets[-2] : made.offsets[-1]].tolist()


def test_it_can_be_stopped(tokenizer_json):
    def stop():
        raise Cancelled

    with pytest.raises(Cancelled):
        Encoding(tokenizer_json, max_length=8).encode(["a"], stop)


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(max_size=40), max_size=5), max_length=st.integers(3, 12), windows=st.integers(1, 3))
def test_what_an_input_becomes_does_not_depend_on_the_others(tokenizer_json, texts, max_length, windows):
    encoding = Encoding(tokenizer_json, max_length=max_length, windows=windows)
    together = encoding.encode(texts)
    assert (together.lengths <= max_length).all()
    for place, text in enumerate(texts):
        alone = encoding.encode([text])
        assert alone.ids.tolist() == together.select(np.array([place])).ids.tolist()


class TestEndlessTexts:
    """Of a text without spaces, or of nothing else, so much is looked at; what is left is told."""

    @pytest.fixture
    def words(self):
        """A tokenizer of whole words."""
        tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "word": 1, "the": 2, "end": 3}, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = WhitespaceSplit()
        return Encoding(tokenizer.to_str().encode(), max_length=16)

    @pytest.fixture
    def seen(self, words, monkeypatch):
        """Characters of each text that the tokenizer got, by call."""
        found = list[list[int]]()
        ids = words._ids
        monkeypatch.setattr(words, "_ids", lambda texts: found.append(list(map(len, texts))) or ids(texts))
        return found

    @pytest.mark.parametrize("text", ["a" * 3_000_000, " " * 3_000_000 + "word", "word " + "a" * 3_000_000])
    def test_the_beginning_is_looked_at(self, words, seen, text):
        encoded = words.encode([text])
        assert max(map(max, seen)) <= LONGEST
        assert encoded.n_cut == 1
        assert encoded.ids.tolist() == words.encode([text[:LONGEST]]).ids.tolist()
        assert words.reach(text) <= LONGEST

    def test_of_a_chat_the_end(self, words, seen):
        encoded = words.encode([(Message("user", "a" * 3_000_000 + " the end"),)])
        assert encoded.n_cut == 1
        assert encoded.ids.tolist() == [0, 2, 3]
        assert max(map(max, seen)) <= LONGEST

    def test_few_characters_at_once_whatever_the_inputs(self, words, seen, monkeypatch):
        texts = ["word " * 200] * 9 + ["a" * 2_000] + ["end"]
        whole = words.encode(texts)
        monkeypatch.setattr("tamis.ml.encoder.inputs.PORTION", 700)
        seen.clear()
        assert words.encode(texts).ids.tolist() == whole.ids.tolist() == [1] * 16 * 9 + [0, 3]
        assert len(seen) > 5
        assert all(sum(sizes) <= 700 or len(sizes) == 1 for sizes in seen)
