"""HDF5 files of Keras, read with h5py alone: configuration and weights, never anything outside the file.

HDF5 can point out of itself (external links, external storage, virtual datasets) and can load filter libraries by number. Keras
writes none of these, so a file that has one is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import numpy as np

from modelport.columns import Array
from modelport.errors import RefusedFile, UnreadableFile
from modelport.forms.keras_onnx.network import Layer, Network, Path
from modelport.forms.keras_onnx.weights import NEW, Layout, by_position, needs, places

if TYPE_CHECKING:
    import h5py

_FOREIGN = (
    OSError,
    KeyError,
    ValueError,
    TypeError,
    RuntimeError,
    AttributeError,
    IndexError,
    OverflowError,
    MemoryError,
    NotImplementedError,
)
_FILTERS = frozenset({1, 2, 3, 4, 32000})  # deflate, shuffle, checksum, szip, lzf: compiled into h5py
_OLD_CONTAINER = "_layer_checkpoint_dependencies"
_OBJECTS = 200_000
_GROWTH = 64


@contextmanager
def opened(handle: IO[bytes]) -> Iterator[h5py.File]:
    """Open an HDF5 file that is already open as bytes, checked to hold all its data itself.

    Raises: UnreadableFile for a damaged file, here or while it is read; RefusedFile for one that points out of itself.
    """
    import h5py

    try:
        size = handle.seek(0, 2)
        handle.seek(0)
        with h5py.File(handle, "r") as file:
            _check(file, max(size, 1 << 16) * _GROWTH)
            yield file
    except _FOREIGN as error:
        raise UnreadableFile(
            f"the HDF5 file cannot be read ({_sentence(error)}); it is damaged or cut short, so copy or save it again"
        ) from error


def _sentence(error: BaseException) -> str:
    return str(error).strip("'\"").split("\n", 1)[0].rstrip(".")[:160] or type(error).__name__


def _check(file: h5py.File, limit_bytes: int) -> None:
    import h5py

    seen, stack, held = set[int](), [("", file)], 0
    while stack:
        where, group = stack.pop()
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise RefusedFile(f'"{where}/{name}" is a link to somewhere else, which Keras does not write; save the model again')
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                raise RefusedFile(f'"{where}/{name}" is stored under two names, which Keras does not write; save the model again')
            seen.add(address)
            if isinstance(item, h5py.Group):
                stack.append((f"{where}/{name}", item))
            elif isinstance(item, h5py.Dataset):
                held += _check_dataset(f"{where}/{name}", item)
        if len(seen) > _OBJECTS or held > limit_bytes:
            raise RefusedFile("the HDF5 file claims to hold far more than its size allows; save the model again")


def _check_dataset(where: str, item: h5py.Dataset) -> int:
    if item.external:
        raise RefusedFile(f'the data of "{where}" lies in another file, which is never opened; save the model again')
    if item.is_virtual:
        raise RefusedFile(f'the data of "{where}" is put together from other files, which are never opened; save the model again')
    plan = item.id.get_create_plist()
    if any(plan.get_filter(at)[0] not in _FILTERS for at in range(plan.get_nfilters())):
        raise RefusedFile(f'the data of "{where}" needs a filter library, which is never loaded; save the model without compression')
    return int(item.nbytes)


def attribute(item: h5py.Group, name: str) -> str | None:
    """Return a text attribute, None if there is none. Raises: UnreadableFile for one of another type."""
    if name not in item.attrs:
        return None
    return _text(item.attrs[name], name)


def _text(value: object, name: str) -> str:
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        value = value.decode("utf-8")
    if not isinstance(value, str):
        raise UnreadableFile(f'the attribute "{name}" is {type(value).__name__}, expected text; the file is damaged')
    return str(value)


def names(item: h5py.Group, name: str) -> list[str]:
    """Return a list-of-texts attribute, which Keras cuts into numbered parts where it is long. Raises: UnreadableFile."""
    parts: list[object] = []
    if name in item.attrs:
        parts += np.atleast_1d(item.attrs[name]).tolist()
    else:
        at = 0
        while f"{name}{at}" in item.attrs:
            parts += np.atleast_1d(item.attrs[f"{name}{at}"]).tolist()
            at += 1
        if not at:
            raise UnreadableFile(f'the attribute "{name}" is missing, expected in every Keras file of this layout; the file is damaged')
    return [_text(part, name) for part in parts]


def read_weights(file: h5py.File, network: Network) -> dict[Path, dict[str, Array]]:
    """Return the arrays that a network needs, from either layout.

    Raises: UnreadableFile where the file holds other layers or other weights than the configuration says.
    """
    layout = layout_of(file)
    if layout is not None and "layer_names" not in file.attrs:
        return _by_place(file, network, layout)
    root = file.get("model_weights", file)
    stored = set(names(root, "layer_names"))
    weights: dict[Path, dict[str, Array]] = {}
    for name, member in network.members.items():
        if not any(needs(member)):
            continue
        if name not in stored:
            raise UnreadableFile(
                f'layer "{name}" has no weights in the file, expected by its configuration; the file is damaged or of another network'
            )
        group = root[name]
        labels = names(group, "weight_names")
        weights.update(by_position(member, labels, [array(group, label) for label in labels]))
    return weights


def layout_of(file: h5py.File) -> Layout | None:
    """Return how a file with a group for each layer calls these groups, None for the older files by position.

    TensorFlow 2.12 counted the layers with weights twice, so that numbers are missing between theirs: they are told by order.
    """
    if "layers" in file:
        return NEW
    if _OLD_CONTAINER not in file:
        return None

    def named(where: str, name: str, at: int) -> str:
        groups = file.get(where, ())
        numbers = [re.fullmatch(rf"{re.escape(name)}(?:_(\d+))?", group) for group in groups]
        found = sorted((int(match[1] or 0), match[0]) for match in numbers if match)
        return found[at][1] if at < len(found) else f"{name} number {at + 1}"

    return Layout(_OLD_CONTAINER, named)


def _by_place(file: h5py.File, network: Network, layout: Layout) -> dict[Path, dict[str, Array]]:
    weights: dict[Path, dict[str, Array]] = {}
    for where, path, roles in places(network, layout):
        if where not in file:
            raise UnreadableFile(
                f'layer "{"/".join(path)}" has no weights in the file, expected at {where}; the file is damaged or of another network'
            )
        if len(file[where]) != len(roles) and "variance" not in roles:  # Keras 2 also counts rows in Normalization
            raise UnreadableFile(
                f'layer "{"/".join(path)}" has {len(file[where])} weights in the file, expected {len(roles)} by its configuration; '
                "the file is damaged"
            )
        weights[path] = {role: array(file[where], str(at)) for at, role in enumerate(roles)}
    return weights


def array(group: h5py.Group, name: str) -> Array:
    """Return a dataset of numbers. Raises: UnreadableFile."""
    if name not in group:
        raise UnreadableFile(f'the weight "{group.name}/{name}" is missing, expected by the configuration; the file is damaged')
    item = group[name]
    if not hasattr(item, "dtype") or item.dtype.kind not in "fiu":
        raise UnreadableFile(f'the weight "{group.name}/{name}" is not an array of numbers, expected one; the file is damaged')
    found: Array = np.asarray(item[()])
    return found


def has_layers(file: h5py.File, members: Sequence[Layer | Network]) -> bool:
    """Tell whether a weights file has all the layers of a network that have weights (by name, where the layout has names)."""
    if "layer_names" not in file.attrs and "layer_names0" not in file.attrs:
        return layout_of(file) is not None
    stored = set(names(file, "layer_names"))
    return all(member.name in stored for member in members if any(needs(member)))
