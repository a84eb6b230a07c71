"""Stand-ins for classes that are gone or cannot take the state of their day: they keep what the file says, and do nothing.

A repair turns them into today's objects, or drops them; none is ever called by the file.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

_DISTANCES = "sklearn.metrics._dist_metrics."
_PREFIXES = (
    _DISTANCES,
    "sklearn.linear_model._sgd_fast.",
    "sklearn.ensemble._gb_losses.",
    "sklearn.ensemble._gb.",
    "sklearn.ensemble._hist_gradient_boosting.loss.",
    "sklearn._loss.",
    "sklearn.compose._column_transformer._RemainderColsList",
)
_REAL = {"sklearn.ensemble._gb.GradientBoostingClassifier", "sklearn.ensemble._gb.GradientBoostingRegressor"}
_TREES = {
    "sklearn.tree._tree.Tree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neighbors._kd_tree.BinaryTree",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._ball_tree.BinaryTree",
}
_TREES_SINCE = (1, 4)  # their layout is today's
_MAKERS = ("newObj", "__pyx_unpickle_")
_SCORER = "sklearn.metrics._scorer._passthrough_scorer"


class Remains:
    """What is left of an object of a class that changed: the arguments it was made with, and its state."""

    dotted = ""

    def __init__(self, *args: object) -> None:
        self.args = args
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state


def stand_in(dotted: str, made: tuple[int, ...]) -> object | None:
    """Return what takes the place of a listed global while a file of scikit-learn ``made`` is loaded; None where the real one does."""
    name = dotted.rpartition(".")[2]
    if name.startswith(_MAKERS) and dotted.startswith((*_PREFIXES, "sklearn.neighbors.")):
        return _make
    if dotted == _SCORER:
        return _passthrough
    if (dotted in _TREES and made < _TREES_SINCE) or (dotted.startswith(_PREFIXES) and dotted not in _REAL):
        return _remains(dotted)
    return None


@cache
def _remains(dotted: str) -> type[Remains]:
    return type(dotted.rpartition(".")[2], (_Made, Remains), {"dotted": dotted})


class _Made:
    """Makes an instance whether the file calls the class or only allots it."""

    def __new__(cls, *args: object) -> _Made:
        made = super().__new__(cls)
        vars(made).update(args=args, state=None)
        return made


def _make(kind: object, *rest: object) -> object:
    """Stand for the functions by which Cython classes are unpickled: the class, a checksum, a state."""
    if not isinstance(kind, type) or not issubclass(kind, Remains):
        return Remains(kind, *rest)
    made = kind()
    if len(rest) > 1:
        made.state = rest[1]
    return made


def _passthrough(estimator: object, *args: object, **keywords: object) -> object:
    """Score as the estimator does itself; a search without ``scoring`` held such a function."""
    score: Callable[..., object] = getattr(estimator, "score")  # noqa: B009  # any estimator
    return score(*args, **keywords)
