"""Undecided: a form hands a call back to the original, where rounding could part the two."""

from __future__ import annotations

MARGIN = 1e-9
"""Far above what rounding can do to a probability (1e-15), far below what anybody would call a difference."""


class Undecided(Exception):
    """The form does not answer these rows; the original model has to. Never seen by a client."""
