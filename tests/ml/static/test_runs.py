import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.ml.static import runs as module
from tamis.ml.static.runs import (
    EARLIER_USER,
    FIELDS_OF_CHAT,
    FIELDS_OF_TEXT,
    OPENING_RUNS,
    OTHER,
    OTHERS,
    SPACE,
    TEXT,
    WORD,
    code_points,
    hash_stretches,
    scramble,
    split,
    split_runs,
    stretches,
)
from tamis.schema import Message

any_text = st.one_of(
    st.text(alphabet=st.characters(), max_size=30),  # lone surrogates too
    st.text(alphabet="ab \n\0é", max_size=30),
)
chats = st.lists(
    st.builds(Message, st.sampled_from(["system", "user", "assistant", "tool"]), any_text), max_size=5
).map(tuple)
inputs = st.lists(st.one_of(any_text, chats), max_size=8)


def pieces(text):
    """The runs of a text, by a loop over its characters."""
    found, run = [], ""
    for character in text:
        if character.isspace() or character == "\0":
            found.append(run)
            run = ""
        else:
            run += character
    return [piece for piece in [*found, run] if piece]


def messages_of(given):
    return (Message("user", given),) if isinstance(given, str) else given


def field_of(chat, position):
    users = [i for i, message in enumerate(chat) if message.role == "user"]
    last = users[-1] if users else len(chat) - 1
    if position == last:
        return TEXT
    return EARLIER_USER if chat[position].role == "user" else OTHERS


def occurrences(found, row):
    """(string, field) of each run of a row, in reading order."""
    own = found.run[found.row == row].tolist()
    return [(found.strings[run], int(found.run_fields[run])) for run in own]


class TestSplitting:
    @given(inputs)
    @settings(max_examples=60, deadline=None)
    def test_a_loop_over_characters_finds_the_same(self, given_inputs):
        found = split_runs(given_inputs, FIELDS_OF_CHAT)
        assert found.n_rows == len(given_inputs)
        for row, one in enumerate(given_inputs):
            chat = messages_of(one)
            expected = [(p, field_of(chat, i)) for i, message in enumerate(chat) for p in pieces(message.content)]
            assert occurrences(found, row) == expected

    @given(inputs)
    @settings(max_examples=30, deadline=None)
    def test_each_string_stands_once_a_field(self, given_inputs):
        found = split_runs(given_inputs, FIELDS_OF_CHAT)
        known = list(zip(found.strings, found.run_fields.tolist(), strict=True))
        assert len(set(known)) == len(known)

    def test_segments_are_texts_or_messages(self):
        chat = (Message("user", "a b"), Message("assistant", ""), Message("user", "c"))
        found = split_runs(["x y", chat, "z"], FIELDS_OF_CHAT)
        assert found.segment.tolist() == [0, 0, 1, 1, 3, 4]
        assert found.row.tolist() == [0, 0, 1, 1, 1, 2]

    def test_with_one_field_every_turn_is_text(self):
        found = split_runs([(Message("system", "a"), Message("user", "b"))], FIELDS_OF_TEXT)
        assert occurrences(found, 0) == [("a", TEXT), ("b", TEXT)]

    def test_the_same_word_of_two_speakers_is_two_runs(self):
        found = split_runs([(Message("assistant", "no"), Message("user", "no"))], FIELDS_OF_CHAT)
        assert occurrences(found, 0) == [("no", OTHERS), ("no", TEXT)]
        assert len(found.strings) == 2

    def test_without_a_user_the_last_message_is_the_text(self):
        found = split_runs([(Message("assistant", "a"), Message("tool", "b"))], FIELDS_OF_CHAT)
        assert occurrences(found, 0) == [("a", OTHERS), ("b", TEXT)]

    @pytest.mark.parametrize("nothing", [[], [()], [""], ["\0 \t\u2003\u2028\n"], [(), "", (Message("user", " "),)]])
    @pytest.mark.parametrize("fields", [FIELDS_OF_TEXT, FIELDS_OF_CHAT])
    def test_nothing_to_split(self, nothing, fields):
        found = split_runs(nothing, fields)
        assert (found.n_rows, found.strings, len(found.run), len(found.opening())) == (len(nothing), [], 0, 0)

    def test_strange_texts(self):
        found = split_runs(
            ["👩‍👩‍👧 ok", "שלום עולם", "我喜欢 猫", "\ud800x \udc00", "a\0b", "x" * 10_000], FIELDS_OF_TEXT
        )
        assert [len(occurrences(found, row)) for row in range(6)] == [2, 2, 2, 2, 2, 1]
        assert "👩‍👩‍👧" in found.strings
        assert "\ud800x" in found.strings


class TestBlocks:
    @given(inputs, st.integers(1, 40))
    @settings(max_examples=60, deadline=None)
    def test_many_blocks_equal_one(self, given_inputs, size):
        whole = split_runs(given_inputs, FIELDS_OF_CHAT)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "BLOCK_CHARACTERS", size)
            cut = split_runs(given_inputs, FIELDS_OF_CHAT)
        assert cut.strings == whole.strings
        for name in ("run_fields", "run", "row", "segment"):
            np.testing.assert_array_equal(getattr(cut, name), getattr(whole, name))

    def test_blocks_are_really_cut(self, monkeypatch):
        monkeypatch.setattr(module, "BLOCK_CHARACTERS", 10)
        blocks = module.text_blocks(["abcdef"] * 10)
        assert len(blocks) > 3
        assert [i for block in blocks for i in range(10)[block]] == list(range(10))


