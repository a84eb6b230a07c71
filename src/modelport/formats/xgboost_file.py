"""XGBoost model files, JSON and UBJSON: read without the library, and written anew from what was understood.

The library never sees a byte of the file itself: only the document that ``read`` makes of the parts it knows and has checked. What a
file holds beyond them (the configuration of training in a pickle, say) is left out.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import orjson

from modelport.errors import UnreadableFile
from modelport.formats import ubjson
from modelport.formats.ubjson import Value
from modelport.formats.xgboost_booster import check_booster, mapping
from modelport.formats.xgboost_legacy import LEGACY, is_legacy
from modelport.formats.xgboost_trees import fault, numbers, whole
from modelport.schema import Scalar

OBJECTIVES = frozenset(
    {
        "binary:hinge",
        "binary:logistic",
        "binary:logitraw",
        "count:poisson",
        "multi:softmax",
        "multi:softprob",
        "rank:map",
        "rank:ndcg",
        "rank:pairwise",
        "reg:absoluteerror",
        "reg:expectileerror",
        "reg:gamma",
        "reg:linear",
        "reg:logistic",
        "reg:pseudohubererror",
        "reg:quantileerror",
        "reg:squarederror",
        "reg:squaredlogerror",
        "reg:tweedie",
        "survival:aft",
        "survival:cox",
    }
)
MAX_FEATURES = 100_000
_MAX_GROUPS = 10_000
_TYPES = frozenset({"float", "int", "i", "q", "c"})
_PARAMETER = re.compile(r"[-+\w.,:\[\] ]{0,1000}\Z", re.ASCII)
_RAW_BEFORE = (1, 3)  # until then binary:logitraw took base_score for a probability


@dataclass(frozen=True, slots=True)
class Content:
    """What an XGBoost file holds. ``parts``: what was understood of it. ``notes``: what was repaired in that.

    ``groups``: values a row gets; ``targets``: columns it was fitted on. ``categories``: of each feature, None where it has none.
    ``rounds``: the number used, up to the best one where a scikit-learn class of XGBoost stopped early; ``is_stopped`` says that there are
    more. ``classes``: labels of a classifier, in the order of its probabilities.
    """

    version: tuple[int, ...]
    booster: str
    objective: str
    features: int
    groups: int
    targets: int
    trees: int
    rounds: int
    is_stopped: bool
    names: tuple[str, ...]
    types: tuple[str, ...]
    categories: tuple[tuple[Scalar, ...] | None, ...]
    parts: Mapping[str, Value]
    notes: tuple[str, ...] = ()
    classes: tuple[Scalar, ...] = ()

    @property
    def document(self) -> bytes:
        """What the library is given, as UBJSON."""
        return ubjson.write(dict(self.parts))


def read(data: bytes) -> Content:
    """Read and check a whole model; also the snapshot within a pickle, of which the model is one part.

    Raises: UnreadableFile if it is no XGBoost document; RefusedFile if it is one that training never makes.
    Cost: 50 microseconds for each tree and the time to parse JSON.
    """
    if is_legacy(data[:200]):
        raise UnreadableFile(LEGACY)
    parsed = _parse(data)
    document = parsed.get("Model", parsed)
    learner = document.get("learner") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(learner, dict):
        raise UnreadableFile('holds no "learner", expected a model saved by XGBoost; save it with save_model("model.ubj")')
    return _learner(document, learner)


def _parse(data: bytes) -> dict[str, Value]:
    found: object = None
    try:
        found = ubjson.read(data) if data[1:2] == b"L" else orjson.loads(data)
    except orjson.JSONDecodeError as error:
        found = _lenient(data, error)
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(f"is no complete XGBoost model ({str(error)[:100]}); copy the file again") from error
    if not isinstance(found, dict):
        raise UnreadableFile('holds no "learner", expected a model saved by XGBoost; save it with save_model("model.ubj")')
    return cast("dict[str, Value]", found)


def _lenient(data: bytes, first: Exception) -> object:
    """Read JSON with NaN and Infinity in it, as XGBoost writes them."""
    if b"NaN" not in data and b"Infinity" not in data:
        raise UnreadableFile(f"is no complete XGBoost model ({str(first)[:100]}); copy the file again") from first
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(f"is no complete XGBoost model ({str(error)[:100]}); copy the file again") from error


def _learner(document: Mapping[str, Value], learner: Mapping[str, Value]) -> Content:
    version = _version(document.get("version"))
    objective, parameters = mapping(learner, "objective"), mapping(learner, "learner_model_param")
    attributes = _texts(learner.get("attributes") or {}, "attributes")
    name = str(objective.get("name"))
    if name not in OBJECTIVES:
        raise _unknown(name)
    outputs = _outputs(name, parameters)
    start, notes = _start(parameters.get("base_score"), name, outputs.groups, version)
    names, types = (_strings(learner.get(key) or [], key, outputs.features) for key in ("feature_names", "feature_types"))
    if not set(types) <= _TYPES:
        raise fault(f"feature_types has {sorted(set(types) - _TYPES)[0][:20]!r}")
    written, told = check_booster(mapping(learner, "gradient_booster"), outputs.features, outputs.groups, attributes)
    out: dict[str, Value] = {
        "attributes": cast("dict[str, Value]", attributes),
        "feature_names": list(names),
        "feature_types": list(types),
        "gradient_booster": written,
        "learner_model_param": {**outputs.written, "base_score": start},
        "objective": _objective(objective),
    }
    return Content(
        version=version,
        booster=told.booster,
        objective=name,
        features=outputs.features,
        groups=outputs.groups,
        targets=outputs.targets,
        trees=told.trees,
        rounds=told.rounds,
        is_stopped=told.is_stopped,
        names=names if len(set(names)) == len(names) else (),
        types=types,
        categories=told.categories or (None,) * outputs.features,
        parts={"learner": out, "version": list(version)},
        notes=(*notes, *told.notes),
        classes=_classes(name, outputs, attributes),
    )


@dataclass(frozen=True, slots=True)
class _Outputs:
    """How many features a model takes, and how many values it answers."""

    features: int
    groups: int
    targets: int
    written: dict[str, Value]


def _classes(objective: str, outputs: _Outputs, attributes: Mapping[str, str]) -> tuple[Scalar, ...]:
    """Return the labels: those that the scikit-learn classes of XGBoost 1.0 to 1.5 kept beside the model, else their numbers."""
    if not objective.startswith(("binary:", "multi:")) or outputs.targets > 1:
        return ()
    count = max(2, outputs.groups)
    try:
        kept = json.loads(attributes.get("scikit_learn", "{}"))
        found = kept["_le"]["classes_"]
        is_plain = isinstance(found, list) and all(isinstance(item, str | int | float) for item in found)
    except (ValueError, KeyError, TypeError, RecursionError):
        return tuple(range(count))
    return tuple(found) if is_plain and len(found) == len(set(found)) == count else tuple(range(count))


def _unknown(name: str) -> UnreadableFile:
    return UnreadableFile(
        f"its objective {name[:40]!r} is not one that modelport knows; save the model with one of XGBoost's own objectives"
    )


def _start(found: Value, objective: str, groups: int, version: tuple[int, ...]) -> tuple[str, tuple[str, ...]]:
    """Return the base score as text for the library, and what was repaired in it."""
    text = str(found) if isinstance(found, str | int | float) else ""
    parts = text.removeprefix("[").removesuffix("]").split(",") if text.startswith("[") else [text]
    try:
        values = [float(part) for part in parts]
    except ValueError:
        values = []
    if len(values) not in (1, groups) or not all(math.isfinite(value) for value in values) or not _PARAMETER.match(text):
        raise fault(f"its base_score is {text[:40]!r}, not a number for each of {groups} outputs")
    if objective in ("binary:logistic", "reg:logistic") and not all(0 < value < 1 for value in values):
        raise fault(f"its base_score is {text[:40]!r}, no probability")
    if objective != "binary:logitraw" or version[:2] >= _RAW_BEFORE:
        return text, ()
    if not 0 < values[0] < 1:
        raise fault(f"its base_score is {text[:40]!r}, no probability")
    logit = math.log(values[0] / (1 - values[0]))
    return repr(logit), ("the base score of binary:logitraw counts as a probability, as before XGBoost 1.3",)


def _outputs(objective: str, parameters: Mapping[str, Value]) -> _Outputs:
    features = whole(parameters, "num_feature", 1, most=MAX_FEATURES)
    classes = whole(parameters, "num_class", 0, default=0, most=_MAX_GROUPS)
    targets = whole(parameters, "num_target", 0, default=1, most=_MAX_GROUPS)
    if classes > 1 and targets > 1:
        raise fault(f"it has {classes} classes and {targets} targets")
    if objective.startswith("multi:") != (classes > 1):
        raise fault(f"its objective is {objective} with {classes} classes")
    written: dict[str, Value] = {
        "boost_from_average": str(whole(parameters, "boost_from_average", 0, default=1, most=1)),
        "num_class": str(classes),
        "num_feature": str(features),
        "num_target": str(max(targets, 1)),
    }
    return _Outputs(features, max(classes, targets, 1), max(targets, 1), written)


def _version(found: Value) -> tuple[int, ...]:
    parts = numbers(found, "version").astype(np.int64).tolist() if isinstance(found, list | np.ndarray) else []
    if len(parts) != 3 or not all(0 <= part < 1000 for part in parts):
        raise fault(f"its version is {str(found)[:40]}")
    return tuple(parts)


def _texts(found: Value, name: str) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise fault(f"{name} is not a table of texts")
    return cast("dict[str, str]", found)


def _strings(found: Value, name: str, features: int) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found) or len(found) not in (0, features):
        raise fault(f"{name} does not name {features} features")
    return tuple(cast("list[str]", found))


def _objective(found: Mapping[str, Value]) -> dict[str, Value]:
    """Return the objective with its parameters, each of which is a short text."""
    out: dict[str, Value] = {}
    for name, value in found.items():
        group = {"": value} if isinstance(value, str) else value
        if not isinstance(group, dict) or not all(isinstance(item, str) and _PARAMETER.match(item) for item in group.values()):
            raise fault(f"the parameter {name[:40]!r} of its objective is no text")
        out[name] = value
    return out
