"""Fit small estimators with the scikit-learn that runs this, save them, and record what they answer on the same day.

    /tmp/venvs/sk0.20.4/bin/python tests/artifacts/sklearn/make.py

writes a folder named after the version: the files, and expected.npz with the rows asked (``rows/numbers``, …) and the
answers (``<name>/predict``, …). Only the era's own code runs here, in the syntax of Python 3.6; see README.md.
"""

import io
import os
import pickle
import sys
import warnings

import numpy as np
import sklearn

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from models import every  # noqa: E402

try:
    if sklearn.__version__ < "0.21":
        from sklearn.externals import joblib
    else:
        import joblib
except ImportError:
    import joblib

WORDS = ["good", "bad", "fine", "awful", "film", "actor", "plot", "music", "nice", "dull"]
METHODS = ("predict", "predict_proba", "decision_function", "transform")


def rows_of(kind, count, seed):
    """Make rows of a kind; RandomState draws the same numbers in every numpy."""
    random = np.random.RandomState(seed)
    numbers = random.randn(count, 4) * [1.0, 2.0, 0.5, 1.0] + [0.0, 1.0, 5.0, 0.0]
    numbers[:, 3] = random.randint(0, 3, count)
    if kind == "counts":
        return random.randint(0, 5, (count, 4)).astype(float)
    if kind == "texts":
        return np.array([" ".join(WORDS[at] for at in random.randint(0, len(WORDS), 6)) for _ in range(count)])
    if kind == "gaps":
        numbers[random.rand(count, 4) < 0.1] = np.nan
    if kind == "frame":
        return {
            "age": np.where(random.rand(count) < 0.1, np.nan, numbers[:, 0]),
            "size": numbers[:, 1],
            "town": np.array(["Rome", "Oslo", "Bern"])[random.randint(0, 3, count)],
        }
    return numbers


def shown(kind, rows):
    """Turn rows into what an estimator takes."""
    if kind == "texts":
        return rows.tolist()
    if kind == "frame":
        import pandas as pd

        return pd.DataFrame({"age": rows["age"], "size": rows["size"], "town": rows["town"].astype(object)})[["age", "size", "town"]]
    return rows


def target_of(kind, target, rows):
    """Make a target that depends on the rows, with a little noise; real ones and classes."""
    if target is None:
        return None
    base = (
        np.array([len(text) % 7 for text in rows], float)
        if kind == "texts"
        else np.nan_to_num(rows["size"] if kind == "frame" else rows[:, 0])
    )
    noise = np.random.RandomState(7).randn(len(base)) * 0.3
    real = base + noise
    if target == "counts":
        return np.round(np.abs(real))
    if target == "real":
        return real
    three = np.searchsorted(np.percentile(real, [35, 70]), real)
    if target == "three":
        return three
    return (three > 0).astype(int) if target == "two" else np.array(["no", "yes"])[(three > 0).astype(int)]


def save(model, at, name, folder):
    """Save in one of the ways of the time, in turn."""
    how = at % 5
    path = os.path.join(folder, name + (".pkl" if how < 2 else ".joblib"))
    if how < 2:
        with open(path, "wb") as file:
            pickle.dump(model, file, 2 if how else pickle.HIGHEST_PROTOCOL if sys.version_info >= (3, 8) else 3)
    else:
        joblib.dump(model, path, compress=(0, 3, ("gzip", 3))[how - 2])


def main():
    """Write one folder."""
    warnings.simplefilter("ignore")
    folder = os.path.join(HERE, sklearn.__version__)
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(folder):
        os.remove(os.path.join(folder, name))
    expected = {}
    for at, (name, kind, target, make) in enumerate(every()):
        rows = rows_of(kind, 48, 1)
        asked = rows_of(kind, 12, 2)
        try:
            model = make()
            model.fit(shown(kind, rows)) if target is None else model.fit(shown(kind, rows), target_of(kind, target, rows))
        except (ImportError, AttributeError, TypeError, ValueError, KeyError) as error:
            print("left out:", name, repr(error)[:100])
            continue
        save(model, at, name, folder)
        for method in METHODS:
            try:
                answer = np.asarray(getattr(model, method)(shown(kind, asked)))
            except (AttributeError, NotImplementedError):
                continue
            if answer.dtype.kind != "O":  # a sparse matrix
                expected[name + "/" + method] = answer
        expected[name + "/rows"] = np.array(kind)
        for key, value in asked.items() if isinstance(asked, dict) else [("", asked)]:
            expected["rows/" + kind + ("/" + key if key else "")] = value
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **expected)
    with open(os.path.join(folder, "expected.npz"), "wb") as file:
        file.write(buffer.getvalue())
    print(sklearn.__version__, len(os.listdir(folder)) - 1, "files")


if __name__ == "__main__":
    main()
