"""Makes what the benchmark sends and expects: the models, and for each workload its requests with the right answers.

Run by the peer's Python, which has scikit-learn, skl2onnx and Keras: `python models.py FOLDER`. Writes a folder for each workload with
best_model.pkl (and best_model.onnx with its classes where a peer runs it), and FOLDER/cases.json:
{workload: [{"body": JSON text, "answer": [record, …]}]}. The answers come from the libraries themselves, offline.
"""

from __future__ import annotations

import csv
import gzip
import json
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "sentiment"
CASES = 64
BULK = 100


def records(model: object, rows: object) -> list[dict[str, object]]:
    """Ask the library itself: labels and probabilities of each row."""
    labels, chances = model.predict(rows), model.predict_proba(rows)
    return [{"label": label, "probabilities": row} for label, row in zip(labels.tolist(), chances.tolist(), strict=True)]


def matrix_cases(model: object, x: np.ndarray) -> list[dict[str, object]]:
    """Make one-row requests of bare rows, and one request of many rows at the end."""
    rows = x[:: max(1, len(x) // CASES)][:CASES]
    return [{"body": json.dumps([row.tolist()]), "answer": [answer]} for row, answer in zip(rows, records(model, rows), strict=True)]


def bulk_cases(model: object, x: np.ndarray) -> list[dict[str, object]]:
    """Make requests of 100 bare rows."""
    parts = [x[start : start + BULK] for start in range(0, len(x) - BULK + 1, BULK)]
    return [{"body": json.dumps(part.tolist()), "answer": records(model, part)} for part in parts]


def export(model: object, x: np.ndarray, folder: Path) -> None:
    """Write the ONNX graph that peers run, and its class names."""
    from skl2onnx import to_onnx

    graph = to_onnx(model, x[:1].astype(np.float32), options={id(model): {"zipmap": False}}, target_opset={"": 17, "ai.onnx.ml": 3})
    (folder / "best_model.onnx").write_bytes(graph.SerializeToString())
    (folder / "best_model.classes.json").write_text(json.dumps([str(name) for name in model.classes_]))


def matrices(out: Path) -> dict[str, list[dict[str, object]]]:
    """Fit the models of plain matrices: scaled logistic regression, a forest, histogram gradient boosting."""
    cancer, digits = load_breast_cancer(return_X_y=True), load_digits(return_X_y=True)
    made = {
        "tabular": (make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)), *cancer),
        "forest": (RandomForestClassifier(100, random_state=0), *digits),
        "histogram": (HistGradientBoostingClassifier(random_state=0), *cancer),
    }
    cases = {}
    for name, (model, x, y) in made.items():
        folder = out / name
        folder.mkdir(exist_ok=True)
        joblib.dump(model.fit(x, y), folder / "best_model.pkl")
        cases[name] = matrix_cases(model, x)
        if name != "histogram":
            export(model, x, folder)
    tabular, x, _ = made["tabular"]
    return cases | {"tabular, 100 rows": bulk_cases(tabular, x)}


def mixed(folder: Path) -> list[dict[str, object]]:
    """Fit a table of numbers with gaps and of categories."""
    folder.mkdir(exist_ok=True)
    rng, count = np.random.default_rng(0), 2000
    frame = pd.DataFrame(
        {f"n{at}": np.where(rng.random(count) < 0.05, np.nan, rng.normal(at, 2, count)) for at in range(6)}
        | {f"c{at}": rng.choice(["red", "green", "blue", "grey"], count) for at in range(4)}
    )
    target = (frame["n0"].fillna(0) + (frame["c0"] == "red") * 2 + rng.normal(0, 1, count)) > 0.5
    numbers, words = [f"n{at}" for at in range(6)], [f"c{at}" for at in range(4)]
    columns = ColumnTransformer(
        [("n", make_pipeline(SimpleImputer(), StandardScaler()), numbers), ("c", OneHotEncoder(handle_unknown="ignore"), words)]
    )
    model = make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(frame, target.map({True: "yes", False: "no"}))
    joblib.dump(model, folder / "best_model.pkl")
    rows = frame.dropna().head(CASES)
    found = zip(rows.to_dict("records"), records(model, rows), strict=True)
    return [{"body": json.dumps([row]), "answer": [answer]} for row, answer in found]


def texts() -> list[str]:
    """Return the test sentences of the example's data."""
    with gzip.open(EXAMPLE / "data" / "sentiment_scores.csv.gz", "rt", encoding="utf-8", newline="") as lines:
        found = [row["text"] for row in csv.DictReader(lines) if row["split"] == "test"]
    return found[:: len(found) // CASES][:CASES]


def text(folder: Path) -> list[dict[str, object]]:
    """Fit TF-IDF and logistic regression on the example's training sentences."""
    folder.mkdir(exist_ok=True)
    with gzip.open(EXAMPLE / "data" / "sentiment_scores.csv.gz", "rt", encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["split"] == "train"]
    bands = [min(int(float(row["score"]) * 10), 9) // 4 for row in rows]
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), min_df=2), LogisticRegression(max_iter=300))
    joblib.dump(model.fit([row["text"] for row in rows], bands), folder / "best_model.pkl")
    return [{"body": json.dumps([one]), "answer": [answer]} for one, answer in zip(texts(), records(model, texts()), strict=True)]


def sentiment() -> list[dict[str, object]]:
    """Score test sentences of the example's data with Keras itself."""
    import keras

    sys.path.insert(0, str(EXAMPLE))
    from sentiment import get_sentiment_DL

    found = texts()
    word_idx = json.loads((EXAMPLE / "word_index.json").read_text(encoding="utf-8"))
    model = keras.models.load_model(EXAMPLE / "best_model.hdf5", compile=False)
    scored = get_sentiment_DL(model, pd.DataFrame({"ref": range(len(found)), "text": found}), word_idx)
    return [
        {"body": json.dumps({"ref": [ref], "text": [one]}, ensure_ascii=False), "answer": [{"ref": ref, "Sentiment_Score": score}]}
        for ref, one, score in zip(range(len(found)), found, scored["Sentiment_Score"].tolist(), strict=True)
    ]


if __name__ == "__main__":
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    cases = matrices(out) | {"mixed": mixed(out / "mixed"), "text": text(out / "text"), "sentiment": sentiment()}
    (out / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
