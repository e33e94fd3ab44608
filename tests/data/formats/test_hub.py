import gzip
import io
import json

import pytest

from tamis.data.formats import ReadOptions, hub_splits, open_source
from tamis.data.formats.hub import hub_id
from tamis.data.rows import Rejected
from tamis.errors import InvalidSetting, MissingExtra, UnknownFormat, UnreadableFile

pyarrow = pytest.importorskip("pyarrow")
pytest.importorskip("huggingface_hub")

READ = """
import json
from tamis.data.formats import ReadOptions, hub_splits, open_source
from tamis.errors import TamisError
def read(given, **options):
    try:
        options = ReadOptions(**options)
        source = open_source(given, options)
        good = lambda row: hasattr(row, "input")
        rows = [[row.input, dict(row.labels), row.line] if good(row) else [row.code, row.file] for row in source]
        return [list(hub_splits(given, options)), source.detected.to_json(), rows]
    except TamisError as error:
        return [type(error).__name__, str(error)]
"""


def jsonl(*rows):
    return "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows).encode()


def parquet(rows, names=None):
    import pyarrow.parquet

    table = pyarrow.table({"text": [text for text, _ in rows], "label": [label for _, label in rows]})
    if names:
        feature = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(feature)})
    stream = io.BytesIO()
    pyarrow.parquet.write_table(table, stream)
    return stream.getvalue()


def test_a_hub_dataset_with_class_names_and_shards(hub):
    hub.add(
        "owner/cards",
        {
            "README.md": b"",
            "data/train-00000-of-00002.parquet": parquet([("one", 0), ("two", 1)], ["lost", "found"]),
            "data/train-00001-of-00002.parquet": parquet([("three", 1), ("four", -1), ("five", 7)], ["lost", "found"]),
            "data/test-00000-of-00001.parquet": parquet([("six", 0)], ["lost", "found"]),
        },
    )
    train, test, none = hub.run(
        READ + "print(json.dumps([read('owner/cards', split=split) for split in (None, 'test', 'dev')]))"
    )
    assert train[0] == ["train", "test"]
    assert train[1]["split"] == "train"
    assert train[1]["files"] == 2
    assert train[2] == [
        ["one", {"label": ["lost"]}, 1],
        ["two", {"label": ["found"]}, 2],
        ["three", {"label": ["found"]}, 1],
        ["four", {}, 2],
        ["unknown_class", "owner/cards/data/train-00001-of-00002.parquet"],
    ]
    assert test[2] == [["six", {"label": ["lost"]}, 1]]
    assert none == ["InvalidSetting", "owner/cards has no split 'dev'; it has train, test. Name one of them (split)."]


def test_configurations_and_class_names_of_the_card(hub):
    features = [
        {"name": "text", "dtype": "string"},
        {"name": "label", "dtype": {"class_label": {"names": {"0": "no", "1": "yes"}}}},
    ]
    card = {
        "configs": [
            {"config_name": "small", "data_files": [{"split": "train", "path": "small/*.csv"}]},
            {"config_name": "big", "data_files": [{"split": "train", "path": ["big/a.csv", "big/b.csv"]}]},
        ],
        "dataset_info": [{"config_name": "small", "features": features}],
    }
    files = {
        "small/x.csv": b"text,label\none,1\ntwo,0\n",
        "big/a.csv": b"text,label\na,p\n",
        "big/b.csv": b"text,label\nb,q\n",
    }
    hub.add("owner/configured", files, card)
    unclear, small, big = hub.run(
        READ
        + "print(json.dumps([read('owner/configured', **c) for c in ({}, {'config': 'small'}, {'config': 'big'})]))"
    )
    assert unclear == [
        "InvalidSetting",
        "owner/configured has the configurations small, big: name one of them (config).",
    ]
    assert small[2] == [["one", {"label": ["yes"]}, 2], ["two", {"label": ["no"]}, 3]]
    assert [row[1] for row in big[2]] == [{"label": ["p"]}, {"label": ["q"]}]


def test_the_hubs_own_parquet_copy_is_used_where_there_are_no_data_files(hub):
    hub.add("owner/script", {"script.py": b"raise SystemExit"}, {})
    hub.add(
        "owner/script",
        {
            "default/train/0000.parquet": parquet([("one", "a")]),
            "default/validation/0000.parquet": parquet([("two", "b")]),
        },
        revision="refs/convert/parquet",
    )
    (found,) = hub.run(READ + "print(json.dumps([read('owner/script')]))")
    assert found[0] == ["train", "validation"]
    assert found[2] == [["one", {"label": ["a"]}, 1]]


def test_what_is_not_on_the_hub_or_cannot_be_reached_is_said(hub):
    missing, away = hub.run(
        READ
        + "import huggingface_hub.constants as c; a = read('owner/none')\n"
        + "c.ENDPOINT = 'http://127.0.0.1:9'; print(json.dumps([a, read('owner/other')]))"
    )
    assert missing[0] == "UnreadableFile"
    assert "neither a file here nor a dataset" in missing[1]
    assert away[0] == "UnreadableFile"
    assert "owner/other" in away[1]