class TestSelecting:
    @given(st.lists(st.one_of(any_text, chats), min_size=1, max_size=6), st.randoms(use_true_random=False))
    @settings(max_examples=40, deadline=None)
    def test_it_is_splitting_what_was_selected(self, given_inputs, chosen):
        rows = chosen.sample(range(len(given_inputs)), chosen.randint(0, len(given_inputs)))
        selected = split_runs(given_inputs, FIELDS_OF_CHAT).select(np.array(rows, dtype=np.int64))
        again = split_runs([given_inputs[row] for row in rows], FIELDS_OF_CHAT)
        assert selected.n_rows == len(rows)
        for row in range(len(rows)):
            assert occurrences(selected, row) == occurrences(again, row)
            for one in (selected, again):
                inside = one.opening()[one.row[one.opening()] == row]
                assert len(inside) <= OPENING_RUNS
            assert np.sum(selected.row[selected.opening()] == row) == np.sum(again.row[again.opening()] == row)


def test_the_opening_is_the_first_words_of_the_last_user_turn():
    chat = (Message("user", "one two three four"), Message("assistant", "five"), Message("user", "six seven"))
    found = split_runs([chat, "a b c d e"], FIELDS_OF_CHAT)
    opening = found.opening()
    assert [found.strings[run] for run in found.run[opening]] == ["six", "seven", "a", "b", "c"]
    assert found.row[opening].tolist() == [0, 0, 1, 1, 1]


class TestHashes:
    @given(st.lists(any_text, min_size=1, max_size=12), any_text)
    @settings(max_examples=80, deadline=None)
    def test_equal_strings_have_equal_hashes_anywhere_and_others_not(self, strings, before):
        joined = before + "".join(strings)
        ends = len(before) + np.cumsum([len(string) for string in strings])
        starts = ends - [len(string) for string in strings]
        hashes = hash_stretches(code_points(joined)[0], starts, ends).tolist()
        assert len(set(hashes)) == len(set(strings))
        assert len(set(zip(hashes, strings, strict=True))) == len(set(strings))

    def test_far_from_the_beginning(self):
        codes, _ = code_points("needle" + "x" * 1_000_000 + "needle" + "needlf")
        starts = np.array([0, 1_000_006, 1_000_012])
        hashes = hash_stretches(codes, starts, starts + 6)
        assert hashes[0] == hashes[1] != hashes[2]

    def test_thue_morse_strings_do_not_collide(self, monkeypatch):
        """A polynomial modulo 2**64 is the same for such a string and its complement, whatever its odd base."""
        one = "".join("ab"[number.bit_count() % 2] for number in range(2048))
        other = one.translate(str.maketrans("ab", "ba"))
        joined, cut = code_points(one + other)[0], np.array([0, 2048, 4096])
        first, second = hash_stretches(joined, cut[:-1], cut[1:])
        assert first != second
        assert len(split_runs([one, other], FIELDS_OF_TEXT).strings) == 2
        assert hash_stretches(code_points("é " + one)[0], np.array([2]), np.array([2050]))[0] == first
        monkeypatch.setattr(module, "LONG", 10_000)
        first, second = hash_stretches(joined, cut[:-1], cut[1:])
        assert first == second, "the pair is a real one"

    def test_nul_is_a_character_too(self):
        codes, _ = code_points("\0\0\0")
        assert len(set(hash_stretches(codes, np.array([0, 0, 0]), np.array([1, 2, 3])).tolist())) == 3

    def test_scrambling_loses_nothing(self):
        values = np.arange(10_000, dtype=np.uint64) * np.uint64(1 << 40)
        assert len(np.unique(scramble(values))) == 10_000
        assert len(np.unique(scramble(values) >> np.uint64(40))) > 9_900, "the upper bits differ too"


def test_classes_of_characters():
    _, classes = code_points("a_9é我\u0301 \t\u00a0\0-👋\ud800")
    assert classes.tolist() == [WORD] * 6 + [SPACE] * 4 + [OTHER] * 3


@given(st.lists(st.booleans(), max_size=30))
@settings(max_examples=40, deadline=None)
def test_stretches_are_what_is_inside(inside):
    starts, ends = stretches(np.array(inside, dtype=bool))
    again = np.zeros(len(inside), dtype=bool)
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        assert end > start
        assert end == len(inside) or not inside[end]
        again[start:end] = True
    assert again.tolist() == inside


class TestWithoutWhiteSpace:
    """A run that is longer than any word is read as several."""

    @pytest.fixture(autouse=True)
    def _short(self, monkeypatch):
        monkeypatch.setattr(module, "LONGEST_RUN", 5)

    @given(st.text(alphabet="ab \n\0é中\ud800", max_size=60))
    def test_nothing_is_left_out_and_all_ways_find_the_same(self, text):
        found = split_runs([text], FIELDS_OF_TEXT)
        cut = [found.strings[run] for run in found.run.tolist()]
        assert cut == split(text)
        assert all(len(piece) <= 5 for piece in cut)
        assert "".join(cut) == "".join(pieces(text))

    def test_pieces_are_runs_of_the_same_text(self):
        found = split_runs(["x" * 12, "xxxxx yy"], FIELDS_OF_TEXT)
        assert sorted(found.strings) == ["xx", "xxxxx", "yy"]
        assert found.row.tolist() == [0, 0, 0, 1, 1]
        assert found.segment.tolist() == [0, 0, 0, 1, 1]
