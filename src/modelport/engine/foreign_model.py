"""What a fitted estimator of an old environment takes and answers, without modelport: the part of a foreign worker that knows models.

Syntax of Python 3.6, numpy only; pandas where the model was fitted on frames. See ``foreign.py`` beside it.
"""

import numpy as np

# Attributes that tell how many columns an estimator takes, and on which axis of theirs; the surest first.
_WIDTHS = (
    ("n_features_in_", None),
    ("n_features_", None),
    ("_n_features", None),
    ("x_mean_", 0),
    ("_x_mean", 0),
    ("cluster_centers_", 1),
    ("support_vectors_", 1),
    ("centroids_", 1),
    ("means_", 1),
    ("theta_", 1),
    ("feature_log_prob_", 1),
    ("components_", 1),
    ("_fit_X", 1),
    ("coef_", -1),
    ("coef_", 0),
    ("scale_", 0),
    ("mean_", 0),
    ("min_", 0),
    ("statistics_", 0),
    ("scores_", 0),
    ("variances_", 0),
)
_PARTS = ("best_estimator_", "estimator_", "base_estimator_", "calibrated_classifiers_", "estimators_", "base_estimator")
_FLOATS = "#float64"  # how the front names the matrix of several numeric columns


class Unfit(Exception):
    """The model is not one that can be served from its own environment; the message says why and what to do."""


class Model:
    """A fitted estimator, what it takes and answers, and how rows are given to it: "matrix", "texts" or "frame"."""

    def __init__(self, estimator):
        self.estimator = estimator
        self.form, self.fields = _inputs(estimator)
        self.names = [field["name"] for field in self.fields]
        self.numbers = [field["name"] for field in self.fields if field["type"] == "float64"]
        self.answers = _answers(estimator, self._rows(self._sample(0.0, 2)))
        self.schema = {
            "task": _task(estimator),
            "inputs": self.fields,
            "outputs": [{key: value for key, value in answer.items() if key != "method"} for answer in self.answers],
            "is_named": self.form != "matrix" or self.names[0] != "x0",
        }
        classes = getattr(_final(estimator), "classes_", None)
        if classes is not None and self.schema["task"] == "classifier" and not isinstance(classes, list):
            self.schema["classes"] = np.asarray(classes).tolist()

    def warm_up(self):
        """Answer rows of plausible values. Raises: Unfit if the model takes none of them."""
        first = None
        for value in (0.0, 1.0):
            try:
                self.predict(self._sample(value, 1), None, None)
                return
            except Exception as error:  # noqa: BLE001  # tried in turn
                first = first or error
        raise Unfit("its warm-up prediction failed (%s); rows of zeros and ones are nothing for it" % (str(first) or type(first).__name__))

    def predict(self, columns, outputs, params):
        """Answer one row for each row. columns: dict of the physical columns; outputs: names wanted, None for all."""
        del params
        rows = self._rows(columns)
        called = {}
        out = {}
        for answer in self.answers:
            if outputs is not None and answer["name"] not in outputs:
                continue
            method = answer["method"]
            if method not in called:
                called[method] = getattr(self.estimator, method)(rows)
            out[answer["name"]] = _plain(called[method], answer)
        return out

    def _sample(self, value, rows):
        return self.columns(np.full((rows, max(len(self.numbers), 1)), value))

    def columns(self, block):
        """Return the physical columns of rows whose numbers are ``block``, with a plausible text in every column of texts."""
        columns = {}
        for field in self.fields:
            if field["type"] == "string":
                text = (field.get("categories") or ["I am well"])[0]
                columns[field["name"]] = np.array([text] * len(block), dtype=object)
        if len(self.numbers) == 1:
            columns[self.numbers[0]] = block[:, 0]
        elif self.numbers:
            columns[_FLOATS] = block
        return columns

    def _rows(self, columns):
        if self.form == "texts":
            return [value if value is not None else "" for value in columns["text"].tolist()]
        block = columns[_FLOATS] if len(self.numbers) > 1 else None
        if self.form == "matrix":
            return block if block is not None else columns[self.numbers[0]].reshape(-1, 1)
        import pandas

        data = {}
        for name in self.names:
            at = self.numbers.index(name) if name in self.numbers else -1
            data[name] = columns[name] if at < 0 or block is None else block[:, at]
        return pandas.DataFrame(data, columns=self.names)


def _final(estimator):
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif getattr(estimator, "steps", None):
            last = estimator.steps[-1][1]
            if last is None or isinstance(last, str):
                return estimator
            estimator = last
        else:
            return estimator


def _first(estimator):
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif getattr(estimator, "steps", None):
            estimator = estimator.steps[0][1]
        else:
            return estimator


