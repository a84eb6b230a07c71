"""Keras files that the converter does not cover, answered by Keras 3 itself where it is installed.

Keras builds whatever classes a configuration names, so the configuration is held against a list first: Keras's own layers
that are data only, nothing registered by others, no function of one's own. Files of Keras 2 are not given to it: Keras 3 reads
some of them without an error and with other numbers.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import cast, get_args

import numpy as np

from modelport.columns import Array, Columns
from modelport.errors import LoadError, MissingExtra, ModelError
from modelport.formats.keras_classes import CLASSES, MODULES
from modelport.schema import Field, Schema, Type

_FLOOR = (3, 13, 2)
_BACKENDS = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}
_BATCH = 256


def is_installed() -> bool:
    """Tell whether Keras and one of its backends can be imported."""
    return find_spec("keras") is not None and any(find_spec(name) for name in _BACKENDS.values())


def obstacle(document: object) -> str:
    """Return what in a Keras 3 configuration keeps it from being given to Keras, empty if nothing does."""
    for item in _objects(document):
        name, module = item.get("class_name"), item.get("module")
        if "stateful" in item and item["stateful"] is True:
            return "a layer keeps its state between calls, so a row's answer would depend on other requests"
        if not isinstance(name, str):
            continue
        if item.get("registered_name") not in (None, name, item.get("config")):
            return f"the class {name!r} is registered by other code than Keras"
        if module is not None and module != "builtins" and not (isinstance(module, str) and MODULES.fullmatch(module)):
            return f"the class {name!r} is not one of Keras"
        if name == "function" and not re.fullmatch(r"[a-z_0-9]{1,40}", str(item.get("config"))):
            return "a function that is not one of Keras is named"
        if name not in CLASSES and not (isinstance(module, str) and module.startswith("keras.src.ops.")):
            return f"the class {name!r} is not on the list of Keras's own that are data only"
    return ""


def _objects(document: object) -> Iterator[Mapping[str, object]]:
    stack = [document]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            yield value
            stack += value.values()
        elif isinstance(value, list):
            stack += value


@dataclass(frozen=True, slots=True)
class KerasPredictor:
    """A model that Keras itself computes. ``native`` is the Keras model."""

    schema: Schema
    native: object
    compute: Callable[[Mapping[str, Array]], list[Array]]
    form: str = "keras"
    is_row_wise: bool = True

    def predict(self, columns: Columns, outputs: Sequence[str] | None) -> Columns:
        """Answer one row for each row.

        Raises: ModelError where Keras fails on these rows or there is no such output.
        """
        names = [item.name for item in self.schema.outputs]
        wanted = names if outputs is None else list(outputs)
        if unknown := [name for name in wanted if name not in names]:
            raise ModelError(f'the model has no output "{unknown[0]}"; it has {", ".join(names)}')
        if any(block.is_packed for block in self.schema.layout):
            columns = self.schema.unpack(columns)
        feed = {item.name: np.asarray(columns[item.name]) for item in self.schema.features}
        try:
            found = dict(zip(names, self.compute(feed), strict=True))
        except (ValueError, TypeError, RuntimeError, IndexError) as error:
            cause = str(error).strip().split("\n", 1)[0][:160]
            raise ModelError(f"the network fails on these rows ({cause}); compare their values with those it was trained on") from error
        return Columns({name: found[name] for name in wanted})


def load(path: Path, reason: str) -> KerasPredictor:
    """Return a predictor over Keras's own model; ``path`` is a private copy whose configuration was looked at.

    Raises: MissingExtra without a Keras that is new enough; LoadError where Keras does not take the file.
    """
    if not is_installed():
        raise MissingExtra(f"{reason}, and Keras, which would run it, is not installed; run: pip install 'modelport[tensorflow]'")
    available = [name for name, module in _BACKENDS.items() if find_spec(module)]
    os.environ.setdefault("KERAS_BACKEND", available[0])
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    keras = import_module("keras")  # has no types
    version = tuple(int(part) for part in re.findall(r"\d+", keras.__version__)[:3])
    if version < _FLOOR:
        raise MissingExtra(f"{reason}, and Keras {keras.__version__} is too old to open files safely; run: pip install 'keras>=3.13.2'")
    try:
        model = keras.saving.load_model(str(path), compile=False, safe_mode=True)
    except (ValueError, TypeError, KeyError, OSError, RuntimeError, AttributeError, ImportError) as error:
        cause = str(error).strip().rsplit("\n", 1)[-1].removeprefix("Exception encountered: ")[:160]
        raise LoadError(f"{reason}, and Keras {keras.__version__} does not open it ({cause}); save it again with that Keras") from error
    schema = _schema(model)

    def compute(feed: Mapping[str, Array]) -> list[Array]:
        given = [feed[item.name] for item in schema.inputs]
        answer = model.predict(given if len(given) > 1 else given[0], batch_size=_BATCH, verbose=0)
        return [np.asarray(item) for item in (answer if isinstance(answer, list | tuple) else [answer])]

    return KerasPredictor(schema, model, compute)


def _schema(model: object) -> Schema:
    inputs, outputs = (list(getattr(model, name)) for name in ("inputs", "outputs"))
    known = set(get_args(Type)) - {"string"}
    for item in (*inputs, *outputs):
        if str(item.dtype) not in known:
            raise LoadError(f'"{item.name}" is of {item.dtype}, expected one of {", ".join(sorted(known))}; export the model without it')
    names = [str(name) for name in getattr(model, "output_names", ())]  # a Sequential has none, and one output
    names = ["prediction"] if len(outputs) == 1 else [f"{name}_{at}" if name in names[:at] else name for at, name in enumerate(names)]
    return Schema(
        tuple(Field(str(item.name), cast("Type", str(item.dtype)), tuple(item.shape[1:])) for item in inputs),
        tuple(Field(name, cast("Type", str(item.dtype)), tuple(item.shape[1:])) for name, item in zip(names, outputs, strict=True)),
        "network",
    )


def private_copy(path: Path) -> tempfile.TemporaryDirectory[str]:
    """Return a folder with a copy of the file, so that what is looked at is what is loaded. Cost: the file once."""
    folder = tempfile.TemporaryDirectory(prefix="modelport-")
    shutil.copyfile(path, Path(folder.name) / f"model{path.suffix}")
    return folder
