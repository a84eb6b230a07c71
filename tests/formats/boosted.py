"""What the tests of XGBoost and LightGBM share: the committed models of all versions, and their rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from modelport.columns import Array, Columns
from modelport.schema import Schema

ARTIFACTS = Path(__file__).parent.parent / "artifacts"
WHOLE = {"linear", "pipeline"}  # fitted on rows where nothing is missing


def files(library: str, *, pickles: bool) -> list[Path]:
    """Return the models of every version of a library."""
    found = sorted((ARTIFACTS / library).glob("*/*"))
    return [path for path in found if path.suffix not in (".npz", ".py") and (path.suffix == ".pkl") == pickles]


def named(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def expected(path: Path) -> dict[str, Array]:
    """Return what the library of that day answered, and the rows."""
    with np.load(path.parent / "expected.npz") as kept:
        return {name: kept[name] for name in kept}


def rows(path: Path, schema: Schema, kept: dict[str, Array]) -> Columns:
    """Return the rows that a model was asked."""
    names = [item.name for item in schema.inputs]
    if path.stem == "categories" and any(item.categories for item in schema.inputs):
        columns = {"tree": kept["tree"].astype(object), "plot": kept["plot"].astype(float), "size": kept["size"]}
        return schema.pack(columns)
    matrix = kept["codes"] if path.stem in ("categories", "coded") else kept["X"]
    if path.stem in WHOLE:
        matrix = np.nan_to_num(matrix)
    return schema.pack({name: matrix[:, at].astype(float) for at, name in enumerate(names)})


def compared(answers: Columns, wanted: Array) -> Array:
    """Return that part of an answer which the library of the day gave."""
    name = next(name for name in ("prediction", "probabilities", "scores", "label") if name in answers)
    found = answers[name]
    if name == "probabilities" and wanted.ndim == 1:
        found = found[:, 1]
    return found.reshape(wanted.shape)
