"""Boosters of a pickle as they are loaded: each is read, checked and given to its library anew, before any other code sees it.

The configuration of training, which XGBoost keeps beside the model, is left out: it changes no answer, and names threads and devices of
another machine. The scikit-learn classes of older versions get what today's expect of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from importlib import import_module
from typing import cast

import numpy as np

from modelport.columns import Array
from modelport.errors import LoadError, RefusedFile
from modelport.formats import lightgbm, lightgbm_file, xgboost, xgboost_file
from modelport.formats.base import Options, Predictor
from modelport.formats.boosted_pickles import LIGHTGBM, XGBOOST
from modelport.schema import Scalar

_WRAPPERS = ("xgboost.sklearn.", "lightgbm.sklearn.")
State = dict[str, object]


def guarded(dotted: str) -> object | None:
    """Return the class that takes the place of a booster's, or of a scikit-learn class of its library; None for anything else.

    Its objects become those of the real class as soon as they have their state.
    """
    if dotted not in (XGBOOST, LIGHTGBM) and not dotted.startswith(_WRAPPERS):
        return None
    module, _, name = dotted.rpartition(".")
    real = getattr(import_module(module), name, None)
    return _guard(real, dotted) if isinstance(real, type) else None


@cache
def _guard(real: type, dotted: str) -> type:
    name = real.__name__
    fill = {XGBOOST: _xgboost_state, LIGHTGBM: _lightgbm_state}.get(dotted) or partial(_wrapper_state, real)

    def set_state(self: object, state: object) -> None:
        if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
            raise RefusedFile(f"the state of its {name} is no table of attributes, as its library writes")
        object.__setattr__(self, "__class__", real)
        vars(self).update(fill(cast("State", state)))
        if name == "XGBClassifier" and (labels := _labels(vars(self))) is not None:
            object.__setattr__(self, "__class__", _labelled(real))
            vars(self)["labels"] = labels

    return type(name, (real,), {"__setstate__": set_state, "__module__": real.__module__})


def _xgboost_state(state: State) -> State:
    handle = state.pop("handle", None)
    if handle is None:
        return {**state, "handle": None}
    if not isinstance(handle, bytes | bytearray):
        raise RefusedFile("the state of its Booster holds no model, as XGBoost writes")
    content = xgboost_file.read(bytes(handle))
    made = xgboost.open_booster(content, None)
    for name in ("feature_names", "feature_types"):  # before 1.4 they were kept beside the model
        listed = state.pop(name, None)
        if isinstance(listed, list) and len(listed) == content.features and all(isinstance(item, str) for item in listed):
            setattr(made, name, listed)
    return state | _taken(made, "handle")


def _lightgbm_state(state: State) -> State:
    given = [state.pop(name, None) for name in ("_handle", "handle")]
    text = next((item for item in given if item is not None), None)
    if text is None:
        return {**state, "_handle": None}
    if not isinstance(text, str):
        raise RefusedFile("the state of its Booster holds no model, as LightGBM writes")
    made = lightgbm.open_booster(lightgbm_file.read(text.encode()))
    return vars(made) | state | _taken(made, "_handle")


def _taken(booster: object, name: str) -> State:
    """Take the library's object out of a booster that is thrown away, so that it is freed once only."""
    handle = getattr(booster, name)
    setattr(booster, name, None)
    return {name: handle}


def _wrapper_state(real: type, state: State) -> State:
    """Fill in what the class of the installed version has and the file has not."""
    fresh = vars(real())
    for name, value in fresh.items():
        if name not in state or (state[name] is None and value is not None and name.startswith("_")):
            state[name] = value
    if "_Booster" in state and real.__module__.startswith("lightgbm."):
        state.setdefault("fitted_", state["_Booster"] is not None)
        if state.get("_n_features_in", -1) in (None, -1):
            state["_n_features_in"] = state.get("_n_features")
    state["n_jobs"] = 0 if real.__module__.startswith("lightgbm.") else None  # as many as this process is told to use
    return state


def _labels(state: Mapping[str, object]) -> Array | None:
    """Return the labels that XGBoost 1.0 to 1.5 kept in an encoder, where they are not the numbers that later ones answer."""
    found = getattr(state.get("_le"), "classes_", None)
    if not isinstance(found, np.ndarray) or np.array_equal(found, np.arange(len(found))):
        return None
    return found


@cache
def _labelled(real: type) -> type:
    predict = cast("Callable[..., Array]", getattr(real, "predict"))  # noqa: B009  # a type has no such attribute for mypy

    def labelled(self: object, *args: object, **settings: object) -> Array:
        return cast("Array", vars(self)["labels"])[predict(self, *args, **settings).astype(np.intp)]

    classes = property(lambda self: vars(self)["labels"])
    return type(real.__name__, (real,), {"predict": labelled, "classes_": classes, "__module__": real.__module__})


def predictor(model: object, options: Options) -> Predictor | None:
    """Return a predictor for what takes no plain matrix of numbers: a Booster itself, and a class that was fitted with categories.

    None for anything else, which is an estimator like others. Raises: LoadError, RefusedFile.
    """
    name = f"{type(model).__module__}.{type(model).__name__}"
    classes: tuple[Scalar, ...] = ()
    if name in (XGBOOST, LIGHTGBM):
        made: object = model
    elif name.startswith(_WRAPPERS):
        made = getattr(model, "_Booster", None)
        classes = tuple(cast("list[Scalar]", np.asarray(getattr(model, "classes_", ())).tolist()))
    else:
        return None
    if getattr(made, "handle" if name == XGBOOST else "_handle", made) is None or made is None:
        raise LoadError("the model was saved before it was fitted; fit it and save it again")
    if name.startswith("xgboost."):
        return _xgboost(model, made, classes, options)
    return _lightgbm(model, made, classes, options)


def _xgboost(model: object, booster: object, classes: tuple[Scalar, ...], options: Options) -> Predictor | None:
    is_wrapper = model is not booster
    content = xgboost.content_of(booster, is_wrapper=is_wrapper)
    if is_wrapper and ("c" not in content.types or not np.isnan(getattr(model, "missing", np.nan))):
        return None
    if content.classes and classes and len(classes) == len(content.classes):
        content = replace(content, classes=classes)
    served = xgboost.predictor_of(content, options)
    return replace(served, native=model) if is_wrapper else served


def _lightgbm(model: object, booster: object, classes: tuple[Scalar, ...], options: Options) -> Predictor | None:
    is_wrapper = model is not booster
    if is_wrapper and not getattr(booster, "pandas_categorical", None):
        return None
    content = lightgbm.content_of(booster)
    if content.classes and classes and len(classes) == len(content.classes):
        content = replace(content, classes=classes)
    served = lightgbm.predictor_of(content, options)
    return replace(served, native=model) if is_wrapper else served
