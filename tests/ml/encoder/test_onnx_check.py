"""Graphs of strangers: only plain programs over one file of weights are opened."""

import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from tamis.errors import DamagedArtifact
from tamis.ml.encoder import memory, onnx_check
from tamis.ml.encoder.onnx_check import refuse_hostile
from tamis.ml.encoder.placement import DATA, MODEL
from tamis.ml.encoder.quantise import quantise
from tamis.ml.encoder.session import Session

OTHERS = ("If", "Loop", "Scan", "ConstantOfShape", "Resize", "OneHot", "RandomNormalLike", "Constant")


def model(nodes=None, tensors=(), **opsets):
    node = helper.make_node("Identity", ["x"], ["y"])
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([node] if nodes is None else nodes, "g", [value], [out], list(tensors))
    imports = [helper.make_opsetid(domain, version) for domain, version in ({"": 22} | opsets).items()]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def external(shape=(2, 3), kind=TensorProto.FLOAT, **entries):
    tensor = TensorProto(name="w", data_type=kind, dims=shape, data_location=TensorProto.EXTERNAL)
    for key, value in ({"location": DATA, "offset": "0", "length": "24"} | entries).items():
        if value is not None:
            tensor.external_data.add(key=key, value=value)
    return tensor


@pytest.mark.parametrize("kind", ["bert", "deberta-v2", "llama"])
def test_what_tamis_writes_passes(exported, kind, tmp_path):
    _, folder = exported(kind)
    quantise(folder, tmp_path, products=True)
    for place in (folder, tmp_path):
        refuse_hostile((place / MODEL).read_bytes(), (place / DATA).stat().st_size)


def test_plain_graphs_pass():
    refuse_hostile(model().SerializeToString(), 0)
    refuse_hostile(model(tensors=[external()]).SerializeToString(), 24)
    refuse_hostile(model(tensors=[external(offset="64")]).SerializeToString(), 88)


def field(number, content, *, above=0, kind=2):
    """A field as it is written, with bits above those of a key that are read."""

    def varint(value):
        return bytes([value & 127 | 128]) + varint(value >> 7) if value > 127 else bytes([value])

    size = varint(len(content)) if kind == 2 else b""
    return varint((above << 32) + (number << 3 | kind)) + size + content


def test_a_part_that_only_the_runtime_would_read_is_refused():
    hidden = field(7, field(1, helper.make_node("Loop", ["x"], ["z"]).SerializeToString()), above=1)
    written = model().SerializeToString()
    with pytest.raises(Exception, match="Loop"):  # it is read
        onnxruntime.InferenceSession(written + hidden)
    with pytest.raises(ValueError, match="whose number is none"):
        refuse_hostile(written + hidden, 0)


@pytest.mark.parametrize("above", [1, 7, 1 << 20])
def test_places_that_only_the_runtime_would_read_are_refused(above):
    place = field(1, b"location") + field(2, b"/etc/passwd")
    tensor = external().SerializeToString() + field(13, place, above=above)
    with pytest.raises(ValueError, match="whose number is none"):
        refuse_hostile(model().SerializeToString() + field(7, field(5, tensor)), 24)


def test_a_place_that_is_there_twice_is_refused():
    tensor = external()
    tensor.external_data.add(key="location", value=DATA)
    with pytest.raises(ValueError, match="two places"):
        refuse_hostile(model(tensors=[tensor]).SerializeToString(), 24)


def test_shapes_that_only_this_check_would_read_are_refused():
    tensor = field(1, bytes(8), kind=1) + TensorProto(name="w", data_type=1, dims=[1 << 39]).SerializeToString()
    with pytest.raises(ValueError, match="not a protocol buffer"):
        refuse_hostile(field(7, field(5, tensor)), 0)


