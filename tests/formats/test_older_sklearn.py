"""Files of nine scikit-learn generations answer as recorded on their day, or are refused by a sentence of the table below."""

from __future__ import annotations

import json
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from modelport import formats
from modelport.bundle.folder import open_bundle
from modelport.bundle.model import load_model
from modelport.columns import Columns
from modelport.config import Settings
from modelport.errors import LoadError, ModelportError
from modelport.formats.base import Options, Predictor
from modelport.formats.older.remains import stand_in
from modelport.formats.summary import version_key
from modelport.server.look import document, look

pytest.importorskip("sklearn")
pytest.importorskip("pandas")

ROOT = Path(__file__).parent.parent / "artifacts" / "sklearn"
FILES = sorted(path for path in ROOT.glob("*/*") if path.suffix in (".pkl", ".joblib"))
METHODS = {
    "label": "predict",
    "prediction": "predict",
    "cluster": "predict",
    "probabilities": "predict_proba",
    "scores": "decision_function",
    "score": "decision_function",
    "features": "transform",
}
# The name of an artifact, the version since which it is answered, and the words of its refusal before.
REFUSED = {
    "centroid": ((1, 6), "NearestCentroid answers by class probabilities since 1.6"),
    "hist_binary": ((0, 24), "histogram gradient boosting was experimental then"),
    "hist_multiclass": ((0, 24), "histogram gradient boosting was experimental then"),
    "hist_regressor": ((0, 24), "histogram gradient boosting was experimental then"),
    "quantile": ((0, 22), "QuantileTransformer cut values at its bounds differently"),
    "poisson": ((1, 3), "PoissonRegressor of that version was never compared"),
    "function": ((1, 0), "numpy.core._ufunc_reconstruct"),
}
# Artifacts of the newest generation in which something is repaired; the others load there as they are.
SHIMMED_IN_1_7 = {
    "array_columns",
    "frame_columns",
    "frame_forest",
    "gradient_binary",
    "gradient_exponential",
    "gradient_huber",
    "gradient_multiclass",
    "gradient_quantile",
    "gradient_regressor",
    "gradient_zero",
    "hashing",
    "hist_binary",
    "hist_multiclass",
    "hist_regressor",
    "imputed",
    "imputed_forest",
    "logistic_liblinear",
    "logistic_multinomial_binary",
    "logistic_ovr_three",
    "one_vs_one",
    "passive",
    "perceptron",
    "poisson",
    "ridge_classifier",
    "sgd_hinge",
    "sgd_huber",
    "sgd_log",
    "sgd_regressor",
    "tfidf_sgd",
}


def _id(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}"


def _refusal(path: Path) -> str:
    since, words = REFUSED.get(path.stem, ((0,), ""))
    return words if version_key(path.parent.name) < since else ""


@cache
def _expected(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "expected.npz") as read:
        return dict(read)


def _rows(path: Path, predictor: Predictor) -> Columns:
    """The rows that were asked, as the physical columns of the predictor's schema."""
    expected = _expected(path.parent)
    kind = str(expected[f"{path.stem}/rows"])
    fields = predictor.schema.inputs
    if kind == "frame":
        named = {field.name: expected[f"rows/frame/{field.name}"] for field in fields}
    elif kind == "texts":
        named = {"text": expected["rows/texts"]}
    else:
        named = {field.name: expected[f"rows/{kind}"][:, at] for at, field in enumerate(fields)}
    return predictor.schema.pack({field.name: named[field.name].astype(field.dtype) for field in fields})


def test_there_are_at_least_five_generations_of_fifteen_estimators() -> None:
    generations = {path.parent.name for path in FILES}
    assert len(generations) >= 5
    assert all(sum(path.parent.name == name for path in FILES) > 15 for name in generations)
    assert {"0.18.2", "0.20.4", "1.7.2"} <= generations


