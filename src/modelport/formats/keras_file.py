"""A Keras file's content: the network and its arrays, from ``.hdf5``, ``.keras``, or weights with an architecture JSON beside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from modelport.columns import Array
from modelport.errors import LoadError, MissingExtra, RefusedFile, UnreadableFile
from modelport.formats.base import Options
from modelport.formats.keras_audit import audit
from modelport.formats.keras_hdf5 import attribute, has_layers, layout_of, opened, read_weights
from modelport.formats.keras_words import with_words
from modelport.formats.keras_zip import CONFIG_LIMIT_BYTES, read_members
from modelport.forms.keras_onnx import network as net
from modelport.forms.keras_onnx.convert import convert
from modelport.forms.keras_onnx.fields import not_converted
from modelport.forms.keras_onnx.network import leaves
from modelport.forms.keras_onnx.parse import NETWORKS, parse, parse_version
from modelport.forms.keras_onnx.table import LAYERS

if TYPE_CHECKING:
    import h5py

_SIBLINGS = 100


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds. ``version`` as the file says it; ``architecture`` the JSON file used for a file of weights only."""

    network: net.Network
    weights: Mapping[net.Path, Mapping[str, Array]]
    version: str | None
    architecture: str = ""


def read(path: Path, options: Options) -> Content:
    """Read a Keras file as data.

    Raises: MissingExtra without h5py; UnreadableFile for a damaged file; RefusedFile for one with code or pointers to other
    files; LoadError for a layer that is not converted, or weights without an architecture.
    """
    try:
        with path.open("rb") as handle:
            return _read(handle, path, options)
    except ModuleNotFoundError as error:
        raise MissingExtra(f"Keras files need {error.name}, which is not installed; run: pip install 'modelport[keras]'") from error
    except OSError as error:
        raise UnreadableFile(f"{path.name}: cannot be opened ({error.strerror or error}); check the path and its permissions") from error
    except (UnreadableFile, RefusedFile, LoadError) as error:
        raise type(error)(f"{path.name}: {error.message}") from error


def configuration(path: Path) -> tuple[dict[str, object], str | None]:
    """Return the configuration inside a file, audited, and the version that wrote it; an empty one for a file of weights only.

    Raises: UnreadableFile, RefusedFile, MissingExtra.
    """
    with path.open("rb") as handle:
        if handle.read(4) == b"PK\x03\x04":
            members = read_members(handle)
            with opened(members.weights):  # points to nothing outside itself
                document = parse_json(members.config, "config.json")
            version = (parse_json(members.metadata, "metadata.json") if members.metadata else {}).get("keras_version")
        else:
            with opened(handle) as file:
                version, text = attribute(file, "keras_version"), attribute(file, "model_config")
                document = parse_json(text.encode(), "model_config") if text else {}
    audit(document)
    return document, version if isinstance(version, str) else None


def _read(handle: IO[bytes], path: Path, options: Options) -> Content:
    if handle.read(4) == b"PK\x03\x04":
        members = read_members(handle)
        known = parse_json(members.metadata, "metadata.json") if members.metadata else {}
        version = known.get("keras_version")
        with opened(members.weights) as file:
            content = _fit(parse_json(members.config, "config.json"), file, version if isinstance(version, str) else None)
            return replace(content, weights=with_words(content.weights, content.network, file, members.vocabularies))
    with opened(handle) as file:
        version = attribute(file, "keras_version")
        config_text = attribute(file, "model_config")
        if config_text is not None:
            return _fit(parse_json(config_text.encode(), "model_config"), file, version)
        return _with_architecture(file, version, path, options)


def parse_json(data: bytes, what: str) -> dict[str, object]:
    """Return a JSON object. Raises: UnreadableFile."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(f"{what} is not valid JSON ({error}); the file is damaged") from error
    if not isinstance(document, dict):
        raise UnreadableFile(f"{what} is not a JSON object, expected the configuration of a network; the file is damaged")
    return document


def _fit(document: dict[str, object], file: h5py.File, version: str | None, architecture: str = "") -> Content:
    audit(document)
    own = document.get("keras_version")
    version = version or (own if isinstance(own, str) else None)
    network = parse(document, parse_version(version, document))
    for layer in leaves(network):
        if layer.kind not in LAYERS and not layer.kind.startswith("ops."):
            not_converted(layer.title)
    return Content(network, read_weights(file, network), version, architecture)


def _with_architecture(file: h5py.File, version: str | None, path: Path, options: Options) -> Content:
    if layout_of(file) is None and "layer_names" not in file.attrs and "layer_names0" not in file.attrs:
        raise UnreadableFile("is an HDF5 file, but not one of Keras: it has no model_config and no layers; give a saved model")
    version = version or (attribute(file["model_weights"], "keras_version") if "model_weights" in file else None)
    if options.architecture is not None:
        return _fit(parse_json(_small_file(options.architecture), options.architecture.name), file, version, options.architecture.name)
    found = [content for other in sorted(path.parent.glob("*.json"))[:_SIBLINGS] if (content := _try(other, file, version))]
    if len(found) == 1:
        return found[0]
    names = ", ".join(content.architecture for content in found)
    what = f"{len(found)} files beside it fit ({names})" if found else "no JSON file beside it fits"
    raise LoadError(f"holds weights but no architecture, and {what}; name the one that model.to_json() wrote with --architecture FILE")


def _small_file(path: Path) -> bytes:
    try:
        with path.open("rb") as handle:
            data = handle.read(CONFIG_LIMIT_BYTES + 1)
    except OSError as error:
        raise UnreadableFile(f"the architecture {path.name} cannot be opened ({error.strerror}); check --architecture") from error
    if len(data) > CONFIG_LIMIT_BYTES:
        raise UnreadableFile(f"the architecture {path.name} is over {CONFIG_LIMIT_BYTES} bytes, expected the JSON of model.to_json()")
    return data


def _try(path: Path, file: h5py.File, version: str | None) -> Content | None:
    """Return the content if the JSON file describes a network whose layers and shapes are those of the weights."""
    try:
        document = parse_json(_small_file(path), path.name)
        if document.get("class_name") not in NETWORKS:
            return None
        network = parse(document, parse_version(version, document))
        if not has_layers(file, list(network.members.values())):
            return None
        content = _fit(document, file, version, path.name)
        convert(content.network, content.weights)
    except (UnreadableFile, LoadError):
        return None
    return content
