"""Tensors that an ONNX model keeps in files beside it: which ones are let in, and their data.

ONNX Runtime would open whatever path the model names (four advisories in four years), and takes a special name as an address in
memory. So the files are opened here, as plain names in the model's folder, and the data is handed over.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from modelport.columns import Array
from modelport.errors import LoadError, RefusedFile, UnreadableFile
from modelport.forms.keras_onnx.proto import ELEMENT_TYPES
from modelport.forms.onnx_proto import Outside

DTYPES: Mapping[int, str] = {number: name for name, number in ELEMENT_TYPES.items()}


def check(outside: Sequence[Outside]) -> None:
    """Raise RefusedFile for a tensor that does not lie in a plain file beside the model."""
    for item in outside:
        name = item.location
        if not name or name in (".", "..") or any(mark in name for mark in "/\\:\0*"):
            raise RefusedFile(
                f'the tensor "{item.name}" lies in {name[:60]!r}, expected the plain name of a file beside the model; export it again'
            )
        if not item.is_top:
            raise RefusedFile(f'the tensor "{item.name}" inside an operator lies in another file, which no exporter does; export it again')


def verify(path: Path, outside: Sequence[Outside]) -> None:
    """Open the files beside the model at ``path`` as ``read`` does, and see that each is long enough; nothing in them is read.

    Raises: as ``read``.
    """
    check(outside)
    lengths: dict[str, int] = {}
    for item in outside:
        if item.location not in lengths:
            with opened(path.parent, item.location) as file:
                lengths[item.location] = os.fstat(file.fileno()).st_size
        _dtype(item, lengths[item.location])


def read(path: Path, outside: Sequence[Outside]) -> dict[str, Array]:
    """Return the tensors kept beside the model at ``path``, each file opened once and without following links.

    Raises: RefusedFile, UnreadableFile for a missing or short file, LoadError for element types that numpy has not.
    """
    check(outside)
    files: dict[str, memoryview] = {}
    for item in outside:
        if item.location not in files:
            files[item.location] = _contents(path.parent, item.location)
    return {item.name: _array(item, files[item.location]) for item in outside}


def _contents(folder: Path, name: str) -> memoryview:
    with opened(folder, name) as file:
        try:
            return memoryview(file.read())
        except OSError as error:
            raise UnreadableFile(f'the data file "{name}" cannot be read ({error.strerror}); copy it again') from error


@contextmanager
def opened(folder: Path, name: str) -> Iterator[BinaryIO]:
    """Open a file beside the model, never through a link. Raises: UnreadableFile if it is not there, RefusedFile if it is no plain one."""
    try:
        handle = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise UnreadableFile(f'the model keeps data in "{name}", which is not beside it; copy that file too') from error
    except OSError as error:
        raise RefusedFile(
            f'the data file "{name}" cannot be opened as a plain file ({error.strerror}); copy it beside the model'
        ) from error
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        os.close(handle)
        raise RefusedFile(f'the data file "{name}" is not a regular file of one name; copy it beside the model')
    with os.fdopen(handle, "rb") as file:
        yield file


def _dtype(item: Outside, length: int) -> np.dtype[np.generic]:
    """Return the tensor's data type, once it is sure to lie within a file of that length."""
    name = DTYPES.get(item.type)
    if name is None:
        raise LoadError(
            f'the tensor "{item.name}" has element type {item.type}, which is not read from another file; export it within the model'
        )
    if any(axis < 0 for axis in item.shape):
        raise UnreadableFile(f'the tensor "{item.name}" has the shape {item.shape}; the ONNX file is damaged')
    dtype = np.dtype(name)
    size = math.prod(item.shape) * dtype.itemsize
    if (item.length is not None and item.length != size) or item.offset + size > length:
        raise UnreadableFile(
            f'the tensor "{item.name}" needs {size} bytes at {item.offset} of "{item.location}", which has {length}; it is cut short'
        )
    return dtype


def _array(item: Outside, data: memoryview) -> Array:
    dtype = _dtype(item, len(data))
    size = math.prod(item.shape) * dtype.itemsize
    array: Array = np.frombuffer(data[item.offset : item.offset + size], dtype).reshape(item.shape)
    return array
