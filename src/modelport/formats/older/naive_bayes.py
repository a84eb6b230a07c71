"""Gaussian naive Bayes called its variances sigma until 1.0."""

from __future__ import annotations

from modelport.formats.older.kinds import Version


def variances(model: object, made: Version) -> None:  # noqa: ARG001  # one signature for all repairs
    """Rename them."""
    state = vars(model)
    if "sigma_" in state and "var_" not in state:
        state["var_"] = state.pop("sigma_")
