"""A person's own table gives a model the figures that the same rows give which were prepared for it."""

import csv
import json
from pathlib import Path

import pytest

from tamis.data.formats import ReadOptions, open_source
from tamis.data.layout import Layout
from tamis.ml.model import Model, load
from tamis.ml.promotion import Rivals, contest, rows_for
from tamis.ml.reading import READING, layout_of, reading_for
from tamis.ml.training import train
from tamis.schema import Example

LAYOUT = Layout(
    text="Message", labels=("Topic", "Marks"), separators={"Marks": ";"}, header=True, empty_means_none=True
)
WORDS = {"delivery": "where is my parcel", "payment": "you charge my card"}


def rows(count: int = 40) -> list[tuple[str, str, list[str]]]:
    made = []
    for n in range(count):
        topic = list(WORDS)[n % 2]
        marks = [*(["angry"] if n % 4 == 0 else []), *(["repeated"] if n % 3 == 0 else [])]
        made.append((f"{WORDS[topic]} {'terrible' * (n % 4 == 0)} {'again' * (n % 3 == 0)} {n}", topic, marks))
    return made


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "messages.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["Message", "Topic", "Marks"], *([t, k, ";".join(m)] for t, k, m in rows())])
    return path


@pytest.fixture(scope="module")
def prepared(raw: Path) -> Path:
    made = [{"text": t, "labels": {"Topic": k, "Marks": m}} for t, k, m in rows()]
    path = raw.with_name("prepared.jsonl")
    path.write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def model(tiny_base: str, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """It learnt from prepared rows, and knows how these were laid out before."""
    return train(prepared, base=str(tiny_base), layout=LAYOUT, epochs=2, out=tmp_path_factory.mktemp("m") / "model")


def figures(model: Model, data: object, options: ReadOptions | None = None) -> dict[str, object]:
    report = model.evaluate(data, options=options).to_json()
    report.pop("seconds")
    for target in report["targets"].values():  # type: ignore[attr-defined]
        for mistake in target["mistakes"]:
            mistake.pop("line", None)
    return report


def test_the_layout_is_kept_with_the_model(model: Model) -> None:
    assert layout_of(load(model.folder).manifest) == LAYOUT  # type: ignore[arg-type]
    assert model.manifest.training[READING] == {
        "text": "Message",
        "labels": ["Topic", "Marks"],
        "separators": {"Marks": ";"},
        "header": True,
        "empty_means_none": True,
    }


def test_the_raw_table_gives_what_the_prepared_rows_give(model: Model, raw: Path, prepared: Path) -> None:
    assert figures(model, raw) == figures(model, prepared)


def test_a_frame_in_memory_too(model: Model, raw: Path, prepared: Path) -> None:
    columns = {"Message": [t for t, _, _ in rows()], "Topic": [k for _, k, _ in rows()]}
    columns["Marks"] = [";".join(m) for _, _, m in rows()]
    assert figures(model, columns) == figures(model, prepared)


def test_promotion_reads_like_either_model(model: Model, raw: Path, prepared: Path, tiny_base: str) -> None:
    plain = train(prepared, base=str(tiny_base), epochs=1)
    parts = [rows_for(Rivals(plain, "b", model, "a"), each).data for each in (raw, prepared)]
    assert parts[0].content_hash() == parts[1].content_hash()
    assert contest(Rivals(plain, "b", model, "a"), parts[0], ()).targets["Marks"].rows == 40


def test_without_a_layout_cells_are_divided_by_the_labels(prepared: Path, raw: Path, tiny_base: str) -> None:
    plain = train(prepared, base=str(tiny_base), epochs=1)
    assert layout_of(plain.manifest) is None
    report = plain.evaluate(raw)
    assert not any(target.unseen_labels for target in report.targets.values())
    assert report.targets["Marks"].n == sum(bool(marks) for _, _, marks in rows())  # an empty cell says nothing then


def test_a_table_is_learnt_with_its_layout(raw: Path, prepared: Path, tiny_base: str) -> None:
    options = ReadOptions(label_columns=("Topic", "Marks"), label_separator={"Marks": ";"}, empty_means_none=True)
    learnt = train(raw, base=str(tiny_base), epochs=1, options=options)
    assert layout_of(learnt.manifest) == LAYOUT.model_copy(update={"flags": False})
    assert figures(learnt, raw) == figures(learnt, prepared)
    assert layout_of(learnt.with_thresholds("micro-f1").manifest) == layout_of(learnt.manifest)


def test_a_grown_model_keeps_it(model: Model, raw: Path, prepared: Path, tmp_path: Path) -> None:
    more = tmp_path / "more.csv"
    more.write_text("Message,Topic,Marks\n" + "".join(f"i love it {n},praise,angry;happy\n" for n in range(8)))
    grown = train(more, start_from=model, rehearse=prepared)
    assert [target.labels[-1] for target in grown.targets] == ["praise", "happy"]
    assert layout_of(grown.manifest) == LAYOUT
    again = train(prepared, start_from=model, rehearse=prepared)
    assert layout_of(again.manifest) == LAYOUT


def test_texts_alone_are_found_for_a_model(model: Model, raw: Path) -> None:
    options = reading_for(ReadOptions(labelled=False), [model.manifest])
    assert [row.input for row in open_source(raw, options) if isinstance(row, Example)] == [t for t, _, _ in rows()]


def test_a_manifest_that_keeps_nonsense_is_read_as_one_that_keeps_nothing(model: Model) -> None:
    training = {**model.manifest.training, READING: {"text": 5, "unheard": "of"}}
    assert layout_of(model.manifest.model_copy(update={"training": training})) is None
