from tamis.data.dataset import build
from tamis.data.review.corpus import Corpus
from tamis.data.review.texts import find_traits, other_language_rows, text_findings
from tamis.schema import Example


def corpus(rows):
    return Corpus({"train": build(Example(text, {"t": (label,)}, line) for line, (text, label) in enumerate(rows, 1))})


def findings(rows):
    given = corpus(rows)
    return {finding.code: finding for finding in text_findings(given, find_traits(given.train))}


WORDS = [
    "alpha",
    "bravo",
    "charlie",
    "delta",
    "echo",
    "foxtrot",
    "golf",
    "hotel",
    "india",
    "juliett",
    "kilo",
    "lima",
    "mike",
    "november",
    "oscar",
    "papa",
]


def varied(number):
    return " ".join(WORDS[(number * step) % len(WORDS)] for step in (1, 3, 5, 7, 11, 13)) + f" {number}"


def test_texts_that_say_nothing():
    found = findings([("???", "a"), ("k", "a"), ("ok", "b"), ("是", "b"), ("😀", "a"), ("7", "b"), ("yes", "b")])
    assert [item.rows[0].line for item in found["empty_texts"].items] == [1, 2]


def test_texts_that_end_where_an_export_cut_them():
    rows = [((varied(number) + " ") * 9, "a") for number in range(20)]
    found = findings([(text[:140], label) for text, label in rows])["cut_texts"]
    assert found.count == 20
    assert "140 characters" in found.message
    assert "cut_texts" not in findings([(varied(number), "a") for number in range(20)])


def test_a_template_that_gives_a_label_away():
    rows = [(f"Dear support team, I {varied(n)}", "a") for n in range(15)] + [(varied(n), "b") for n in range(15, 40)]
    found = findings(rows)["templates"]
    assert found.count == 1
    assert "'dear support team ,'" in found.items[0].told
    assert "'a'" in found.message


def test_a_beginning_that_all_labels_share_gives_nothing_away():
    rows = [(f"Dear support team, I {varied(number)}", "ab"[number % 2]) for number in range(40)]
    assert "templates" not in findings(rows)


def test_personal_data_is_named_and_never_shown():
    found = findings([("mail jo@mail.example.org please", "a"), ("card 4111 1111 1111 1111", "b")])["personal_data"]
    assert found.severity == "warning"
    assert "1 row" not in found.message.split("(")[0]
    shown = found.model_dump_json()
    assert "jo@mail" not in shown
    assert "4111" not in shown
    assert "[email]" in shown


def test_a_few_rows_in_another_language():
    english = [(f"please tell me what the {word} is and where it is from", "a") for word in WORDS * 3]
    german = [("bitte sagen sie mir was das ist und wo es her kommt und warum", "b")]
    main, others = other_language_rows(corpus(english + german).train)
    assert main == "en"
    assert others == {len(english): "de"}


def test_no_main_language_no_outliers():
    assert other_language_rows(corpus([("abc", "a"), ("def", "b")]).train) == ("", {})


def test_unicode_and_very_long_texts():
    assert findings([("é" * 100_000, "a"), ("\u202e x \u200d", "b"), ("مرحبا", "b")]) is not None
