"""Nearest neighbours: the search tree is built anew from the stored points, by the same algorithm."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import BallTree, KDTree

from modelport.formats.older.kinds import Version
from modelport.formats.older.remains import Remains


def searched(model: object, made: Version) -> None:  # noqa: ARG001  # one signature for all repairs
    """Build the search tree from the points, and write down what newer versions read."""
    state = vars(model)
    points = state.get("_fit_X")
    if points is not None:
        state.setdefault("n_samples_fit_", points.shape[0])
        state.setdefault("n_features_in_", points.shape[1])
    if isinstance(state.get("_tree"), Remains):
        kind = KDTree if state["_fit_method"] == "kd_tree" else BallTree
        given = {name: value for name, value in state["effective_metric_params_"].items() if value is not None}
        state["_tree"] = kind(np.asarray(points), state["leaf_size"], metric=state["effective_metric_"], **given)
