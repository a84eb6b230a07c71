"""The service that people write by hand around a saved model: Flask's own server, a pandas frame in, `predict`, records out.

python flask_app.py PORT best_model.pkl          POST /predict
python flask_app.py PORT examples/sentiment      POST /sentiment

Only the model that is named is loaded. Both answer GET /apitest.
"""

import json
import sys
from pathlib import Path

import pandas as pd
from flask import Flask, request

app = Flask(__name__)


@app.route("/apitest")
def apitest() -> str:
    return "API working"


def serve_tabular(path: Path) -> None:
    """Add /predict: a scikit-learn classifier from a joblib file."""
    import joblib

    model = joblib.load(path)

    @app.route("/predict", methods=["POST"])
    def predict() -> str:
        rows = pd.DataFrame(request.json)
        probabilities = model.predict_proba(rows.values)
        out = pd.DataFrame(probabilities, columns=[str(name) for name in model.classes_])
        out["label"] = model.classes_[probabilities.argmax(axis=1)]
        return json.dumps(out.to_dict(orient="records"))


def serve_sentiment(folder: Path) -> None:
    """Add /sentiment: the Keras network of the example folder, with the example's own scoring function."""
    import keras

    sys.path.insert(0, str(folder))
    from sentiment import get_sentiment_DL

    model = keras.models.load_model(folder / "best_model.hdf5", compile=False)
    word_idx = json.loads((folder / "word_index.json").read_text(encoding="utf-8"))

    @app.route("/sentiment", methods=["POST"])
    def sentiment() -> str:
        texts = pd.DataFrame(request.json)
        out = get_sentiment_DL(model, texts, word_idx)
        return json.dumps(out.to_dict(orient="records"), ensure_ascii=False)


if __name__ == "__main__":
    port, target = int(sys.argv[1]), Path(sys.argv[2])
    (serve_sentiment if target.is_dir() else serve_tabular)(target)
    app.run(host="127.0.0.1", port=port, debug=False)
