"""Files of torch.save and numpy.save are read as data and never run."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict, defaultdict

import numpy as np
import pytest

from needlepoint.bench.datasets.pickles import load_objects, load_torch
from needlepoint.errors import UsageError


def zipped(path, content, **storages):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("small/data.pkl", content)
        for key, data in storages.items():
            archive.writestr(f"small/data/{key}", data)
    return path


class Call:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def same(first, second):
    if isinstance(first, np.ndarray):
        return first.dtype == second.dtype and np.array_equal(first, second)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, dict):
        return list(first) == list(second) and all(same(first[k], second[k]) for k in first)
    return first == second and type(first) is type(second)


@pytest.mark.parametrize("protocol", [2, 4])
def test_plain_data_comes_back(tmp_path, protocol):
    held = {
        "a": [1, 2.5, "text", None, True, b"bytes", {3, 4}],
        "numpy": [np.int64(3), np.float32(0.5), np.bool_(True)],
        "arrays": (
            np.arange(6).reshape(2, 3),
            np.asfortranarray(np.arange(6.0).reshape(2, 3)),
            np.arange(3, dtype=">i4"),
        ),
    }
    path = zipped(tmp_path / "a.pt", pickle.dumps(held, protocol=protocol))
    assert same(held, load_torch(path))
    other = zipped(
        tmp_path / "b.pt", pickle.dumps(OrderedDict(x=defaultdict(list, y=[1])), protocol)
    )
    assert load_torch(other) == {"x": {"y": [1]}}


def test_tensors_come_back_as_arrays(tmp_path):
    torch = pytest.importorskip("torch")
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    held = {
        "whole": base,
        "view": base[1:3, ::2],
        "turned": base.T,
        "empty": torch.zeros(0, 4),
        "number": torch.tensor(3),
        "mask": torch.tensor([True, False]),
        "half": torch.tensor([0.5], dtype=torch.float16),
        "box": np.int64(7),
    }
    torch.save(held, tmp_path / "a.pt")
    read = load_torch(tmp_path / "a.pt")
    for name, tensor in held.items():
        expected = tensor.numpy() if torch.is_tensor(tensor) else tensor
        assert np.array_equal(read[name], expected), name
        assert read[name].dtype == expected.dtype, name


@pytest.mark.parametrize(
    "thing",
    [
        Call(eval, "1 + 1"),
        Call(exec, "import os"),
        Call(getattr, "a", "upper"),
        Call(__import__, "os"),
        Call(io.open, "somewhere"),
        Call(pickle.loads, b""),
    ],
    ids=["eval", "exec", "getattr", "import", "open", "loads"],
)
def test_anything_that_would_run_is_refused(tmp_path, thing):
    with pytest.raises(UsageError, match="not plain data"):
        load_torch(zipped(tmp_path / "a.pt", pickle.dumps({"a": thing})))
    np.save(tmp_path / "a.npy", np.array([thing, 1], dtype=object), allow_pickle=True)
    with pytest.raises(UsageError, match="not plain data"):
        load_objects(tmp_path / "a.npy")


def rebuild(storage, offset, size, stride):
    """The pickle of a tensor, written by hand: torch itself would refuse to make it."""
    lines = [b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(("]
    lines.append(b"X\x07\x00\x00\x00storagectorch\nFloatStorage\n")
    lines.append(b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK" + bytes([storage]) + b"tQ")
    lines.append(b"K" + bytes([offset]) + b"(" + b"".join(b"K" + bytes([n]) for n in size) + b"t")
    lines.append(b"(" + b"".join(b"K" + bytes([n]) for n in stride) + b"t\x89}tR.")
    return b"".join(lines)


def test_a_tensor_cannot_look_beyond_its_storage(tmp_path):
    data = np.arange(6, dtype="<f4").tobytes()
    good = zipped(tmp_path / "a.pt", rebuild(6, 1, (2, 2), (2, 1)), **{"0": data})
    assert load_torch(good).tolist() == [[1, 2], [3, 4]]
    for wrong in [rebuild(6, 3, (2, 2), (2, 1)), rebuild(9, 0, (6,), (1,))]:
        with pytest.raises(UsageError, match="more than plain data"):
            load_torch(zipped(tmp_path / "b.pt", wrong, **{"0": data}))


def test_arrays_of_objects_inside_are_data_too(tmp_path):
    held = [{1: np.ones((2, 3), bool)}, {1: np.zeros((2, 3), bool)}]
    np.save(tmp_path / "masks.npz", held)
    assert same(held, load_objects(tmp_path / "masks.npz.npy"))


def test_damaged_files_are_told(tmp_path):
    """Bytes changed at random: in the pickle, in the zip file around it, in a numpy file."""
    rng = np.random.default_rng(0)
    held = {"a": [np.int64(3), np.arange(4.0)], "b": {"text": (1, 2.5, None)}}
    path = zipped(tmp_path / "a.pt", pickle.dumps(held, protocol=2))
    np.save(tmp_path / "b.npy", [{1: np.ones((2, 3), bool)}])
    told = 0
    for read, name, start in [(load_torch, "a.pt", 0), (load_objects, "b.npy", 10)]:
        whole = np.frombuffer((tmp_path / name).read_bytes(), np.uint8)
        for _ in range(150):
            broken = whole.copy()
            places = rng.integers(start, len(whole), 3)
            broken[places] = rng.integers(0, 256, 3)
            (tmp_path / "broken").write_bytes(broken.tobytes())
            try:
                read(tmp_path / "broken")
            except UsageError:
                told += 1
    assert told > 150
    assert same(held, load_torch(path))


def test_other_files_are_told(tmp_path):
    (tmp_path / "old.pt").write_bytes(pickle.dumps({"a": 1}, protocol=2))
    with pytest.raises(UsageError, match=r"since torch 1\.6"):
        load_torch(tmp_path / "old.pt")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", "text")
    with pytest.raises(UsageError, match=r"torch\.save did not write it"):
        load_torch(tmp_path / "a.zip")
    with pytest.raises(UsageError, match="cannot be read"):
        load_torch(tmp_path / "nothing.pt")
    with pytest.raises(UsageError, match="more than plain data"):
        load_torch(zipped(tmp_path / "cut.pt", pickle.dumps({"a": [1, 2, 3]})[:-4]))
    np.save(tmp_path / "numbers.npy", np.arange(3))
    with pytest.raises(UsageError, match="not a list of objects"):
        load_objects(tmp_path / "numbers.npy")


def test_a_dtype_that_would_hold_pointers_is_refused(tmp_path):
    for text in ("O8", "V8", "M8"):
        scalar = b"\x80\x02cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(X\x02\x00\x00\x00"
        scalar += text.encode() + b"\x89\x88tRC\x08" + b"\x01" * 8 + b"tR."
        with pytest.raises(UsageError, match="more than plain data"):
            load_torch(zipped(tmp_path / "a.pt", scalar.replace(b"\x80\x02", b"\x80\x04")))