@pytest.mark.parametrize(
    "tensor",
    [
        external(location="../../../etc/passwd"),
        external(location="/etc/passwd"),
        external(location="model.safetensors"),
        external(location=None),
        external(length="25"),
        external(length=None),
        external(offset="1"),
        external(offset="-1"),
        external(offset="9" * 40),
        external(offset="١"),
        external(shape=(1 << 62, 1 << 62)),
        external(shape=(2,) * 1_000_000),  # whose product alone would take minutes
        external(checksum="0"),
    ],
    ids=lambda tensor: str([entry.value[:30] for entry in tensor.external_data]),
)
def test_weights_from_elsewhere_are_refused(tensor):
    with pytest.raises(ValueError, match=r"wants weights|whose place|no machine"):
        refuse_hostile(model(tensors=[tensor]).SerializeToString(), 24)
    inside = helper.make_node("Constant", [], ["y"])
    inside.attribute.append(helper.make_attribute("value", tensor))
    with pytest.raises(ValueError, match=r"wants weights|whose place|no machine"):
        refuse_hostile(model([inside]).SerializeToString(), 24)


def test_what_does_not_end_or_is_not_known_is_refused():
    inner = helper.make_graph([], "inner", [], [])
    looped = helper.make_node("Anything", ["x"], ["y"])
    looped.attribute.append(helper.make_attribute("body", inner))
    listed = helper.make_node("Anything", ["x"], ["y"])
    listed.attribute.append(helper.make_attribute("bodies", [inner]))
    for nodes, told in (
        ([looped], "graph within"),
        ([listed], "graph within"),
        *(([helper.make_node(name, ["x"], ["y"])], f"{name}.*none that Tamis writes") for name in OTHERS),
        ([helper.make_node("Range", ["one", "", "one"], ["y"])], "Range computes with constants alone"),
        ([helper.make_node("Range", [], ["y"])], "constants alone"),
        ([helper.make_node("Run", ["x"], ["y"], domain="evil.example")], "evil.example"),
    ):
        one = numpy_helper.from_array(np.ones((), dtype=np.int64), "one")
        with pytest.raises(ValueError, match=told):
            refuse_hostile(model(nodes, [one]).SerializeToString(), 0)
    with pytest.raises(ValueError, match=r"com\.evil"):
        refuse_hostile(model(**{"com.evil": 1}).SerializeToString(), 0)
    for version in (1, 21, 24):
        with pytest.raises(ValueError, match=f"of version {version}, and 22, 23 are known"):
            refuse_hostile(model(**{"": version}).SerializeToString(), 0)
    functions = model()
    functions.functions.add(name="f")
    trained = model()
    trained.training_info.add()
    for made in (functions, trained):
        with pytest.raises(ValueError, match="functions of its own"):
            refuse_hostile(made.SerializeToString(), 0)
    sparse = model()
    sparse.graph.sparse_initializer.add()
    with pytest.raises(ValueError, match="sparse"):
        refuse_hostile(sparse.SerializeToString(), 0)
    with pytest.raises(ValueError, match="2 graphs"):
        refuse_hostile(model().SerializeToString() * 2, 0)
    with pytest.raises(ValueError, match="0 graphs"):
        refuse_hostile(b"", 0)


def test_constants_are_no_larger_than_their_bytes():
    large = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[500_000_000], raw_data=b"1234")
    typed = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    strange = TensorProto(name="w", data_type=TensorProto.STRING, dims=[1], raw_data=b"1")
    shared = [external(), external()]
    shared[1].name = "v"
    for tensors, told in (
        ([large], "2,000,000,000 bytes by its shape, and 4 are there"),
        ([typed], "not in bytes"),
        ([strange], "of a type that is not known"),
        (shared, "have 48 bytes in model.onnx.data, which has 24"),
    ):
        with pytest.raises(ValueError, match=told):
            refuse_hostile(model(tensors=tensors).SerializeToString(), 24)


