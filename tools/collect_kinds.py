"""Writes what ``modelport.formats`` knows of scikit-learn's classes without importing them: kind, missing values, methods.

    python tools/collect_kinds.py            write src/modelport/formats/kinds/scikit-learn.json
    python tools/collect_kinds.py --check    exit 1 if the committed file differs from what would be written

What depends on an object's parameters is not in it, but in ``formats/likeness.py`` and the modules beside it.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import sys
from pathlib import Path

from sklearn.base import BaseEstimator
from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer  # noqa: F401
from sklearn.linear_model import LogisticRegression

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))
from modelport.formats.allow import allowed

KINDS = Path(__file__).parent.parent / "src" / "modelport" / "formats" / "kinds" / "scikit-learn.json"
_LISTS = ("steps", "estimators", "transformer_list")
METHODS = ("predict", "predict_proba", "decision_function", "score_samples", "transform")


def collect() -> dict[str, list[object]]:
    """Return each estimator class on the allow-list: its kind, whether it takes missing values, which methods its class has."""
    found: dict[str, list[object]] = {}
    for module, name in sorted(allowed()):
        if not module.startswith("sklearn."):
            continue
        try:
            cls = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):  # a name of older versions
            continue
        if isinstance(cls, type) and issubclass(cls, BaseEstimator):
            kind, takes_missing = _tags(cls)
            found[f"{module}.{name}"] = [kind, takes_missing, [method for method in METHODS if hasattr(cls, method)]]
    return found


def _tags(cls: type) -> tuple[str | None, bool]:
    """Ask an object with every parameter at its default, or where it has none, with a logistic regression in it."""
    inner = LogisticRegression()
    given: dict[str, object] = {}
    for name, parameter in inspect.signature(cls).parameters.items():
        is_open = parameter.default is parameter.empty or name == "estimator"
        if is_open and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            given[name] = [("a", inner, [0])] if name == "transformers" else [("a", inner)] if name in _LISTS else inner
    tags = cls(**given).__sklearn_tags__()
    return tags.estimator_type, bool(tags.input_tags.allow_nan or tags.no_validation)


def text() -> str:
    """Return what the file is to hold."""
    return "{\n" + ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in collect().items()) + "\n}\n"


def main() -> None:
    """Write or check the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        sys.exit(0 if KINDS.read_text("utf-8") == text() else f"{KINDS} is not what {Path(__file__).name} writes")
    KINDS.parent.mkdir(exist_ok=True)
    KINDS.write_text(text(), "utf-8")


if __name__ == "__main__":
    main()
