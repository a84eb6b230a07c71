"""The service that people write with FastAPI and uvicorn around a saved model, in its quickest usual form.

python fastapi_app.py PORT best_model.pkl     scikit-learn by hand: rows to an array or a frame, predict_proba, records
python fastapi_app.py PORT best_model.onnx    the same with ONNX Runtime, one thread

POST /predict takes bare rows for a matrix, records for a table, a list of strings for texts.
"""

import json
import sys
from pathlib import Path

import numpy as np
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import Response

app = FastAPI()


def answers(labels: list[object], probabilities: list[list[float]], names: list[str]) -> bytes:
    """Write records as JSON with the quick library that FastAPI users reach for."""
    import orjson

    return orjson.dumps([dict(zip(names, row, strict=True), label=label) for label, row in zip(labels, probabilities, strict=True)])


def with_sklearn(path: Path) -> None:
    """Add /predict on the estimator of a joblib file."""
    import joblib
    import orjson
    import pandas as pd

    model = joblib.load(path)
    classes = model.classes_
    names = [str(name) for name in classes]
    is_frame = hasattr(model, "feature_names_in_")

    @app.post("/predict")
    async def predict(request: Request) -> Response:
        rows = orjson.loads(await request.body())
        given = pd.DataFrame(rows) if is_frame else rows if isinstance(rows[0], str) else np.array(rows)
        probabilities = model.predict_proba(given)
        labels = classes[probabilities.argmax(axis=1)].tolist()
        return Response(answers(labels, probabilities.tolist(), names), media_type="application/json")


def with_onnx(path: Path) -> None:
    """Add /predict on an ONNX graph whose outputs are a label and probabilities."""
    import onnxruntime
    import orjson

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    (given,) = session.get_inputs()
    names = json.loads(path.with_suffix(".classes.json").read_text(encoding="utf-8"))

    @app.post("/predict")
    async def predict(request: Request) -> Response:
        rows = np.array(orjson.loads(await request.body()), np.float32)
        labels, probabilities = session.run(None, {given.name: rows})
        return Response(answers(labels.tolist(), probabilities.tolist(), names), media_type="application/json")


if __name__ == "__main__":
    port, target = int(sys.argv[1]), Path(sys.argv[2])
    (with_onnx if target.suffix == ".onnx" else with_sklearn)(target)
    uvicorn.run(app, host="127.0.0.1", port=port, loop="uvloop", http="httptools", access_log=False, log_level="warning")
