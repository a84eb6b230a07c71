"""What training never makes is refused before the library sees it, for it would crash it or never end."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelport import formats
from modelport.errors import RefusedFile, UnreadableFile
from modelport.formats import ubjson, xgboost_file, xgboost_trees
from modelport.formats.base import Options


def _module(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EDITED = _module("edited_xgboost")
NEWEST = Path(__file__).parent.parent / "artifacts" / "xgboost" / "3.2.0"
NONE = Options()
CASES = {
    f"{file}: {name}": (file, words, edit)
    for file, edits in (
        ("three.json", EDITED.TREES),
        ("categories.ubj", EDITED.CATEGORIES),
        ("vectors.ubj", EDITED.VECTORS),
        ("dart.json", EDITED.DART),
        ("linear.ubj", EDITED.LINEAR),
    )
    for name, words, edit in edits
}


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def _document(file: str) -> dict[str, Any]:
    data = (NEWEST / file).read_bytes()
    return json.loads(data) if file.endswith(".json") else _plain(ubjson.read(data))


@pytest.mark.parametrize("case", CASES)
def test_what_training_never_makes_is_refused(case: str, tmp_path: Path) -> None:
    file, words, edit = CASES[case]
    document = _document(file)
    edit(document)
    path = tmp_path / "model.json"
    path.write_text(json.dumps(document))
    report = formats.inspect(path, NONE)
    assert report.verdict == "refused"
    assert words in report.problem
    assert "\n" not in report.problem
    with pytest.raises(RefusedFile, match=r"model\.json: .*; the file is damaged or was changed"):
        formats.load(path, NONE)


@pytest.mark.parametrize("file", ["three.json", "categories.ubj", "vectors.ubj", "dart.json", "linear.ubj"])
def test_the_same_documents_unedited_are_served(file: str, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(json.dumps(_document(file)))
    assert formats.inspect(path, NONE).verdict == "loadable"
    predictor = formats.load(path, NONE)
    assert predictor.predict(predictor.schema.sample(2), None).rows == 2


def test_an_objective_of_somebodys_is_not_served() -> None:
    document = _document("three.json")
    document["learner"]["objective"]["name"] = "my:own"
    with pytest.raises(UnreadableFile, match="'my:own' is not one that modelport knows"):
        xgboost_file.read(json.dumps(document).encode())


def test_a_deleted_node_is_no_fault_where_nothing_leads_to_it() -> None:
    """Pruning leaves nodes behind, which the file marks by a feature that there cannot be."""
    document = _document("three.json")
    edit = document["learner"]["gradient_booster"]["model"]["trees"][0]
    for name in ("parents", "left_children", "right_children"):
        edit[name] += [-1]
    for name, value in (("split_indices", 2**31 - 1), ("default_left", 1), ("split_type", 0)):
        edit[name] += [value]
    for name in ("split_conditions", "base_weights", "loss_changes", "sum_hessian"):
        edit[name] += [0.0]
    edit["tree_param"]["num_nodes"] = str(len(edit["parents"]))
    content = xgboost_file.read(json.dumps(document).encode())
    written = ubjson.read(content.document)["learner"]["gradient_booster"]["model"]["trees"][0]
    assert written["tree_param"]["num_deleted"] == "1"
    edit["right_children"][0] = len(edit["parents"]) - 1
    with pytest.raises(RefusedFile, match="or deleted"):
        xgboost_file.read(json.dumps(document).encode())


def test_categories_may_not_take_much_memory() -> None:
    """A tree of 150 nodes that each ask for the largest number there is: 2 MB of bits apiece."""
    document, nodes = _document("categories.ubj"), 150
    count = 2 * nodes + 1
    left = [2 * at + 1 if at < nodes else -1 for at in range(count)]
    changed = document["learner"]["gradient_booster"]["model"]["trees"][0]
    changed |= {name: [0] * count for name in ("parents", "default_left", "split_indices")}
    changed |= {name: [0.0] * count for name in ("split_conditions", "base_weights", "loss_changes", "sum_hessian")}
    changed |= {"left_children": left, "right_children": [at if at < 0 else at + 1 for at in left]}
    changed |= {"split_type": [int(at < nodes) for at in range(count)], "categories_nodes": list(range(nodes))}
    changed |= {"categories_segments": list(range(nodes)), "categories_sizes": [1] * nodes, "categories": [2**24 - 1] * nodes}
    changed["tree_param"]["num_nodes"] = str(count)
    with pytest.raises(RefusedFile, match="its categories take 299 MB"):
        xgboost_file.read(json.dumps(document).encode())
    changed["categories"] = [100] * nodes
    assert xgboost_file.read(json.dumps(document).encode()).trees == 4


def test_the_rounds_of_old_files_are_counted() -> None:
    """Before 1.3 files did not say how many trees a round has; the best round told in two ways gives it away."""
    document = json.loads((NEWEST.parent / "1.0.2" / "forest.json").read_text())
    assert xgboost_file.read(json.dumps(document).encode()).rounds == 12
    document["learner"]["attributes"] = {"best_iteration": "1", "best_ntree_limit": "6", "scikit_learn": "{}"}
    content = xgboost_file.read(json.dumps(document).encode())
    assert (content.rounds, content.is_stopped) == (2, True)


def test_no_trees_at_all_are_no_list_to_check() -> None:
    assert xgboost_trees.check([], 4, 1) == []


def test_the_base_score_of_old_raw_scores_has_to_be_a_probability() -> None:
    document = json.loads((NEWEST.parent / "1.0.2" / "raw.json").read_text())
    document["learner"]["learner_model_param"]["base_score"] = "1.0"
    with pytest.raises(RefusedFile, match="no probability"):
        xgboost_file.read(json.dumps(document).encode())
