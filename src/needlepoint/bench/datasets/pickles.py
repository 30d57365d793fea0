"""Reading ``torch.save`` and ``numpy.save`` files without running anything in them, without torch.

A pickle can name any function and have it called. Here only containers, numbers, texts, numpy
scalars, arrays and torch tensors of plain numbers are rebuilt; any other name is refused.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from needlepoint.errors import UsageError

Array = npt.NDArray[Any]

_TORCH_TYPES = {
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "HalfStorage": "f2",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


def load_torch(path: Path) -> Any:
    """What ``torch.save`` wrote (since torch 1.6); tensors come back as numpy arrays.

    Raises:
        UsageError: no such file, another format, or content that is not plain data.
    """
    with _damage_told(path), zipfile.ZipFile(path) as archive:
        name = next((n for n in archive.namelist() if n.endswith("/data.pkl")), None)
        if name is None:
            raise UsageError(f"{path} is a zip file, but torch.save did not write it.")
        root = name.removesuffix("data.pkl")
        return _settled(_Plain(io.BytesIO(archive.read(name)), path, archive, root).load())


def load_objects(path: Path) -> list[Any]:
    """What ``numpy.save`` wrote of a list of objects (``.npy`` with pickled content).

    Raises:
        UsageError: as ``load_torch``.
    """
    with _damage_told(path), path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        _, _, dtype = read(file)
        if not dtype.hasobject:
            raise UsageError(f"{path} holds {dtype} numbers, not a list of objects.")
        held = _settled(_Plain(file, path).load())
    if not isinstance(held, list):
        raise UsageError(f"{path} holds {type(held).__name__}, not a list of objects.")
    return held


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    """Whatever goes wrong while a file is read becomes a ``UsageError`` that names it."""
    try:
        yield
    except UsageError:
        raise
    except zipfile.BadZipFile:
        raise UsageError(
            f"{path} is not a file of torch.save in the format since torch 1.6. Load it with a "
            "torch you trust it to, and save it again."
        ) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # a damaged file can fail anywhere in zipfile, pickle or numpy
        told = f"{type(error).__name__}: {error}"
        raise UsageError(f"{path} is damaged or holds more than plain data ({told})") from None


class _Plain(pickle.Unpickler):
    def __init__(
        self, file: Any, path: Path, archive: zipfile.ZipFile | None = None, root: str = ""
    ) -> None:
        super().__init__(file)
        self._path, self._archive, self._root = path, archive, root
        self._storages: dict[str, Array] = {}

    def find_class(self, module: str, name: str) -> Any:
        place = (module.replace("numpy._core", "numpy.core"), name)
        if place in _ALLOWED:
            return _ALLOWED[place]
        if module == "torch" and name in _TORCH_TYPES:
            return _TORCH_TYPES[name]
        raise UsageError(
            f"{self._path} names {module}.{name}, which is not plain data; it is not read. "
            "Save it again with lists, numbers, texts and tensors only."
        )

    def persistent_load(self, pid: Any) -> Array:
        kind, dtype, key, _, count = pid
        if kind != "storage" or dtype not in _TORCH_TYPES.values() or self._archive is None:
            raise pickle.UnpicklingError(f"unknown storage {kind!r}")
        if key not in self._storages:
            content = self._archive.read(f"{self._root}data/{key}")
            self._storages[key] = np.frombuffer(content, np.dtype(dtype).newbyteorder("<"), count)
        return self._storages[key]


def _tensor(
    storage: Array, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> Array:
    """A tensor's view of its storage, copied; refused where it reaches beyond the storage."""
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if offset < 0 or min((*size, *stride), default=0) < 0:
        raise pickle.UnpicklingError("a tensor with a negative size")
    if math.prod(size) == 0:
        return np.zeros(size, storage.dtype)
    if last >= len(storage):
        raise pickle.UnpicklingError("a tensor reaches beyond its storage")
    steps = [step * storage.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(storage[offset:], size, steps).copy()


class _Dtype:
    """What a pickled numpy dtype says. A real one could be told to hold pointers."""

    def __init__(self, text: str, *_: Any) -> None:
        self.text, self.order = text, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]

    def plain(self) -> np.dtype[Any]:
        dtype = np.dtype(self.text)
        if dtype.kind not in "biufUS" or dtype.fields:
            raise pickle.UnpicklingError(f"an array of {self.text!r}")
        return dtype.newbyteorder(">") if self.order == ">" else dtype


class _Array:
    """A pickled numpy array; ``value`` is the array, or the list of an array of objects."""

    def __init__(self, *_: Any) -> None:
        self.value: Any = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, content = state
        if dtype.text == "O8" and len(shape) == 1:
            self.value = list(content)
        else:
            flat = np.frombuffer(content, dtype.plain())
            self.value = flat.reshape(shape, order="F" if fortran else "C").copy()


def _settled(held: Any) -> Any:
    """The same with every ``_Array`` replaced by its value."""
    if isinstance(held, _Array):
        return _settled(held.value) if isinstance(held.value, list) else held.value
    if isinstance(held, dict):
        return {key: _settled(value) for key, value in held.items()}
    if isinstance(held, (list, tuple)):
        return type(held)(_settled(value) for value in held)
    return held


def _scalar(dtype: _Dtype, content: bytes) -> Any:
    return np.frombuffer(content, dtype.plain(), 1)[0]


def _latin(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in {encoding!r}")
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Callable[..., Any] | type] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): defaultdict,
    ("builtins", "dict"): dict,
    ("builtins", "list"): list,
    ("builtins", "set"): set,
    ("builtins", "int"): int,
    ("__builtin__", "dict"): dict,
    ("__builtin__", "list"): list,
    ("__builtin__", "set"): set,
    ("__builtin__", "int"): int,
    ("_codecs", "encode"): _latin,
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Array,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
}
