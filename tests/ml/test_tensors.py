import contextlib
import errno
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load, save

from tamis.errors import DamagedArtifact, TamisError, UnsupportedArtifact
from tamis.ml.tensors import DTYPES, MAX_HEADER, MAX_RANK, parse_tensors, read_tensors, write_tensors

HERE = Path("model.safetensors")
arrays = hnp.arrays(
    st.sampled_from(list(DTYPES.values())), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
)


def parse(raw: bytes):
    return parse_tensors(np.frombuffer(raw, dtype=np.uint8), HERE)


def file_of(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype="U8", shape=(4,), offsets=(0, 4)) -> dict:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@given(st.dictionaries(st.text(min_size=1, max_size=8).filter(lambda name: name != "__metadata__"), arrays, max_size=5))
@settings(max_examples=60, deadline=None)
def test_reads_what_the_safetensors_package_reads(tensors):
    raw = save(tensors)
    ours, theirs = parse(raw), load(raw)
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert array.dtype == theirs[name].dtype
        assert array.shape == theirs[name].shape
        assert array.tobytes() == theirs[name].tobytes()


def test_written_tensors_are_views_of_the_file(tmp_path):
    tensors = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.ones((3, 1), dtype=np.float16)}
    write_tensors(tmp_path / "x", {**tensors, "t": tensors["b"].T})
    read = read_tensors(tmp_path / "x")
    assert np.array_equal(read["t"], tensors["b"].T)
    assert np.array_equal(read["b"], tensors["b"])
    assert np.array_equal(read["a"], tensors["a"])
    with pytest.raises(ValueError, match="read-only"):
        read["b"][0, 0] = 1
    assert all(np.may_share_memory(array, array.base) for array in read.values())


def test_the_same_tensors_give_the_same_bytes_in_any_order(tmp_path):
    tensors = {name: np.full(3, i, dtype=np.float32) for i, name in enumerate("cabed")}
    write_tensors(tmp_path / "x", tensors)
    write_tensors(tmp_path / "y", dict(reversed(tensors.items())))
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()
    assert b"__metadata__" not in (tmp_path / "x").read_bytes()


def test_others_may_read_the_file_as_the_umask_says(tmp_path):
    (tmp_path / "plain").touch()
    write_tensors(tmp_path / "x", {"a": np.zeros(1)})
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_full_disk_is_an_error_of_the_system(tmp_path):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OSError, match="too large") as caught:
            write_tensors(tmp_path / "x", {"a": np.zeros(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG


def test_what_could_not_be_read_is_not_written(tmp_path):
    with pytest.raises(TypeError, match="complex128"):
        write_tensors(tmp_path / "x", {"a": np.zeros(1, dtype=complex)})


def test_metadata_and_padding_of_other_writers_are_fine():
    header = json.dumps({"__metadata__": {"format": "pt"}, "a": entry()}).encode() + b"   "
    assert parse(file_of(header, b"abcd"))["a"].tobytes() == b"abcd"


DAMAGED = {
    "no length": b"1234",
    "a header longer than the file": (1000).to_bytes(8, "little") + b"{}",
    "a header of 2**64 - 1 bytes": b"\xff" * 8 + b"{}",
    "a header longer than allowed": file_of(b"{" + b" " * MAX_HEADER + b"}"),
    "not JSON": file_of(b"{"),
    "not an object": file_of([]),
    "a tensor twice": file_of(b'{"a": %b, "a": %b}' % ((json.dumps(entry()).encode(),) * 2), b"abcd"),
    "metadata that are not texts": file_of({"__metadata__": {"a": 1}}),
    "metadata that are a list": file_of({"__metadata__": []}),
    "an entry that is a list": file_of({"a": []}),
    "an entry without a shape": file_of({"a": {"dtype": "U8", "data_offsets": [0, 4]}}, b"abcd"),
    "an entry with more": file_of({"a": {**entry(), "more": 1}}, b"abcd"),
    "a negative side": file_of({"a": entry(shape=(-4,))}, b"abcd"),
    "two negative sides": file_of({"a": entry(shape=(-2, -2))}, b"abcd"),
    "a side that is a float": file_of({"a": entry(shape=(4.0,))}, b"abcd"),
    "a side that is true": file_of({"a": entry(shape=(True,), offsets=(0, 1))}, b"a"),
    "a shape that is a number": file_of({"a": {**entry(), "shape": 4}}, b"abcd"),
    "too many sides": file_of({"a": entry(shape=(1,) * MAX_RANK + (4,))}, b"abcd"),
    "sides whose product overflows 64 bits": file_of({"a": entry(shape=(2**62, 4, 2**2))}, b"abcd"),
    "one offset": file_of({"a": entry(offsets=(4,))}, b"abcd"),
    "offsets the wrong way round": file_of({"a": entry(offsets=(4, 0))}, b"abcd"),
    "a shape that is too large": file_of({"a": entry(shape=(5,))}, b"abcd"),
    "a shape that is too small": file_of({"a": entry(dtype="F16", shape=(1,))}, b"abcd"),
    "offsets outside": file_of({"a": entry(offsets=(0, 4))}, b"abc"),
    "a hole at the start": file_of({"a": entry(offsets=(1, 5))}, b"abcde"),
    "a hole between": file_of({"a": entry(), "b": entry(offsets=(5, 9))}, b"abcdefghi"),
    "an overlap": file_of({"a": entry(), "b": entry(offsets=(2, 6))}, b"abcdef"),
    "bytes after the end": file_of({"a": entry()}, b"abcde"),
    "bytes that belong to no tensor": file_of({}, b"abcde"),
}


@pytest.mark.parametrize("raw", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_file_is_refused(raw):
    with pytest.raises(DamagedArtifact, match=r"model\.safetensors is damaged: .*Get the whole folder again"):
        parse(raw)


@pytest.mark.parametrize("dtype", ["BF16", "F8_E4M3", 7, None, ["F32"], "O"])
def test_a_type_that_numpy_does_not_have_is_refused(dtype):
    with pytest.raises(UnsupportedArtifact, match="Convert it"):
        parse(file_of({"a": entry(dtype=dtype)}, b"abcd"))


GOOD = save({"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(3, dtype=np.int8)})


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_any_mutation_is_read_or_refused_but_never_crashes(data):
    raw = bytearray(GOOD[: data.draw(st.integers(0, len(GOOD)))])
    for _ in range(data.draw(st.integers(0, 3))):
        if raw:
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(TamisError):
        for array in parse(bytes(raw)).values():
            array.sum()


@pytest.mark.parametrize("shape", [(0, 1 << 70), (1 << 62, 0, 8), (0, 1 << 62, 1 << 62), (0, 10**4000)])
def test_sizes_beyond_numpy_beside_a_size_of_zero(shape):
    with pytest.raises(DamagedArtifact, match="beyond what numpy"):
        parse(file_of({"a": entry("F32", shape, (0, 0))}))