@pytest.mark.parametrize("path", [path for path in FILES if not _refusal(path)], ids=_id)
def test_a_file_answers_as_on_the_day_it_was_saved(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predictor = formats.load(path, Options())
        answer = predictor.predict(_rows(path, predictor), None)
    assert repr(formats.inspect(path, Options()).schema) == repr(predictor.schema)
    assert predictor.form == "native"
    assert set(answer)
    for name in answer:
        want, got = _expected(path.parent)[f"{path.stem}/{METHODS[name]}"], answer[name]
        got = got.astype(str) if got.dtype.kind == "O" else got
        if want.dtype.kind in "fc":
            np.testing.assert_allclose(got.reshape(want.shape), want, rtol=1e-9, atol=1e-9)
        else:
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("path", [path for path in FILES if _refusal(path)], ids=_id)
def test_a_file_that_cannot_answer_so_is_refused_in_one_sentence(path: Path) -> None:
    with pytest.raises(ModelportError) as caught:
        formats.load(path, Options())
    report = formats.inspect(path, Options())
    assert _refusal(path) in caught.value.message
    assert _refusal(path) in report.problem
    assert "\n" not in caught.value.message
    assert report.plan == "none"
    if isinstance(caught.value, LoadError):
        assert f"pip install scikit-learn=={path.parent.name}" in caught.value.message


@pytest.mark.parametrize("path", [path for path in FILES if not _refusal(path)], ids=_id)
def test_inspect_says_what_is_repaired(path: Path) -> None:
    report = formats.inspect(path, Options())
    assert report.library_version == path.parent.name
    assert (report.verdict, report.problem) == ("loadable", "")
    assert report.plan == ("shimmed" if report.notes else "native")
    assert all(item.kind == "known" for item in report.globals)
    if path.parent.name == "1.7.2":
        assert (report.plan == "shimmed") == (path.stem in SHIMMED_IN_1_7)


@pytest.mark.parametrize(
    ("generation", "name", "words"),
    [
        ("0.20.4", "logistic_default.joblib", "one-vs-rest"),
        ("1.0.2", "logistic_multinomial_binary.pkl", "stays a softmax"),
        ("1.3.2", "forest_classifier.pkl", "counts in decision trees"),
        ("1.3.2", "tfidf_logistic.pkl", "off their diagonal"),
        ("1.5.2", "ada.joblib", "SAMME.R"),
        ("0.18.2", "svc.pkl", "scaled by the largest of a call"),
    ],
)
def test_the_command_line_lists_the_repairs(generation: str, name: str, words: str) -> None:
    path = next(found for found in FILES if found.parent.name == generation and found.stem == name.partition(".")[0])
    seen = look(path, Settings())
    told = json.loads(document(seen))
    assert seen.exit_code == 0
    assert told["plan"] == "shimmed"
    assert any(words in note for note in told["notes"])
    assert [value for key, value in seen.outlook if key == "repaired"] == told["notes"]


def test_scores_that_depend_on_their_company_are_not_batched_together() -> None:
    path = next(found for found in FILES if found.parent.name == "0.20.4" and found.stem == "svc")
    assert not formats.load(path, Options()).is_row_wise
    newer = next(found for found in FILES if found.parent.name == "1.3.2" and found.stem == "svc")
    assert formats.load(newer, Options()).is_row_wise


def test_a_tree_that_refused_missing_values_still_does() -> None:
    path = next(found for found in FILES if found.parent.name == "1.0.2" and found.stem == "tree_classifier")
    predictor = formats.load(path, Options())
    assert not any(field.nullable for field in predictor.schema.inputs)
    with pytest.raises(ValueError, match="NaN"):
        predictor.native.predict(np.full((1, 4), np.nan))


def test_a_loaded_model_says_what_was_repaired() -> None:
    path = next(found for found in FILES if found.parent.name == "1.3.2" and found.stem == "forest_classifier")
    details = load_model(open_bundle(path), Options()).details
    assert details["plan"] == "shimmed"
    assert details["repaired"] == list(formats.inspect(path, Options()).notes)
    newer = next(found for found in FILES if found.parent.name == "1.7.2" and found.stem == "forest_classifier")
    assert load_model(open_bundle(newer), Options()).details == {}


@pytest.mark.parametrize(("field", "value"), [("left_child", 0), ("right_child", 999), ("feature", 77)])
def test_a_tree_whose_nodes_point_out_of_it_is_never_built(field: str, value: int) -> None:
    nodes = np.zeros(3, [("left_child", "<i8"), ("right_child", "<i8"), ("feature", "<i8"), ("threshold", "<f8")])
    nodes["left_child"], nodes["right_child"] = (1, -1, -1), (2, -1, -1)
    remains = stand_in("sklearn.tree._tree.Tree", (1, 0))(2, np.array([1]), 1)
    remains.__setstate__({"nodes": nodes, "values": np.ones((3, 1, 1)), "max_depth": 1})
    from sklearn.tree import DecisionTreeRegressor

    from modelport.formats.older.trees import tree

    sound = DecisionTreeRegressor()
    vars(sound)["tree_"] = remains
    tree(sound, (1, 0))
    assert sound.tree_.node_count == 3
    nodes[field][0] = value
    broken = DecisionTreeRegressor()
    vars(broken)["tree_"] = remains
    with pytest.raises(LoadError, match="damaged"):
        tree(broken, (1, 0))
