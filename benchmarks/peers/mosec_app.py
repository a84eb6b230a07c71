"""The same models behind mosec: its Rust front, one Python worker, ONNX Runtime with one thread, orjson in place of json.

BATCH=32 python mosec_app.py --port PORT --address 127.0.0.1      BATCH: most requests a batch, 0 for none

MODEL names the graph: best_model.onnx (POST /predict) or the example's network (POST /sentiment).
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import orjson
from mosec import Server, Worker

MODEL, BATCH = Path(os.environ["MODEL"]), int(os.environ.get("BATCH", "0"))
EXAMPLE = Path(os.environ.get("EXAMPLE", "."))


def session() -> onnxruntime.InferenceSession:
    """Open the graph with one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(MODEL, options)


class Quick(Worker):
    """Reads and writes JSON with orjson."""

    def deserialize(self, data: bytes) -> object:
        """Read a body."""
        return orjson.loads(data)

    def serialize(self, data: object) -> bytes:
        """Write an answer."""
        return orjson.dumps(data)


class Rows(Quick):
    """Bare rows in, records out."""

    def __init__(self) -> None:
        self.session = session()
        self.name = self.session.get_inputs()[0].name
        self.classes = json.loads(MODEL.with_suffix(".classes.json").read_text(encoding="utf-8"))

    def answer(self, rows: list[list[float]]) -> list[dict[str, object]]:
        """Answer rows with records."""
        labels, probabilities = self.session.run(None, {self.name: np.array(rows, np.float32)})
        pairs = zip(labels.tolist(), probabilities.tolist(), strict=True)
        return [dict(zip(self.classes, row, strict=True), label=label) for label, row in pairs]

    def forward(self, data: list) -> object:
        """Answer one request, or a list of them."""
        if not BATCH:
            return self.answer(data)
        found = iter(self.answer([row for rows in data for row in rows]))
        return [[next(found) for _ in rows] for rows in data]


class Texts(Quick):
    """The example's columns in, its records out, with the example's own functions for words and scores."""

    def __init__(self) -> None:
        sys.path.insert(0, str(EXAMPLE))
        from sentiment import encode, scores

        self.session = session()
        self.name = self.session.get_inputs()[0].name
        self.encode, self.scores = encode, scores
        self.word_idx = json.loads((EXAMPLE / "word_index.json").read_text(encoding="utf-8"))

    def answer(self, texts: list[str]) -> list[float]:
        """Score texts."""
        (bands,) = self.session.run(None, {self.name: self.encode(texts, self.word_idx)})
        return self.scores(bands).tolist()

    def forward(self, data: list) -> object:
        """Answer a list of requests."""
        found = iter(self.answer([text for columns in data for text in columns["text"]]))
        return [[{"ref": ref, "Sentiment_Score": next(found)} for ref in columns["ref"]] for columns in data]


if __name__ == "__main__":
    server = Server()
    batching = {"max_batch_size": BATCH, "max_wait_time": 1} if BATCH else {}
    is_text = MODEL.stem == "sentiment"
    server.append_worker(Texts if is_text else Rows, num=1, route="/sentiment" if is_text else "/predict", **batching)
    server.run()
