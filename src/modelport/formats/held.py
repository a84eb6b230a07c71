"""What a loaded pickle holds: an estimator, or something else that is named."""

from __future__ import annotations

from pathlib import Path

from modelport.errors import LoadError

_METHODS = ("predict", "transform", "predict_proba", "decision_function")


def check_estimator(path: Path, model: object) -> None:
    """Check that an object is an estimator. Raises: LoadError saying what it is instead, and where an estimator is within it."""
    if not isinstance(model, type) and any(callable(getattr(model, name, None)) for name in _METHODS):
        return
    found = f"a {type(model).__name__}"
    if isinstance(model, type):
        found = f"the class {model.__name__} itself, not a fitted object of it"
    elif isinstance(model, dict):
        keys = ", ".join(repr(key) for key in list(model)[:10])
        held = [key for key, value in model.items() if any(callable(getattr(value, name, None)) for name in _METHODS)]
        found += f" with the keys {keys}" + (f"; the estimator is under {held[0]!r}, save that alone" if held else "")
    elif isinstance(model, list | tuple):
        held_at = [at for at, value in enumerate(model) if any(callable(getattr(value, name, None)) for name in _METHODS)]
        found += f" of {len(model)}" + (f"; the estimator is number {held_at[0]} of it, save that alone" if held_at else "")
    raise LoadError(f"{path.name}: holds {found}; an estimator with predict or transform was expected")
