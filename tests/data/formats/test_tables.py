import gzip
import json
from pathlib import Path
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.data.formats import ReadOptions, open_source, tables
from tamis.data.rows import Rejected
from tamis.errors import InvalidSetting, MissingColumn, NoRows, UnknownFormat
from tamis.schema import Example


def read(tmp_path, content, name="rows.csv", **options):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    source = open_source(path, ReadOptions(**options))
    return source, list(source)


def labels(rows):
    return [dict(row.labels) for row in rows]


def codes(rows):
    return [(row.line, row.code) for row in rows if isinstance(row, Rejected)]


def test_quoted_line_ends_keep_the_physical_line(tmp_path):
    content = 'text,label\n"one\r\ntwo ""quoted"", three",a\n\n\nfour five,b\n"six\n\n\nseven",a\n ,b\n'
    _, rows = read(tmp_path, content)
    assert [row.line for row in rows] == [2, 6, 7, 11]
    assert rows[0].input == 'one\ntwo "quoted", three'
    assert codes(rows) == [(11, "empty_text")]


def test_a_table_has_no_million_columns(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MOST_COLUMNS", 3)
    assert len(read(tmp_path, "text,label,c\none,a,\n")[1]) == 1
    with pytest.raises(UnknownFormat, match="has 4 columns: give 3 at most, or name the delimiter"):
        read(tmp_path, "text,label,c,d\none,a,,\n")


def test_a_wrong_number_of_cells_is_a_bad_row(tmp_path):
    _, rows = read(tmp_path, "text,label\none,a\ntwo, three,b\nfour\nfive,b\n")
    assert codes(rows) == [(3, "wrong_cell_count"), (4, "wrong_cell_count")]
    assert "3 cells, the table 2 columns" in rows[1].cause
    assert rows[1].raw == "two, three,b"


def test_a_quote_that_never_closes_loses_only_its_row(tmp_path):
    content = "text,label\none two,a\n" + '"three four,b\n' + "".join(f"row {n},a\n" for n in range(50))
    _, rows = read(tmp_path, content)
    assert codes(rows) == [(3, "unclosed_quote")]
    assert len(rows) == 52
    assert rows[-1].line == 53


def test_text_behind_a_closing_quote_is_a_bad_row(tmp_path):
    _, rows = read(tmp_path, 'text,label\n"a b",x\n"c" d,y\n"e, f",x\n"g, h",y\n')
    assert codes(rows) == [(3, "bad_quotes")]


def test_a_file_of_open_quotes_is_read_in_bounded_time(tmp_path):
    content = "text,label\n" + "good row,x\n" * 400 + 'a",",\n' * 3000
    _, rows = read(tmp_path, content, max_line_bytes=5000)
    assert {code for _, code in codes(rows)} <= {"unclosed_quote", "wrong_cell_count", "bad_quotes"}
    assert sum(isinstance(row, Example) for row in rows) == 400


def test_huge_cells_are_read_up_to_the_limit(tmp_path):
    content = "text,label\n" + "a " * 300_000 + ",x\n" + "b " * 3_000_000 + ",y\nlast row,x\n"
    _, rows = read(tmp_path, content, max_line_bytes=2_000_000)
    assert len(rows[0].input) == 600_000
    assert codes(rows) == [(3, "line_too_long")]
    assert rows[2].input == "last row"


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("header", [True, False])
def test_delimiters_and_headers_are_detected(delimiter, header, tmp_path):
    lines = [delimiter.join([f"how do I do thing {n} today", f"class_{n % 3}"]) for n in range(30)]
    if header:
        lines.insert(0, delimiter.join(["wording", "outcome"]))
    source, rows = read(tmp_path, "\n".join(lines), name="rows.txt")
    assert (source.detected.delimiter, source.detected.header) == (delimiter, header)
    assert len(rows) == 30
    assert labels(rows)[0] == {("outcome" if header else "label"): ("class_0",)}


def test_a_label_that_is_a_usual_name_does_not_make_a_header(tmp_path):
    lines = [f"what is number {n} made of,{['description', 'question', 'rating'][n % 3]}" for n in range(12)]
    source, rows = read(tmp_path, "\n".join(lines))
    assert source.detected.header is False
    assert len(rows) == 12


def test_commas_in_semicolon_and_tab_files(tmp_path):
    lines = ["comment;stars", *[f"good, really good, number {n};{n % 5}" for n in range(10)]]
    source, rows = read(tmp_path, "\n".join(lines))
    assert source.detected.delimiter == ";"
    assert labels(rows)[4] == {"stars": ("4",)}


def test_raw_quotes_in_a_file_that_does_not_quote(tmp_path):
    lines = ["sentence\tlabel", *[f'"Yes" she said, number {n}\t{n % 2}' for n in range(10)]]
    source, rows = read(tmp_path, "\n".join(lines), name="rows.tsv")
    assert source.detected.quoted is False
    assert rows[1].input == '"Yes" she said, number 1'


@pytest.mark.parametrize(
    ("header", "text", "label"),
    [
        ("id,Text,Label", "Text", "Label"),
        ("label,text", "text", "label"),
        ("utterance,intent,scenario", "utterance", "intent"),
        (",review,sentiment", "review", "sentiment"),
        ("Query Text,Comment,Category", "Comment", "Category"),
        ("title,description,class", "description", "class"),
    ],
)
def test_columns_are_told_by_name(header, text, label, tmp_path):
    width = header.count(",") + 1
    lines = [header, *[",".join(f"w{n} c{place}" for place in range(width)) for n in range(5)]]
    source, _ = read(tmp_path, "\n".join(lines))
    assert source.detected.text == text
    assert list(source.detected.labels) == [label]
    assert not source.detected.guessed
    assert len(source.detected.unread) == width - 2
    assert all(name in source.detected.describe() for name in source.detected.unread)


def test_columns_are_told_by_content_and_reported_as_a_guess(tmp_path):
    lines = [f"{n},{'xy'[n % 2]},this is the long wording of row {n},{n / 7:.3f}" for n in range(40)]
    source, rows = read(tmp_path, "\n".join(lines))
    assert source.detected.guessed
    assert (source.detected.text, dict(source.detected.labels)) == ("column 2", {"column 1": "label"})
    assert "guessed" in source.detected.describe()
    assert labels(rows)[1] == {"label": ("y",)}


@pytest.mark.parametrize(
    ("text", "chosen"), [("a", ("b", "c")), (0, ("1", "-1")), ("-3", ("1", "c")), ("0", ("b", "2"))]
)
def test_columns_by_name_or_position(text, chosen, tmp_path):
    source, rows = read(
        tmp_path, "a,b,c\none two,x,1\nthree,y,2\n", text_column=text, label_columns=chosen, header=True
    )
    assert labels(rows) == [{"b": ("x",), "c": ("1",)}, {"b": ("y",), "c": ("2",)}]
    assert source.detected.text == "a"


def test_columns_that_are_not_there_are_an_error_that_lists_them(tmp_path):
    with pytest.raises(MissingColumn, match=r"no column 'z'.*'a', 'b'.*--label-column \(in Python label_columns\)"):
        read(tmp_path, "a,b\none two,x\n", label_columns=("z",))
    with pytest.raises(MissingColumn, match=r"no column 7.*--text-column \(in Python text_column\)"):
        read(tmp_path, "a,b\none two,x\n", text_column=7, header=True)
    with pytest.raises(InvalidSetting, match="both text and label"):
        read(tmp_path, "a,b\none two,x\n", text_column="a", label_columns=("0",), header=True)


def test_no_column_of_labels_is_an_error(tmp_path):
    lines = ["ident,wording,stamp", *[f"{n},some words {n},2024-{n}" for n in range(30)]]
    with pytest.raises(
        MissingColumn, match=r"no column looks like the labels.*--label-column \(in Python label_columns\)"
    ):
        read(tmp_path, "\n".join(lines))


def test_one_column_is_no_labelled_table(tmp_path):
    with pytest.raises(UnknownFormat, match="no delimiter"):
        read(tmp_path, "only words\nand more words\n")
    with pytest.raises(MissingColumn):
        read(tmp_path, "only words\nand more words\n", delimiter=",")


def test_flags_make_one_multi_label_target(tmp_path):
    content = (
        "id,comment_text,toxic,insult\n1,one two,0,0\n2,three,1,1\n3,four,0,1.0\n4,five,,1\n"
        + "5,five,0,0\n" * 20
        + "6,six,2,0\n"
    )
    source, rows = read(tmp_path, content)
    assert source.detected.style == "flags"
    assert labels(rows[:4]) == [{"labels": ()}, {"labels": ("toxic", "insult")}, {"labels": ("insult",)}, {}]
    assert rows[0].listed == {"labels"}
    assert codes(rows) == [(26, "not_a_flag")]
    assert source.notes.total("unknown_label") == 1


def test_flags_can_be_asked_for_and_refused(tmp_path):
    content = "text,label,a,b\none,x,0,1\ntwo,y,1,1\n"
    assert labels(read(tmp_path, content)[1])[0] == {"label": ("x",)}
    assert labels(read(tmp_path, content, binary_columns=True)[1])[0] == {"labels": ("b",)}
    chosen = read(tmp_path, content, label_columns=("a", "b"), binary_columns=False)[1]
    assert labels(chosen)[0] == {"a": ("0",), "b": ("1",)}


def test_empty_cells_are_unknown_or_none(tmp_path):
    content = "text,label\none,a\ntwo,\nthree,  \n"
    source, rows = read(tmp_path, content)
    assert labels(rows) == [{"label": ("a",)}, {}, {}]
    assert source.notes.total("unknown_label") == 2
    _, rows = read(tmp_path, content, empty_means_none=True)
    assert labels(rows)[1] == {"label": ()}
    assert rows[1].listed == {"label"}


@pytest.mark.parametrize("cell", ['["x", "y"]', "['x', 'y']", "['x' , \"y\"]"])
def test_cells_that_spell_lists(cell, tmp_path):
    lines = [{"text": "one", "label": cell}, {"text": "two", "label": "[]"}]
    content = "text;label\n" + "".join(
        f'{row["text"]};"{row["label"].replace(chr(34), chr(34) * 2)}"\n' for row in lines
    )
    _, rows = read(tmp_path, content)
    assert labels(rows) == [{"label": ("x", "y")}, {"label": ()}]
    assert all(row.listed == {"label"} for row in rows)


def test_cells_that_spell_no_proper_list_are_bad_rows(tmp_path):
    content = "text;label\none;['a']\ntwo;['a' 'b']\nthree;[a]\nfour;[%s]\n" % ("[" * 200 + "]" * 200)
    assert [code for _, code in codes(read(tmp_path, content)[1])] == ["bad_list", "bad_list", "bad_label"]


def test_cells_that_look_like_several_labels_are_warned_of(tmp_path):
    content = "text,label\n" + "".join(f"row {n},{'a|b' if n % 2 else 'a'}\n" for n in range(10)) + "last,b\n"
    source, _ = read(tmp_path, content)
    assert "--label-separator '|'" in source.detected.warnings[0]
    assert not read(tmp_path, content, label_separator="|")[0].detected.warnings


MIXED = "text,team,topics\n" + "".join(f"row {n},{'ab'[n % 2]},{['x|y', 'x', '', 'y'][n % 4]}\n" for n in range(12))


def test_a_separator_of_one_column_leaves_the_others_alone(tmp_path):
    columns = ("team", "topics")
    source, rows = read(tmp_path, MIXED, label_columns=columns, label_separator={"topics": "|"})
    assert labels(rows)[:3] == [
        {"team": ("a",), "topics": ("x", "y")},
        {"team": ("b",), "topics": ("x",)},
        {"team": ("a",)},
    ]
    assert [row.listed for row in rows[:3]] == [{"topics"}, {"topics"}, frozenset()]
    assert source.detected.style == "separated"
    assert not source.detected.warnings


def test_an_empty_cell_means_none_only_where_several_labels_can_stand(tmp_path):
    content = MIXED.replace("row 2,a,", "row 2,,")
    columns = ("team", "topics")
    own = read(tmp_path, content, label_columns=columns, label_separator={"2": "|"}, empty_means_none=True)[1]
    assert labels(own)[2] == {"topics": ()}
    both = read(tmp_path, content, label_columns=columns, label_separator="|", empty_means_none=True)[1]
    assert labels(both)[2] == {"team": (), "topics": ()}


def test_a_separator_of_a_column_that_is_not_read_is_refused(tmp_path):
    with pytest.raises(InvalidSetting, match=r"'topics'.*not read as labels"):
        read(tmp_path, MIXED, label_columns=("team",), label_separator={"topics": "|"})
    with pytest.raises(MissingColumn, match=r"no column 'tags'.*--label-separator \(in Python label_separator\)"):
        read(tmp_path, MIXED, label_columns=("team",), label_separator={"tags": "|"})


def test_the_hint_names_the_column_where_there_are_others(tmp_path):
    source, _ = read(tmp_path, MIXED, label_columns=("team", "topics"))
    assert "--label-separator 'topics=|' (in Python label_separator={'topics': '|'})" in source.detected.warnings[0]


def test_rows_of_empty_cells_are_noted(tmp_path):
    source, rows = read(tmp_path, "text,label\none,a\n,\ntwo,b\n")
    assert len(rows) == 2
    assert source.notes.total("blank_row") == 1


def test_excels_separator_line(tmp_path):
    source, rows = read(tmp_path, "sep=;\ntext;label\none, two;a\nthree;b\n")
    assert source.detected.delimiter == ";"
    assert [row.line for row in rows] == [3, 4]


def test_zero_bytes_are_bad_rows(tmp_path):
    _, rows = read(tmp_path, "text,label\n" + "a good row,x\n" * 20 + "one\0two,a\nthree,b\0\n")
    assert [code for _, code in codes(rows)] == ["control_character", "control_character"]


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
def test_western_encodings_are_detected(encoding, tmp_path):
    content = "text,label\nCafé crème à Genève,été\nplain words,hiver\n".encode(encoding)
    source, rows = read(tmp_path, content)
    assert source.detected.encoding == "cp1252"
    assert rows[0].input == "Café crème à Genève"


def test_the_encoding_is_told_by_what_comes_late(tmp_path):
    content = b"text,label\n" + b"plain words,x\n" * 40_000 + "Genève,y\n".encode("latin-1")
    source, rows = read(tmp_path, content)
    assert rows[-1].input == "Genève"
    assert source.detected.encoding == "cp1252"


def test_other_encodings_are_not_guessed_but_can_be_named(tmp_path):
    content = "text,label\nгде моя карта,да\nпривет вам,нет\n".encode("cp1251")
    _, rows = read(tmp_path, content)
    assert [code for _, code in codes(rows)] == ["undecodable_bytes"] * 2
    assert read(tmp_path, content, encoding="cp1251")[1][0].input == "где моя карта"


def test_a_header_alone_has_no_rows(tmp_path):
    assert read(tmp_path, "text,label\n")[1] == []
    with pytest.raises(NoRows):
        read(tmp_path, "\n\n")


def test_doubled_names_of_columns_are_told_apart(tmp_path):
    _source, rows = read(tmp_path, "text,label,label\none,a,b\ntwo,b,a\n", label_columns=("label", "label 2"))
    assert labels(rows)[0] == {"label": ("a",), "label 2": ("b",)}


def test_options_that_cannot_be_meant_are_refused():
    for options in (
        {"delimiter": "ab"},
        {"delimiter": '"'},
        {"encoding": "klingon"},
        {"label_separator": ""},
        {"label_separator": {}},
    ):
        with pytest.raises(InvalidSetting):
            ReadOptions(**options)
    assert ReadOptions(delimiter="tab").delimiter == "\t"


def test_the_published_headerless_file_of_intents():
    path = Path(__file__).parents[4] / "shared" / "data" / "atis_subset" / "atis_subset.csv"
    if not path.exists():
        pytest.skip("needs the shared data sets")
    source = open_source(path)
    rows = list(source)
    assert source.detected.header is False
    assert (len(rows), labels(rows)[0]) == (1000, {"label": ("atis_flight",)})


def test_a_gzip_bomb_of_one_line_is_not_unpacked_whole(tmp_path):
    content = gzip.compress(b"text,label\none,a\ntwo,b\n" + b"x" * 30_000_000)
    _, rows = read(tmp_path, content, name="rows.csv.gz", max_line_bytes=100_000)
    assert codes(rows) == [(4, "line_too_long")]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(alphabet='a",\n;\t|\r\0é[]', max_size=30), min_size=1, max_size=6))
