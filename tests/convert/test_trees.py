"""Trees in ONNX: the side of a missing value in each node, and graphs that are not of the estimator."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor

from modelport.convert.trees import cast_before, with_sides

X = np.array([[1.0], [2.0], [3.0], [np.nan], [np.nan]])
TREE = DecisionTreeRegressor(random_state=0).fit(X, [0.0, 1.0, 2.0, 0.0, 0.0])


def graph(nodes: int) -> bytes:
    """Write a graph of one tree with that many nodes, and an operator that is none."""
    made = [
        helper.make_node("Identity", ["x"], ["y"]),
        helper.make_node(
            "TreeEnsembleRegressor",
            ["y"],
            ["z"],
            domain="ai.onnx.ml",
            nodes_treeids=[0] * nodes,
            nodes_nodeids=list(range(nodes)),
            nodes_missing_value_tracks_true=[0] * nodes,
        ),
    ]
    return helper.make_model(helper.make_graph(made, "g", [], [])).SerializeToString()


def sides(data: bytes) -> list[int]:
    (found,) = [
        item.ints
        for node in onnx.load_from_string(data).graph.node
        for item in node.attribute
        if item.name == "nodes_missing_value_tracks_true"
    ]
    return list(found)


def test_missing_values_go_to_the_side_that_the_tree_says() -> None:
    wanted = TREE.tree_.missing_go_to_left.astype(int).tolist()
    assert sum(wanted) > 0
    assert sides(with_sides(graph(TREE.tree_.node_count), [TREE])) == wanted


def test_a_graph_of_another_tree_stays_as_it_is() -> None:
    data = graph(TREE.tree_.node_count + 1)
    assert with_sides(data, TREE) == data
    data = graph(3)
    assert with_sides(data, Ridge().fit([[1.0]], [1.0])) == data


def test_only_trees_get_their_rows_cast() -> None:
    ridge = Ridge()
    assert cast_before(ridge) is ridge
    assert [name for name, _ in cast_before(TREE).steps] == ["modelport_cast", "model"]


def test_what_contains_itself_comes_to_an_end() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert with_sides(b"any", endless) == b"any"
