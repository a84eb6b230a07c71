"""What a scanned pickle says of its model: library and version, the tree of estimators, features and classes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from modelport.formats import arrays
from modelport.formats.base import Step
from modelport.formats.scan import Scan
from modelport.formats.symbols import Node, Ref, Symbol, kind_of
from modelport.schema import Scalar

_LIBRARIES = {
    "sklearn": "scikit-learn",
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "pandas": "pandas",
    "numpy": "numpy",
    "builtins": "python",
}
_CHILD_LISTS = ("steps", "transformers_", "transformers", "transformer_list", "estimators")
_CHILDREN = ("estimator", "best_estimator_", "base_estimator", "estimator_", "regressor_", "final_estimator_")
_MAX_STEPS = 100
_MAX_CHARACTERS = 80
_MAX_ITEMS = 8
_DEPTH = 8
_CONTAINERS = ("Pipeline", "FeatureUnion", "ColumnTransformer")


@dataclass(frozen=True, slots=True)
class Summary:
    """The part of a Report that the objects in the file tell."""

    library: str
    library_version: str | None
    model: str
    steps: tuple[Step, ...]
    features: tuple[str, ...]
    classes: tuple[Scalar, ...]


def summarize(data: bytes, scan: Scan) -> Summary:
    """Read the summary from a scan of ``data``. Cost: small; arrays of more than 64 KiB are not looked at."""
    root = scan.root
    features = next((found for node in _walk(root, set()) if (found := _strings(data, attribute(node, "feature_names_in_")))), ())
    if not features:
        count = next((number for node in _walk(root, set()) if isinstance(number := attribute(node, "n_features_in_"), int)), 0)
        features = tuple(f"x{index}" for index in range(count)) if count <= 1000 else ()
    classes: tuple[Scalar, ...] = next(
        (labels for node in (root, *_last_first(root)) if (labels := _scalars(data, attribute(node, "classes_")))), ()
    )
    return Summary(
        library=library_of(root),
        library_version=version_of(scan, library_of(root)),
        model=type_name(root),
        steps=tuple([*_root(root), *_steps(root, "")][:_MAX_STEPS]),
        features=features,
        classes=classes,
    )


def attribute(symbol: Symbol, name: str) -> Symbol:
    """Return what an object's state holds under a name, or None."""
    state = symbol.state if isinstance(symbol, Node) else None
    if isinstance(state, tuple) and len(state) == 2:  # (dictionary, slots)
        state = state[0]
    return state.get(name) if isinstance(state, dict) else None


def type_name(symbol: Symbol) -> str:
    """Return the class of a symbolic object, as it is called in its library."""
    if isinstance(symbol, Node):
        return symbol.maker.name.removeprefix("__pyx_unpickle_")
    return kind_of(symbol)


def library_of(symbol: Symbol) -> str:
    """Return the distribution that an object comes from."""
    top = symbol.maker.module.partition(".")[0] if isinstance(symbol, Node) else "builtins"
    return _LIBRARIES.get(top, top)


def version_of(scan: Scan, library: str = "scikit-learn") -> str | None:
    """Return the version that wrote the file: scikit-learn stores it in every estimator, the other libraries in none of theirs."""
    versions = {found for node in scan.nodes if isinstance(found := attribute(node, "_sklearn_version"), str)}
    return min(versions, key=version_key) if versions and library == "scikit-learn" else None


def version_key(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version, for comparing."""
    return tuple(int(part) for part in re.findall(r"\d+", re.split(r"[a-z+]", version)[0])[:4])


def children(node: Symbol) -> Iterator[tuple[str, Symbol]]:
    """Yield the estimators that an object is made of, each with its name; "drop" and "passthrough" as they are."""
    for name in _CHILD_LISTS:
        listed = attribute(node, name)
        if name == "transformers" and isinstance(attribute(node, "transformers_"), list):
            continue
        for item in listed if isinstance(listed, list) else ():
            if isinstance(item, tuple) and len(item) >= 2 and isinstance(item[0], str) and isinstance(item[1], Node | str):
                yield item[0], item[1]
    for name in _CHILDREN:
        child = attribute(node, name)
        if isinstance(child, Node) and (name.endswith("_") or not isinstance(attribute(node, f"{name}_"), Node)):
            yield name.rstrip("_"), child


def _steps(root: Symbol, prefix: str, depth: int = 0) -> list[Step]:
    found: list[Step] = []
    for name, child in children(root):
        path = f"{prefix}{name}"
        if isinstance(child, str):  # "drop", "passthrough"
            found.append(Step(path, child))
        else:
            found.append(Step(path, type_name(child), _parameters(child)))
            found += _steps(child, f"{path}/", depth + 1) if depth < _DEPTH else []
        if len(found) >= _MAX_STEPS:
            return found[:_MAX_STEPS]
    return found


def _root(root: Symbol) -> list[Step]:
    """The estimator itself, unless it is a mere container whose steps say all."""
    if not isinstance(root, Node) or type_name(root) in _CONTAINERS:
        return []
    return [Step(type_name(root).lower(), type_name(root), _parameters(root))]


def _parameters(node: Symbol) -> dict[str, Scalar]:
    """The constructor's parameters, by scikit-learn's convention: names without an underscore at either end."""
    state = node.state if isinstance(node, Node) else None
    if not isinstance(state, dict):
        return {}
    plain = {name: value for name, value in state.items() if isinstance(name, str) and not name.startswith("_") and not name.endswith("_")}
    return {name: _shown(value) for name, value in plain.items() if value is None or _is_shown(value)}


def _is_shown(value: Symbol) -> bool:
    if isinstance(value, tuple | list):
        return len(value) <= _MAX_ITEMS and all(item is None or isinstance(item, str | int | float | bool) for item in value)
    return isinstance(value, str | int | float | bool | Ref)


def _shown(value: Symbol) -> Scalar:
    if isinstance(value, Ref):
        return value.dotted
    if isinstance(value, tuple | list):
        value = repr(value)
    if isinstance(value, str):
        return value if len(value) <= _MAX_CHARACTERS else value[: _MAX_CHARACTERS - 1] + "…"
    return value if value is None or isinstance(value, int | float | bool) else None


def _walk(root: Symbol, seen: set[int], depth: int = 0) -> Iterator[Symbol]:
    """Yield an estimator and its parts, each once: what shares its parts within itself has no end."""
    if id(root) in seen:
        return
    seen.add(id(root))
    yield root
    if depth < _DEPTH:
        for count, (_, child) in enumerate(children(root)):
            if count >= _MAX_STEPS:
                return
            yield from _walk(child, seen, depth + 1)


def _last_first(root: Symbol, depth: int = 0) -> Iterator[Symbol]:
    last = [child for _, child in children(root)][-1:]
    if last and depth < _DEPTH:
        yield last[0]
        yield from _last_first(last[0], depth + 1)


def _strings(data: bytes, symbol: Symbol) -> tuple[str, ...]:
    values = arrays.small_values(data, symbol) if symbol is not None else None
    return tuple(str(value) for value in values) if values and all(isinstance(value, str) for value in values) else ()


def _scalars(data: bytes, symbol: Symbol) -> tuple[Scalar, ...]:
    values = arrays.small_values(data, symbol) if symbol is not None else None
    return tuple(value for value in values or () if isinstance(value, str | int | float | bool))