BOMB = """
import sys
from pathlib import Path
import numpy as np
from tamis.ml.encoder import memory
from tamis.ml.encoder.session import Session
memory.most_memory = lambda: 300 << 20
ids = np.ones((1, 4), dtype=np.int64)
try:
    Session(Path(sys.argv[1])).run(ids, ids)
except Exception as error:
    import re, resource
    status = Path("/proc/self/status")  # elsewhere, what the parent took before counts too
    peak = re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1] if status.exists() else 0
    print(type(error).__name__, error, peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def classifier(nodes, dims=("batch", "length"), **constants):
    """A graph from ids to logits, as the session wants it."""
    values = [helper.make_tensor_value_info(name, 7, dims) for name in ("input_ids", "attention_mask")]
    out = [helper.make_tensor_value_info("logits", 1, ["batch", "labels"])]
    tensors = [numpy_helper.from_array(np.array(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", values, out, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)


@pytest.fixture
def tried(tmp_path):
    """A function: what running a graph with little memory comes to, and the kilobytes that it took."""

    def run(made):
        (tmp_path / MODEL).write_bytes(made.SerializeToString())
        (tmp_path / DATA).write_bytes(b"")
        command = [sys.executable, "-c", BOMB, str(tmp_path)]
        told = subprocess.run(command, text=True, capture_output=True, check=True).stdout
        return told, int(told.split()[-1])

    return run


def test_a_graph_of_plain_operators_that_asks_for_all_memory_ends_with_an_error(tried):
    doubled = [helper.make_node("Concat", [f"x{at}", f"x{at}"], [f"x{at + 1}"], axis=1) for at in range(40)]
    cast = helper.make_node("Cast", ["input_ids"], ["x0"], to=1)
    last = helper.make_node("Slice", ["x40", "zero", "one", "one"], ["logits"])
    told, taken = tried(classifier([cast, *doubled, last], zero=[0], one=[1]))
    assert told.startswith("DamagedArtifact")
    assert "ONNX Runtime cannot run it" in told
    assert taken < 600_000


def test_what_follows_from_known_shapes_is_not_computed_on_opening(tried):
    nodes = [
        helper.make_node("Reshape", ["input_ids", "side"], ["square"]),
        helper.make_node("Shape", ["square"], ["shape"]),
        helper.make_node("Expand", ["ones", "shape"], ["large"]),
        helper.make_node("ReduceSum", ["large"], ["sum"], keepdims=1),
        helper.make_node("Cast", ["sum"], ["logits"], to=1),
    ]
    told, taken = tried(classifier(nodes, side=[10_000, 10_000], ones=np.ones((1, 1), np.float32)))
    assert told.startswith("DamagedArtifact")
    assert taken < 300_000


@pytest.mark.parametrize("dims", [(14_000, 14_000), ("batch", 1), (0, "length")])
def test_inputs_of_set_lengths_are_refused(dims):
    node = helper.make_node("Cast", ["input_ids"], ["logits"], to=1)
    refuse_hostile(classifier([node]).SerializeToString(), 0)
    with pytest.raises(ValueError, match="lengths that are set"):
        refuse_hostile(classifier([node], dims).SerializeToString(), 0)


def chain(operator, count, **how):
    """An operator that takes what it gives, twice, so many times."""
    return [helper.make_node(operator, [f"x{at}", f"x{at}"], [f"x{at + 1}"], **how) for at in range(count)]


@pytest.mark.parametrize(
    ("nodes", "constants", "told"),
    [
        (  # dimensions double: 26 operators took gigabytes on opening
            [helper.make_node("Cast", ["input_ids"], ["x0"], to=7), *chain("Gather", 26)],
            {},
            "Gather makes a shape that is too long",
        ),
        (  # as do the numbers of a shape that is known
            [
                helper.make_node("Reshape", ["input_ids", "one"], ["y"]),
                helper.make_node("Shape", ["y"], ["x0"]),
                *chain("Concat", 26, axis=0),
            ],
            {"one": [1, 1]},
            "Concat makes a shape that is too long",
        ),
        ([helper.make_node("Reshape", ["input_ids", "many"], ["y"])], {"many": [1] * 65}, "Reshape makes a shape"),
        ([helper.make_node("Expand", ["input_ids", "many"], ["y"])], {"many": [1] * 65}, "Expand makes a shape"),
        ([helper.make_node("Unsqueeze", ["input_ids", "many"], ["y"])], {"many": [*range(65)]}, "Unsqueeze makes a"),
        (  # a few bytes that say how many dimensions there are
            [
                helper.make_node("Reshape", ["input_ids", "many"], ["shape"]),
                helper.make_node("Tile", ["shape", "many"], ["tiled"]),
                helper.make_node("Reshape", ["input_ids", "tiled"], ["y"]),
            ],
            {"many": [1_000_000]},
            "whose length is not known",
        ),
        ([helper.make_node("Abs", ["later"], ["y"])], {}, "takes what is not there"),
    ],
)
def test_shapes_of_many_lengths_are_refused(nodes, constants, told):
    with pytest.raises(ValueError, match=told):
        refuse_hostile(classifier(nodes, **constants).SerializeToString(), 0)


def test_inputs_of_more_dimensions_than_are_given_are_refused():
    node = helper.make_node("Cast", ["input_ids"], ["logits"], to=1)
    with pytest.raises(ValueError, match="have 3 dimensions, and 2"):
        refuse_hostile(classifier([node], ("a", "b", "c")).SerializeToString(), 0)


def test_shapes_that_a_file_claims_are_refused():
    claimed = model()
    claimed.graph.value_info.append(helper.make_tensor_value_info("z", 1, [14_000, 14_000]))
    with pytest.raises(ValueError, match="what shapes it computes"):
        refuse_hostile(claimed.SerializeToString(), 0)


def test_as_much_memory_as_the_container_has(monkeypatch, tmp_path):
    whole = memory.most_memory()
    (tmp_path / "max").write_text("max\n")
    (tmp_path / "some").write_text("1000000\n")
    monkeypatch.setattr(memory, "LIMITS", (tmp_path / "max", tmp_path / "none"))
    assert memory.most_memory() >= whole
    monkeypatch.setattr(memory, "LIMITS", (tmp_path / "max", tmp_path / "some"))
    assert memory.most_memory() == 750_000


def test_graphs_that_are_too_large_are_refused(monkeypatch):
    monkeypatch.setattr(onnx_check, "MOST_NODES", 2)
    with pytest.raises(ValueError, match="3 operators"):
        refuse_hostile(model([helper.make_node("Abs", ["x"], ["y"])] * 3).SerializeToString(), 0)
    monkeypatch.setattr(onnx_check, "MAX_GRAPH", 10)
    with pytest.raises(ValueError, match="10 are allowed"):
        refuse_hostile(model().SerializeToString(), 0)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 200), st.integers(0, 200))
def test_damaged_bytes_are_refused_or_harmless(noise, begin, cut):
    whole = model(tensors=[external()]).SerializeToString()
    for raw in (noise, whole[:begin] + noise + whole[begin + cut :]):
        try:
            refuse_hostile(raw, 24)
        except ValueError:
            continue


def test_a_damaged_graph_and_one_with_other_inputs_are_told_as_damaged(tmp_path):
    (tmp_path / DATA).write_bytes(b"")
    for raw, told in (
        (b"not a graph", "protocol buffer|cut off|graphs"),
        (model([helper.make_node("Gemm", ["x"], ["y"])]).SerializeToString(), "ONNX Runtime"),
        (model().SerializeToString(), "inputs and outputs"),
    ):
        (tmp_path / MODEL).write_bytes(raw)
        with pytest.raises(DamagedArtifact, match=told):
            Session(tmp_path).run(*(onnx.numpy_helper.to_array(helper.make_tensor("a", 7, [1, 1], [1])),) * 2)