def _inputs(estimator):
    first = _first(estimator)
    if hasattr(first, "build_analyzer"):
        return "texts", [{"name": "text", "type": "string"}]
    if hasattr(first, "transformers_"):
        found = _of_columns(first)
        if found is not None:
            return "frame", found
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        names = getattr(first, "feature_names_in_", None)
    if names is not None:
        return ("frame" if hasattr(first, "transformers_") else "matrix"), [{"name": str(name), "type": "float64"} for name in names]
    width = _width(estimator)
    return "matrix", [{"name": "x%d" % at, "type": "float64"} for at in range(width)]


def _of_columns(transformer):
    """The fields of a ColumnTransformer on named columns, or None if it works on positions."""
    fields = []
    for _, step, columns in transformer.transformers_:
        if isinstance(columns, str):
            columns = [columns]
        if isinstance(step, str) and step == "drop" or len(columns) == 0:
            continue
        if not all(isinstance(name, str) for name in columns):
            return None
        categories = getattr(_final(step), "categories_", None)
        for at, name in enumerate(columns):
            if any(field["name"] == name for field in fields):
                continue
            field = {"name": name, "type": "float64"}
            if hasattr(_first(step), "build_analyzer"):
                field["type"] = "string"
            elif categories is not None and np.asarray(categories[at]).dtype.kind in "OU":
                known = [value for value in np.asarray(categories[at]).tolist() if isinstance(value, str)]
                field.update(type="string", categories=known, closed=getattr(_final(step), "handle_unknown", "error") == "error")
            fields.append(field)
    return fields


def _width(estimator):
    """Find how many columns the estimator takes: what its parts tell, tried on rows of zeros."""
    call = estimator.predict if hasattr(estimator, "predict") else estimator.transform
    for width in _widths(estimator, set()):
        try:
            call(np.zeros((2, width)))
            return width
        except Exception:  # noqa: BLE001, S112  # the next guess
            continue
    raise Unfit("how many columns a %s takes cannot be read from it; save it again with a newer scikit-learn" % type(estimator).__name__)


def _widths(part, seen):
    """Yield candidates, each once: of the estimator itself, then of what it is made of."""
    for name, axis in _WIDTHS:
        value = getattr(part, name, None)
        if value is None or callable(value):
            continue
        shape = np.shape(value)
        width = int(value) if axis is None else shape[axis] if len(shape) > max(axis, 0) else 0
        if width and width not in seen:
            seen.add(width)
            yield width
    for found in (getattr(getattr(part, "tree_", None), "n_features", None), len(getattr(part, "coefs_", [()])[0]) or None):
        if found and found not in seen:
            seen.add(found)
            yield int(found)
    inner = [step for _, step in getattr(part, "steps", None) or getattr(part, "transformer_list", None) or []]
    for name in _PARTS:
        value = getattr(part, name, None)
        inner.extend(np.ravel(value).tolist()[:1] if isinstance(value, (list, np.ndarray)) else [value])
    for item in inner:
        if item is not None and not isinstance(item, str):
            for width in _widths(item, seen):
                yield width


def _task(estimator):
    from sklearn import base

    final = _final(estimator)
    for kind in ("classifier", "regressor", "clusterer", "outlier_detector"):
        asked = getattr(base, "is_" + kind, None)  # the functions of newer versions, the attribute of older ones
        if getattr(final, "_estimator_type", None) == kind or (asked is not None and asked(final)):
            return kind
    return "regressor" if hasattr(estimator, "predict") else "transformer"


def _answers(estimator, rows):
    task = _task(estimator)
    if task == "transformer":
        return [_answer(estimator, rows, "features", "transform")]
    if task == "clusterer":
        return [_answer(estimator, rows, "cluster", "predict")]
    if task == "regressor":
        return [_answer(estimator, rows, "prediction", "predict")]
    answers = [_answer(estimator, rows, "label", "predict")]
    others = ("predict_proba", "decision_function") if task == "classifier" else ("decision_function",)
    for method in others:
        name = {"predict_proba": "probabilities", "decision_function": "scores"}[method] if task == "classifier" else "score"
        try:
            answers.append(_answer(estimator, rows, name, method))
            break
        except Exception:  # noqa: BLE001, S112  # a method that is there but not for this model (SVC without probability)
            continue
    return answers


def _answer(estimator, rows, name, method):
    value = _dense(getattr(estimator, method)(rows))
    kind = value.dtype.kind
    type_ = "string" if kind in "OU" else {"b": "bool", "i": "int64", "u": "int64"}.get(kind, "float64")
    shape = list(value.shape[1:])
    if name == "scores" and not shape:
        shape = [1]  # a binary decision function has one number a row, for the second class
    return {"name": name, "type": type_, "shape": shape, "method": method}


def _plain(value, answer):
    value = _dense(value)
    value = value.astype(object) if answer["type"] == "string" else value.astype({"bool": bool}.get(answer["type"], answer["type"]))
    return value.reshape([value.shape[0]] + answer["shape"])


def _dense(value):
    if isinstance(value, list):
        raise Unfit("the model answers a list of arrays, one an output; serve its outputs one by one")
    return value.toarray() if hasattr(value, "toarray") else np.asarray(value)
