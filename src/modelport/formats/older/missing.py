"""Since when what is made of decision trees splits on missing values; apart, because ``inspect`` asks it too."""

from __future__ import annotations

_FORESTS = frozenset({"RandomForestClassifier", "RandomForestRegressor"})
_OTHERS = frozenset(
    {
        "AdaBoostClassifier",
        "AdaBoostRegressor",
        "BaggingClassifier",
        "BaggingRegressor",
        "DecisionTreeClassifier",
        "DecisionTreeRegressor",
        "GradientBoostingClassifier",
        "GradientBoostingRegressor",
        "IsolationForest",
        "RandomTreesEmbedding",
    }
)


def split_on_missing_since(name: str) -> tuple[int, ...] | None:
    """Return the version since which trees of that class have a side for missing values; None for what is not made of trees.

    What was fitted before refuses them, today as then.
    """
    if name.startswith("ExtraTree"):
        return (1, 6)
    if name in _FORESTS:
        return (1, 4)
    return (1, 3) if name in _OTHERS else None
