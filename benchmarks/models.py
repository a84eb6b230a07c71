"""Makes what the benchmark sends and expects: the tabular model, and for each workload its requests with the right answers.

Run by the peer's Python, which has scikit-learn and Keras: `python models.py FOLDER`. Writes FOLDER/best_model.pkl and FOLDER/cases.json:
{workload: [{"body": JSON text of one row, "answer": {...}}]}. The answers come from the libraries themselves, offline.
"""

import csv
import gzip
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "sentiment"
CASES = 64


def tabular(folder: Path) -> list[dict[str, object]]:
    """Fit and save StandardScaler + LogisticRegression on the 30 features of the breast cancer data."""
    import joblib
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(x, y)
    joblib.dump(model, folder / "best_model.pkl")
    rows = x[:: len(x) // CASES][:CASES]
    return [
        {"body": json.dumps([row.tolist()]), "answer": {"label": int(label), "probabilities": p.tolist()}}
        for row, label, p in zip(rows, model.predict(rows), model.predict_proba(rows), strict=True)
    ]


def sentiment() -> list[dict[str, object]]:
    """Score test sentences of the example's data with Keras itself."""
    import keras
    import pandas as pd

    sys.path.insert(0, str(EXAMPLE))
    from sentiment import get_sentiment_DL

    with gzip.open(EXAMPLE / "data" / "sentiment_scores.csv.gz", "rt", encoding="utf-8", newline="") as lines:
        texts = [row["text"] for row in csv.DictReader(lines) if row["split"] == "test"]
    texts = texts[:: len(texts) // CASES][:CASES]
    word_idx = json.loads((EXAMPLE / "word_index.json").read_text(encoding="utf-8"))
    model = keras.models.load_model(EXAMPLE / "best_model.hdf5", compile=False)
    found = get_sentiment_DL(model, pd.DataFrame({"ref": range(len(texts)), "text": texts}), word_idx)
    return [
        {"body": json.dumps({"ref": [ref], "text": [text]}, ensure_ascii=False), "answer": {"ref": ref, "Sentiment_Score": score}}
        for ref, text, score in zip(range(len(texts)), texts, found["Sentiment_Score"].tolist(), strict=True)
    ]


if __name__ == "__main__":
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    (out / "cases.json").write_text(json.dumps({"tabular": tabular(out), "sentiment": sentiment()}), encoding="utf-8")
