"""model.onnx computes what the network does, for every architecture, and is the same file every time."""

import os

import numpy as np
import pytest
import torch

from tamis.ml.encoder.onnx_file import NotExportable, check, export
from tamis.ml.encoder.placement import DATA, MODEL
from tamis.ml.encoder.session import Session

KINDS = ("bert", "modernbert", "deberta-v2", "qwen2")
MORE = ("distilbert", "roberta", "electra", "llama", "mistral")
"""Much like the others, and each takes seconds: looked at where TAMIS_TEST_ALL is set."""


@pytest.mark.parametrize("kind", [*KINDS, *(MORE if os.environ.get("TAMIS_TEST_ALL") else ())])
def test_it_computes_what_the_network_does(exported, kind):
    network, folder = exported(kind)
    session, random = Session(folder, threads=1), np.random.default_rng(3)
    for count, length in ((1, 1), (1, 5), (4, 33), (7, 12), (2, 100)):
        ids = random.integers(3, 250, (count, length))
        mask = (np.arange(length) < random.integers(1, length + 1, count)[:, None]).astype(np.int64)
        ids[mask == 0] = 0
        with torch.no_grad():
            wanted = network(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits.numpy()
        np.testing.assert_allclose(session.run(ids, mask), wanted, atol=1e-5)


def test_the_same_network_gives_the_same_bytes_and_they_tell_nothing_of_this_machine(exported, tmp_path):
    network, folder = exported("bert")
    export(network, tmp_path, [[1, 7, 8, 9, 2]], 0)
    for name in (MODEL, DATA):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    graph = (folder / MODEL).read_bytes()
    assert b"site-packages" not in graph
    assert b"stack_trace" not in graph
    assert b"length" in graph
    assert len(graph) < 100_000


def test_a_file_that_computes_something_else_is_not_taken(exported):
    network, _ = exported("bert")
    other = exported("modernbert")[1]
    with torch.no_grad(), pytest.raises(NotExportable, match="off by"):
        check(network, other, [[1, 7, 2]], 0)


def test_a_network_that_cannot_be_written_is_told_so_and_left_as_it_was(exported, tmp_path):
    network, _ = exported("bert")

    class Strange(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.config = network, network.config

        def forward(self, input_ids, attention_mask):
            if float(input_ids.sum()) > 3:
                return self.inner(input_ids=input_ids, attention_mask=attention_mask)
            return self.inner(input_ids=input_ids + 1, attention_mask=attention_mask)

    strange = Strange().train()
    with pytest.raises(NotExportable):
        export(strange, tmp_path, [[1, 7, 2]], 0)
    assert strange.training


def test_the_last_layer_is_computed_for_the_token_that_the_head_reads(exported, tmp_path, monkeypatch):
    network, folder = exported("bert")
    monkeypatch.setattr("tamis.ml.encoder.onnx_file.reads_first_token", lambda *_: False)
    export(network, tmp_path, [[1, 7, 8, 9, 2]], 0)
    assert (tmp_path / MODEL).read_bytes() != (folder / MODEL).read_bytes()
    ids = np.array([[1, 7, 8, 9, 2], [1, 7, 2, 0, 0]])
    mask = (ids > 0).astype(np.int64)
    whole, first = (Session(place, threads=1).run(ids, mask) for place in (tmp_path, folder))
    np.testing.assert_allclose(first, whole, atol=1e-5)