def test_no_row_makes_the_reader_fail(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("fuzz") / "rows.csv"
    path.write_text("text,label\n" + "good row,x\nother row,y\n" * 20 + "\n".join(lines), encoding="utf-8", newline="")
    for row in open_source(path):
        if isinstance(row, Rejected):
            json.dumps(row.to_json(), ensure_ascii=False).encode()
        else:
            assert row.input.strip()


def test_a_comma_in_every_text_does_not_hide_the_tab(tmp_path):
    content = "".join(f"{'ham' if n % 3 else 'spam'}\tcall number {n}, or not\n" for n in range(30))
    source, rows = read(tmp_path, content, name="rows.txt")
    assert source.detected.delimiter == "\t"
    assert labels(rows)[0] == {"label": ("spam",)}


def test_a_header_above_dates_is_told(tmp_path):
    content = "wording,outcome,when\n" + "".join(f"some more words {n},{'ab'[n % 2]},2024-01-{n}\n" for n in range(20))
    source, _ = read(tmp_path, content)
    assert source.detected.header
    assert dict(source.detected.labels) == {"outcome": "outcome"}


def test_names_of_labels_are_preferred_to_their_numbers(tmp_path):
    source, _ = read(tmp_path, "text,label,label_text\none,0,no\ntwo,1,yes\n")
    assert dict(source.detected.labels) == {"label_text": "label_text"}
    assert source.detected.unread == ("label",)


def test_a_hundred_thousand_columns_are_read_in_time(tmp_path):
    names = [f"c{place}" for place in range(100_000)]
    content = ",".join(["text", "label", *names]) + "\n" + ",".join(["one", "a", *("x" for _ in names)]) + "\n"
    start = perf_counter()
    source, rows = read(tmp_path, content, text_column="text", label_columns=("label",))
    assert labels(rows) == [{"label": ("a",)}]
    assert len(source.detected.unread) == len(names)
    assert perf_counter() - start < 30  # it took minutes when each name was sought in a list


def test_a_column_named_twice_as_label_is_one(tmp_path):
    _, rows = read(tmp_path, "text,label\none,a\ntwo,b\n", label_columns=("label", "1"))
    assert labels(rows) == [{"label": ("a",)}, {"label": ("b",)}]


def test_a_class_number_of_thousands_of_digits_is_a_bad_row(tmp_path):
    content = f"text,label\none,1\ntwo,{'9' * 5000}\nthree,0\n"
    _, rows = read(tmp_path, content, class_names={"label": ("no", "yes")})
    assert codes(rows) == [(3, "label_too_long")]


def test_rows_come_with_all_their_cells(tmp_path):
    source, rows = read(tmp_path, "id,text,id\n7,one,x\n8,two\n9,,y\n", labelled=False, text_column="text")
    found = list(source.with_cells())
    assert source.names == ("id", "text", "id 2")
    assert [cells for cells, _ in found] == [["7", "one", "x"], [], ["9", "", "y"]]
    assert [row for _, row in found] == rows
    assert codes(rows) == [(3, "wrong_cell_count"), (4, "empty_text")]


def test_long_names_that_come_again_and_again_are_not_the_texts(tmp_path):
    names = [f"a_very_long_name_of_a_reason_to_write_to_us_number_{n}" for n in range(77)]
    rows = "".join(f"{names[n % 77]},{n} is late\n" for n in range(154))
    path = tmp_path / "rows.csv"
    path.write_text(f"reason,said\n{rows}", encoding="utf-8")
    detected = open_source(path).detected
    assert (detected.text, dict(detected.labels)) == ("said", {"reason": "reason"})
