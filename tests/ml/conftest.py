import runpy
from pathlib import Path

import pytest

from tamis import testing

TINY = runpy.run_path(str(Path(__file__).with_name("make_fixture.py")))


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory):
    """A base model of forty words, as a folder."""
    return testing.tiny_base(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="session")
def tiny_rows():
    """Rows of two targets, one of them multi-label, with unknown labels."""
    return TINY["tiny_rows"]()


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """A model trained on these rows, with both kinds of target."""
    folder = tmp_path_factory.mktemp("models") / "support"
    TINY["make"](folder)
    return folder


@pytest.fixture
def tiny_model(tiny_folder):
    """The model, loaded."""
    from tamis.ml.model import load

    return load(tiny_folder)


@pytest.fixture(scope="session")
def chat_model(tiny_base, tiny_rows):
    """A model of chats: three fields an input."""
    from tamis.ml.training import train

    rows = [
        {
            "messages": [
                {"role": "system", "content": "be nice"},
                {"role": "user", "content": "hello, a question"},
                {"role": "assistant", "content": "yes please?"},
                {"role": "user", "content": row["text"]},
            ],
            "labels": row["labels"],
        }
        for row in tiny_rows
    ]
    return train(rows, base=str(tiny_base), epochs=3)
