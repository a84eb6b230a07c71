"""Transformers of columns: imputers, one-hot encoders, and the transformer that chooses columns for others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from modelport.errors import LoadError
from modelport.formats.older.kinds import Version
from modelport.formats.older.remains import Remains

_LISTED_SINCE = (1, 0)  # of a column transformer: which columns each of its parts reads


def imputer(model: object, made: Version) -> None:
    """Rename what newer versions read; take over the Imputer of before 0.22, which said "NaN" for NaN."""
    state = vars(model)
    if state.pop("axis", 0):
        raise LoadError("its Imputer fills along rows (axis=1), which newer scikit-learn cannot")
    if state.get("missing_values") == "NaN":
        state["missing_values"] = np.nan
    state.pop("verbose", None)
    statistics = state.get("statistics_")
    if statistics is not None:
        state.setdefault("_fit_dtype", statistics.dtype)
        state.setdefault("_fill_dtype", state["_fit_dtype"])
        state.setdefault("indicator_", None)
    if made < (1, 2):
        state["keep_empty_features"] = False


def one_hot(model: object, made: Version) -> None:  # noqa: ARG001  # one signature for all repairs
    """Rename what newer versions read."""
    state = vars(model)
    if state.get("_legacy_mode") or "feature_indices_" in state:
        raise LoadError(
            "its OneHotEncoder was fitted on whole numbers in the way of before 0.22 (n_values), which newer scikit-learn cannot; "
            "fit it again with categories='auto'"
        )
    if "sparse" in state:
        state.setdefault("sparse_output", state.pop("sparse"))
    if state.get("categories") is None and "categories_" in state:
        state["categories"] = "auto"
    state.setdefault("_infrequent_enabled", False)
    if "categories_" not in state:
        return
    state.setdefault("drop_idx_", None)
    state.setdefault("_drop_idx_after_grouping", state["drop_idx_"])
    dropped = state["drop_idx_"]
    counts = [len(found) for found in state["categories_"]]
    if dropped is not None:
        counts = [count - (at is not None) for count, at in zip(counts, dropped, strict=True)]
    state.setdefault("_n_features_outs", counts)


def ordinal(model: object, made: Version) -> None:  # noqa: ARG001
    """Write down that no category is missing or rare."""
    state = vars(model)
    state.setdefault("_infrequent_enabled", False)
    if "categories_" in state and "_missing_indices" not in state:
        last = [(at, found) for at, found in enumerate(state["categories_"]) if len(found)]
        state["_missing_indices"] = {at: len(found) - 1 for at, found in last if found[-1] is None or found[-1] != found[-1]}  # NaN


def transformer(model: object, made: Version) -> None:
    """Write down which columns each part reads, which newer versions keep and older ones looked up on each call."""
    state = vars(model)
    if "transformers_" not in state:
        return
    state["transformers_"] = [(name, part, _listed(columns)) for name, part, columns in state["transformers_"]]
    if "_remainder" in state:
        state["_remainder"] = (*state["_remainder"][:2], _listed(state["_remainder"][2]))
    if made >= _LISTED_SINCE:
        return
    names = state.pop("_df_columns", None)
    count = int(state["_n_features"])
    known = None if names is None else [str(name) for name in names]
    if known is not None:
        state["feature_names_in_"] = np.asarray(known, object)
    state["n_features_in_"] = count
    chosen = {name: _positions(columns, known, count) for name, _, columns in state["transformers_"]}
    state["_transformer_to_input_indices"] = {"remainder": [], **chosen}
    state["transformers_"] = [_plain(entry, chosen) for entry in state["transformers_"]]
    for name, part, columns in state["transformers_"]:
        if known is not None and not isinstance(columns, str) and not isinstance(part, str):
            _name(part, [known[at] for at in chosen[name]])
    state.setdefault("output_indices_", {})


def _name(part: object, names: list[str]) -> None:
    """Tell a part the names of its columns, so that it does not wonder at meeting them."""
    while isinstance(part, Pipeline):
        inner = [step for _, step in part.steps if step is not None and not isinstance(step, str)]
        if not inner:
            return
        part = inner[0]
    if isinstance(part, BaseEstimator) and "feature_names_in_" not in vars(part):
        vars(part).update(feature_names_in_=np.asarray(names, object), n_features_in_=len(names))


def _listed(columns: object) -> object:
    """The remaining columns were a list that warned, in 1.5 to 1.8."""
    state = columns.state if isinstance(columns, Remains) else None
    return list(state["data"]) if isinstance(state, dict) else columns


def _positions(columns: object, names: list[str] | None, count: int) -> list[int]:
    if columns is None:
        return []
    if isinstance(columns, slice):
        if isinstance(columns.start, str) or isinstance(columns.stop, str):
            raise LoadError("its ColumnTransformer chooses columns by a slice of names; save the model again with a newer scikit-learn")
        return list(range(count))[columns]
    listed: Sequence[object] = [columns] if isinstance(columns, str | int) else list(columns)  # type: ignore[call-overload]  # list or array
    if listed and all(isinstance(item, bool | np.bool_) for item in listed):
        return [at for at, item in enumerate(listed) if item]
    try:
        return [names.index(item) if isinstance(item, str) and names is not None else _position(item, count) for item in listed]
    except (ValueError, TypeError) as error:
        raise LoadError("its ColumnTransformer chooses columns in a way that newer scikit-learn cannot follow") from error


def _position(item: object, count: int) -> int:
    at: int = int(item)  # type: ignore[call-overload]  # a number, or ValueError
    return at if at >= 0 else at + count


def _plain(entry: tuple[str, object, object], chosen: dict[str, list[int]]) -> tuple[str, object, object]:
    name, part, columns = entry
    if name == "remainder":
        return name, part, chosen[name]
    return name, part, columns
