"""TF-IDF of before 1.4 kept its inverse document frequencies as a diagonal matrix, under a name that nothing reads today."""

from __future__ import annotations

import numpy as np

from modelport.formats.older.kinds import Version


def frequencies(model: object, made: Version) -> None:  # noqa: ARG001  # one signature for all repairs
    """Take the frequencies off the diagonal."""
    state = vars(model)
    diagonal = state.pop("_idf_diag", None)
    if diagonal is not None and "idf_" not in state:
        state["idf_"] = np.asarray(diagonal.diagonal())
