"""A graph in 8-bit integers: smaller, near, and a text's logits do not depend on the others."""

import numpy as np
import pytest

from tamis.ml.encoder.placement import DATA
from tamis.ml.encoder.quantise import quantise
from tamis.ml.encoder.session import Session


@pytest.fixture(scope="module", params=["bert", "qwen2"])
def forms(request, exported, tmp_path_factory):
    folder = exported(request.param)[1]
    made = {"float": folder}
    for name, products in (("all", True), ("tables", False)):
        made[name] = tmp_path_factory.mktemp(name)
        quantise(folder, made[name], products=products)
    return made


def test_it_is_smaller_and_near(forms):
    ids = np.random.default_rng(0).integers(3, 250, (6, 20))
    mask = np.ones_like(ids)
    sizes = {name: (folder / DATA).stat().st_size for name, folder in forms.items()}
    assert sizes["all"] < 0.6 * sizes["float"]
    assert sizes["all"] < sizes["tables"] < sizes["float"]
    found = {name: Session(folder, threads=1).run(ids, mask) for name, folder in forms.items()}
    spread = np.ptp(found["float"])
    for name in ("all", "tables"):
        off = np.abs(found[name] - found["float"]).max()
        assert 0 < off < 0.1 * spread


def test_a_texts_logits_do_not_depend_on_the_others(forms):
    random = np.random.default_rng(1)
    for name in ("all", "tables"):
        session = Session(forms[name], threads=2)
        for length in (1, 4, 30):
            ids = random.integers(3, 250, (1, length))
            alone = session.run(ids, np.ones_like(ids))
            together, mask = random.integers(3, 250, (9, 40)), np.ones((9, 40), dtype=np.int64)
            together[4], mask[4] = 0, 0
            together[4, :length], mask[4, :length] = ids[0], 1
            np.testing.assert_allclose(session.run(together, mask)[4], alone[0], atol=1e-6)


def test_a_token_of_zeros_and_a_column_of_zeros_are_no_numbers_to_divide_by(exported, tmp_path):
    import onnx

    from tamis.ml.encoder.onnx_file import write
    from tamis.ml.encoder.placement import MODEL

    proto = onnx.load(exported("bert")[1] / MODEL)
    for tensor in proto.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) in (1, 2):  # norms, biases and matrices
            zeros = onnx.numpy_helper.to_array(tensor).copy()
            zeros[..., : max(1, zeros.shape[-1] // 2)] = 0
            tensor.CopyFrom(onnx.numpy_helper.from_array(zeros * (len(tensor.dims) == 2), tensor.name))
    (tmp_path / "float").mkdir()
    write(proto, tmp_path / "float")
    quantise(tmp_path / "float", tmp_path, products=True)
    ids = np.array([[1, 5, 2]])
    assert np.isfinite(Session(tmp_path).run(ids, np.ones_like(ids))).all()
