"""Keras files that the converter does not cover, answered by Keras itself where it is installed: Keras 3, or tf_keras for older ones.

Keras builds whatever classes a configuration names, so the configuration is held against a list first: Keras's own layers
that are data only, nothing registered by others, no function of one's own. That matters most for tf_keras, which runs the byte
code of a Lambda in an HDF5 file without asking. Files of Keras 2 are never given to Keras 3, which reads some with other numbers.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from modelport.errors import LoadError, MissingExtra
from modelport.formats.base import Plan
from modelport.formats.keras_classes import BY_VALUE, CLASSES, MODULES, OPERATIONS, PASSIVE
from modelport.formats.keras_predictor import KerasPredictor, predictor
from modelport.forms.keras_onnx.network import Version
from modelport.forms.keras_onnx.parse import parse_version

_BACKENDS = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}
_SINCE = (2, 4)
_MASKED_ATTENTION_SINCE = (2, 12)


@dataclass(frozen=True, slots=True)
class Library:
    """A Keras. ``plan``: its word in reports, and its module; ``floor``: the oldest that opens files safely; ``package``: to install."""

    plan: Plan
    title: str
    floor: tuple[int, ...]
    package: str

    @property
    def is_installed(self) -> bool:
        """Whether it and what it computes with can be imported."""
        backends = _BACKENDS if self.plan == "keras" else ("tensorflow",)
        return find_spec(self.plan) is not None and any(find_spec(name) for name in backends)


KERAS_3 = Library("keras", "Keras", (3, 13, 2), "keras>=3.13.2")
KERAS_2 = Library("tf_keras", "tf_keras, the last Keras 2,", (2, 16), "tf_keras>=2.16")


def choose(document: Mapping[str, object], version: str | None, *, is_archive: bool) -> tuple[Library | None, str]:
    """Return the Keras that may open a file of this configuration, or None and why not, if there is more to say than that.

    ``is_archive``: it is a ``.keras`` archive and no HDF5 file.
    """
    known = parse_version(version, document)
    if not document or (known.major < 3 and not version):
        return None, ""
    if why := obstacle(document):
        return None, why
    if known.major >= 3:
        return KERAS_3, ""
    why = _differs(document, known, is_archive=is_archive)
    return (None, why) if why else (KERAS_2, "")


def _differs(document: object, version: Version, *, is_archive: bool) -> str:
    """Return why tf_keras would not open a file of Keras 2, or answer it otherwise than the version that wrote it."""
    minor = (version.major, version.minor)
    if not version.is_tf or minor < _SINCE:
        return "before TensorFlow 2.4 Keras computed some layers otherwise than tf_keras does"
    if is_archive and minor < (2, 13):
        return "tf_keras does not open the archives of TensorFlow 2.12"
    names = {item.get("class_name") for item in _objects(document)}
    is_masked = "Masking" in names or any(item.get("mask_zero") is True for item in _objects(document))
    if is_masked and minor < _MASKED_ATTENTION_SINCE and names & {"MultiHeadAttention", "Attention", "AdditiveAttention"}:
        return "what attention makes of a mask is not what it was in this version"
    return ""


def obstacle(document: object) -> str:
    """Return what in a configuration keeps it from being given to Keras, empty if nothing does."""
    for item in _objects(document):
        if item.get("stateful") is True:
            return "a layer keeps its state between calls, so a row's answer would depend on other requests"
        if isinstance(item.get("class_name"), str) and (why := _unlisted(item)):
            return why
    return ""


def _unlisted(item: Mapping[str, object]) -> str:
    """Return what is wrong with an object of a configuration that names a class."""
    name, module, config = item["class_name"], item.get("module"), item.get("config")
    if item.get("registered_name") not in (None, name, config):
        return f"the class {name!r} is registered by other code than Keras"
    if module is not None and module != "builtins" and not (isinstance(module, str) and MODULES.fullmatch(module)):
        return f"the class {name!r} is not one of Keras"
    if name == "function" and not re.fullmatch(r"[a-z_0-9]{1,40}", str(config)):
        return "a function that is not one of Keras is named"
    if name in OPERATIONS:
        function = config.get("function") if isinstance(config, dict) else None
        return (
            "" if function in PASSIVE else f"the TensorFlow function {str(function)[:60]!r} is not on the list of those that only compute"
        )
    if name not in CLASSES and not (isinstance(module, str) and module.startswith("keras.src.ops.")):
        return f"the class {name!r} is not on the list of Keras's own that are data only"
    return ""


def is_by_batch(document: object) -> bool:
    """Tell whether a row's answer may depend on the rows computed with it.

    That is so for texts that are filled up to the longest of a batch, and may be for operations that take a tensor as a whole.
    """
    for item in _objects(document):
        name, config = item.get("class_name"), item.get("config")
        if not isinstance(config, dict):
            continue
        is_operation = name in OPERATIONS or str(item.get("module")).startswith("keras.src.ops.")
        if is_operation and (config.get("function") if name in OPERATIONS else name) not in BY_VALUE:
            return True
        is_text = name == "TextVectorization" and config.get("output_mode", "int") == "int"
        if is_text and config.get("output_sequence_length") is None:
            return True
    return False


def _objects(document: object) -> Iterator[Mapping[str, object]]:
    stack = [document]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            yield value
            stack += value.values()
        elif isinstance(value, list):
            stack += value


def load(path: Path, library: Library, reason: str, *, threads: int | None, is_by_batch: bool = False) -> KerasPredictor:
    """Return a predictor over Keras's own model; ``path`` is a private copy whose configuration was looked at.

    ``is_by_batch``: a row's answer depends on the rows computed with it.
    Raises: MissingExtra without a Keras that is new enough; LoadError where Keras does not take the file.
    """
    if not library.is_installed:
        raise MissingExtra(f"{reason}, and {library.title} which would run it is not installed; run: pip install 'modelport[tensorflow]'")
    keras = _imported(library, threads)
    if tuple(int(part) for part in re.findall(r"\d+", keras.__version__)[:3]) < library.floor:
        raise MissingExtra(
            f"{reason}, and {library.plan} {keras.__version__} is too old to open files safely; run: pip install '{library.package}'"
        )
    try:
        model = keras.models.load_model(str(path), compile=False, safe_mode=True)
    except (ValueError, TypeError, KeyError, OSError, RuntimeError, AttributeError, ImportError) as error:
        cause = str(error).strip().rsplit("\n", 1)[-1].removeprefix("Exception encountered: ")[:160]
        raise LoadError(
            f"{reason}, and {library.plan} {keras.__version__} does not open it ({cause}); save it again with that Keras"
        ) from error
    return predictor(model, library.plan, is_by_batch=is_by_batch)


def _imported(library: Library, threads: int | None) -> ModuleType:
    """Import a Keras with one thread unless told otherwise, and without a settings file: it would write one to the home folder."""
    available = [name for name, module in _BACKENDS.items() if find_spec(module)]
    os.environ.setdefault("KERAS_BACKEND", available[0])
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # it orders sums otherwise, and says so at every start
    os.environ.setdefault("JAX_ENABLE_X64", "1")  # a float64 layer is one in TensorFlow, and so in the file
    with _own_home():  # TensorFlow imports Keras as well
        if library.plan == "tf_keras" or os.environ["KERAS_BACKEND"] == "tensorflow":
            threading = import_module("tensorflow").config.threading  # has no types
            threading.set_intra_op_parallelism_threads(threads or 1)
            threading.set_inter_op_parallelism_threads(1)
        return import_module(library.plan)


@contextmanager
def _own_home() -> Iterator[None]:
    if "KERAS_HOME" in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="modelport-") as folder:
        os.environ["KERAS_HOME"] = folder
        try:
            yield
        finally:
            del os.environ["KERAS_HOME"]


def private_copy(path: Path) -> tempfile.TemporaryDirectory[str]:
    """Return a folder with a copy of the file, named by its content, so that what is looked at is what is loaded. Cost: the file once."""
    folder = tempfile.TemporaryDirectory(prefix="modelport-")
    copy = Path(folder.name) / "model"
    shutil.copyfile(path, copy)
    copy.rename(copy.with_suffix(".keras" if is_archive(copy) else ".h5"))
    return folder


def is_archive(path: Path) -> bool:
    """Tell whether a file is a ``.keras`` archive, whatever its name."""
    with path.open("rb") as handle:
        return handle.read(4) == b"PK\x03\x04"