def test_without_the_library_both_readings_of_a_name_are_said(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtra, match=r"no file or folder owner/typo.*tamis\[data\]"):
        open_source("owner/typo")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("owner/name", "owner/name"),
        ("hf://datasets/owner/name", "owner/name"),
        ("data/train.jsonl", None),
        ("data/train.csv.gz", None),
        ("a/b/c", None),
        ("name", None),
        ("../x", None),
        ("/a/b", None),
    ],
)
def test_what_is_taken_for_a_hub_id(given, expected):
    assert hub_id(given) == expected


def test_a_folder_of_files_has_its_splits(tmp_path):
    (tmp_path / "train.jsonl").write_bytes(jsonl(("one", "a"), ("two", "b")))
    (tmp_path / "dev.jsonl").write_bytes(jsonl(("three", "a")))
    (tmp_path / "test.jsonl.gz").write_bytes(gzip.compress(jsonl(("four", "b"))))
    (tmp_path / "dataset_infos.json").write_text("{}")
    (tmp_path / ".hidden.jsonl").write_text("x")
    assert hub_splits(tmp_path) == ("train", "validation", "test")
    assert [row.input for row in open_source(tmp_path)] == ["one", "two"]
    assert [row.input for row in open_source(tmp_path, ReadOptions(split="val"))] == ["three"]
    test = open_source(tmp_path, ReadOptions(split="test"))
    assert [row.input for row in test] == ["four"]
    assert test.detected.split == "test"


def test_a_folder_without_splits_is_training_data(tmp_path):
    (tmp_path / "part-1.csv").write_text("text,label\none,a\n")
    (tmp_path / "part-2.csv").write_text("text,label\n ,b\nthree,b\n")
    source = open_source(tmp_path)
    rows = list(source)
    assert hub_splits(tmp_path) == ("train",)
    assert [row.file for row in rows if isinstance(row, Rejected)] == [f"{tmp_path}/part-2.csv"]
    assert len(rows) == 3


def test_a_folder_that_load_dataset_saved(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"text": datasets.Value("string"), "intent": datasets.ClassLabel(names=["no", "yes"])})
    rows = {"text": ["one", "two", "three"], "intent": [1, 0, 1]}
    split = datasets.Dataset.from_dict(rows, features=features)
    datasets.DatasetDict({"train": split, "test": split.select([0])}).save_to_disk(str(tmp_path / "both"))
    split.save_to_disk(str(tmp_path / "one"))
    for folder in ("both", "one"):
        source = open_source(tmp_path / folder)
        assert [(row.input, dict(row.labels)) for row in source] == [
            ("one", {"intent": ("yes",)}),
            ("two", {"intent": ("no",)}),
            ("three", {"intent": ("yes",)}),
        ]
        assert source.detected.format == "arrow"
    assert hub_splits(tmp_path / "both") == ("train", "test")


def test_a_readme_may_name_the_files(tmp_path):
    (tmp_path / "README.md").write_text("---\nconfigs:\n- config_name: default\n  data_files: odd*.csv\n---\n# Data\n")
    (tmp_path / "odd1.csv").write_text("text,label\none,a\n")
    (tmp_path / "test.csv").write_text("text,label\ntwo,b\n")
    assert [row.input for row in open_source(tmp_path)] == ["one"]


def test_folders_without_data_or_without_the_split(tmp_path):
    with pytest.raises(UnknownFormat, match="holds no data files"):
        open_source(tmp_path)
    (tmp_path / "test.csv").write_text("text,label\none,a\n")
    (tmp_path / "validation.csv").write_text("text,label\none,a\n")
    with pytest.raises(InvalidSetting, match="no training split"):
        open_source(tmp_path)
    with pytest.raises(InvalidSetting, match="no split 'extra'"):
        open_source(tmp_path, ReadOptions(split="extra"))


def test_a_file_has_no_splits(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\none,a\n")
    assert hub_splits(tmp_path / "train.csv") == ()
    assert hub_splits("none.csv") == ()
    with pytest.raises(UnreadableFile, match=r"no file none\.csv"):
        open_source("none.csv")


@pytest.mark.parametrize("head", ["configs: [\n", "configs: &a [*a, 'x\n", "dataset_info: {\n"])
def test_a_card_that_is_not_yaml_is_told(tmp_path, head):
    (tmp_path / "README.md").write_text(f"---\n{head}---\n")
    (tmp_path / "train.jsonl").write_bytes(jsonl(("a", "b")))
    with pytest.raises(UnreadableFile, match="not a dataset card"):
        open_source(tmp_path)


def test_a_user_who_is_not_there():
    with pytest.raises(UnreadableFile, match=r"no file ~nobody-of-that-name/rows\.jsonl"):
        open_source("~nobody-of-that-name/rows.jsonl")
