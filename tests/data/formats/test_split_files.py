import pytest

from tamis.data.formats.split_files import data_files, pick, split_name, splits_by_config, splits_by_name
from tamis.errors import InvalidSetting


@pytest.mark.parametrize(
    ("paths", "splits"),
    [
        (["train.csv", "test.csv"], {"train": ["train.csv"], "test": ["test.csv"]}),
        (["data/train-00000-of-00001.parquet"], {"train": ["data/train-00000-of-00001.parquet"]}),
        (["my_train.jsonl", "my-val.jsonl"], {"train": ["my_train.jsonl"], "validation": ["my-val.jsonl"]}),
        (["test/0.json", "train/0.json"], {"test": ["test/0.json"], "train": ["train/0.json"]}),
        (["a.csv", "b.csv"], {"train": ["a.csv", "b.csv"]}),
        (["train.csv", "extra.csv"], {"train": ["train.csv"]}),
        (["contest.csv", "retrain.csv"], {"train": ["contest.csv", "retrain.csv"]}),
        (["eval.tsv.gz", "train.tsv.gz"], {"test": ["eval.tsv.gz"], "train": ["train.tsv.gz"]}),
        (["train/validation.csv"], {"validation": ["train/validation.csv"]}),
    ],
)
def test_splits_are_told_by_names(paths, splits):
    assert splits_by_name(paths, "place") == splits


def test_one_format_is_read_and_what_is_no_data_is_not():
    files = ["a.csv", "a.parquet", "README.md", ".git/x.csv", "x/.c/a.csv", "state.json", "cache-1.arrow", "_tmp/a.csv"]
    assert data_files(files) == ["a.parquet"]
    assert data_files(["a.csv", "b.csv", "c.parquet"]) == ["a.csv", "b.csv"]


def test_configurations():
    paths = ["x/a.csv", "y/b.csv", "y/c.csv"]
    configs = [
        {"config_name": "x", "data_files": [{"split": "dev", "path": "x/*"}]},
        {"config_name": "y", "data_files": "y/*.csv", "default": True},
    ]
    assert splits_by_config(configs, paths, None, "p") == {"train": ["y/b.csv", "y/c.csv"]}
    assert splits_by_config(configs, paths, "x", "p") == {"validation": ["x/a.csv"]}
    with pytest.raises(InvalidSetting, match="configurations x, y"):
        splits_by_config(configs, paths, "z", "p")
    for nothing in (None, [], "x", [{"config_name": "default"}], [3]):
        assert splits_by_config(nothing, paths, None, "p") is None


def test_the_split_to_read():
    assert pick({"train": ["a"], "test": ["b"]}, None, "p") == "train"
    assert pick({"unsplit": ["a"]}, None, "p") == "unsplit"
    assert pick({"validation": ["a"]}, "dev", "p") == "validation"
    assert split_name("VAL") == "validation"
    assert split_name("other") == "other"
