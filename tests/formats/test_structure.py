"""Fitted estimators pass; the same with one number edited, which would crash or hang compiled code, are refused by name."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pytest
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.feature_selection import SelectFromModel
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC, SVR, NuSVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier

from modelport.errors import RefusedFile
from modelport.formats.structure import check_structure

rng = np.random.default_rng(0)
X = rng.normal(size=(120, 4))
Y = (X[:, 0] + X[:, 1] > 0).astype(int) + (X[:, 2] > 1)


def tree_state(tree: object, change: Callable[[dict], None]) -> None:
    state = tree.__getstate__()
    state["nodes"] = state["nodes"].copy()
    change(state)
    tree.__setstate__(state)


def set_node(name: str, value: int) -> Callable[[dict], None]:
    def change(state: dict) -> None:
        state["nodes"][name][0] = value

    return change


@pytest.mark.parametrize(
    "estimator",
    [
        DecisionTreeClassifier(),
        DecisionTreeClassifier(max_leaf_nodes=5),
        RandomForestClassifier(5),
        GradientBoostingClassifier(n_estimators=3),
        HistGradientBoostingClassifier(max_iter=3),
        HistGradientBoostingClassifier(max_iter=3, categorical_features=[3]),
        IsolationForest(n_estimators=5),
        KNeighborsClassifier(algorithm="kd_tree", leaf_size=5),
        KNeighborsClassifier(algorithm="ball_tree", leaf_size=5),
        SVC(),
        SVC(kernel="linear"),
        NuSVC(nu=0.1),
        SVR(),
        OneClassSVM(),
        make_pipeline(SelectFromModel(RandomForestClassifier(5)), SVC()),
    ],
    ids=repr,
)
def test_what_fitting_makes_passes(estimator: object) -> None:
    rows = X.copy()
    rows[:, 3] = np.arange(len(X)) % 5
    check_structure(pickle.loads(pickle.dumps(estimator.fit(rows, Y))))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("left_child", 0, "a node's child"),
        ("right_child", 0, "a node's child"),
        ("left_child", 10**6, "a node's child"),
        ("left_child", -7, "a node's child"),
        ("feature", 4, "a feature that there is not"),
        ("feature", 10**6, "a feature that there is not"),
        ("feature", -2, "a feature that there is not"),
        ("left_child", -1, "a leaf has a child"),
    ],
)
def test_an_edited_tree_is_refused_wherever_it_is(name: str, value: int, words: str) -> None:
    forest = RandomForestClassifier(3, random_state=0).fit(X, Y)
    tree_state(forest.estimators_[1].tree_, set_node(name, value))
    with pytest.raises(RefusedFile, match=words):
        check_structure(make_pipeline(forest))


def test_a_tree_for_more_features_than_are_let_in_is_refused() -> None:
    tree = DecisionTreeClassifier().fit(X, Y)
    tree.n_features_in_ = 2
    with pytest.raises(RefusedFile, match="made for 4 features, it lets in 2"):
        check_structure(tree)


@pytest.mark.parametrize(("name", "value"), [("left", 0), ("right", 10**6), ("feature_idx", 9), ("bitset_idx", 50)])
def test_an_edited_boosting_tree_is_refused(name: str, value: int) -> None:
    model = HistGradientBoostingClassifier(max_iter=3, categorical_features=[0]).fit(np.abs(X).astype(int), Y)
    for trees in model._predictors:
        for tree in trees:
            tree.nodes[name] = value
            tree.nodes["is_categorical"] = name == "bitset_idx"
    with pytest.raises(RefusedFile, match="not what fitting makes"):
        check_structure(model)


@pytest.mark.parametrize("algorithm", ["kd_tree", "ball_tree"])
@pytest.mark.parametrize("at", ["order", "stop", "leaf"])
def test_an_edited_index_of_neighbours_is_refused(algorithm: str, at: str) -> None:
    model = KNeighborsClassifier(algorithm=algorithm, leaf_size=5).fit(X, Y)
    _, order, nodes, _ = (np.asarray(part) for part in model._tree.get_arrays())
    if at == "order":
        order[0] = 10**6
    elif at == "stop":
        nodes["idx_end"][0] = 10**6
    else:
        nodes["is_leaf"][-1] = 0
    with pytest.raises(RefusedFile, match="not what fitting makes"):
        check_structure(model)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: setattr(m, "support_", m.support_ + 10**6),
        lambda m: setattr(m, "support_vectors_", m.support_vectors_[:3]),
        lambda m: setattr(m, "_n_support", m._n_support * 100),
        lambda m: setattr(m, "_dual_coef_", m._dual_coef_[:, :2]),
        lambda m: setattr(m, "_intercept_", m._intercept_[:1]),
    ],
)
def test_an_edited_support_vector_machine_is_refused(change: Callable[[SVC], None]) -> None:
    model = SVC().fit(X, Y)
    change(model)
    with pytest.raises(RefusedFile, match="not what fitting makes"):
        check_structure(model)
