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


def test_sums_of_bytes_do_not_overflow(tmp_path):
    import onnx
    import onnxruntime

    from tamis.ml.encoder.session import session_options

    rows, inner, columns = 3, 512, 64
    weights = np.full((inner, columns), -127, dtype=np.int8)
    helper, kinds = onnx.helper, onnx.TensorProto
    node = helper.make_node("MatMulInteger", ["given", "weights", "middle"], ["sums"])
    constants = [
        onnx.numpy_helper.from_array(weights, "weights"),
        onnx.numpy_helper.from_array(np.uint8(128), "middle"),
    ]
    given = helper.make_tensor_value_info("given", kinds.UINT8, [rows, inner])
    sums = helper.make_tensor_value_info("sums", kinds.INT32, [rows, columns])
    graph = helper.make_graph([node], "g", [given], [sums], constants)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    proto.ir_version = 10
    session = onnxruntime.InferenceSession(proto.SerializeToString(), session_options(1))
    (found,) = session.run(["sums"], {"given": np.full((rows, inner), 255, dtype=np.uint8)})
    assert (found == -127 * 127 * inner).all()
