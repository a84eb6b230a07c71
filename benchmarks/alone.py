"""The example's network by itself: ONNX Runtime, one thread, a loop over batches of 64 texts, no server.

    python alone.py sentiment.onnx cases.json SECONDS EXAMPLE     prints {"padded": texts/s, "trimmed": texts/s}

The graph takes as many steps as the longest text of a batch has words. "trimmed" are the texts as they come; "padded" fills the last
text of each batch up to 56 words, so that all 64 take 56 steps. Words are looked up before the clock starts.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime

BATCH = 64


def texts_per_s(session: onnxruntime.InferenceSession, batches: list[np.ndarray], seconds: float) -> float:
    """Run the batches in turn for so long."""
    name = session.get_inputs()[0].name
    session.run(None, {name: batches[0]})
    done, began_s = 0, time.perf_counter()
    while (took_s := time.perf_counter() - began_s) < seconds:
        batch = batches[done % len(batches)]
        session.run(None, {name: batch})
        done += 1
    return done * BATCH / took_s


def main() -> None:
    """Measure both."""
    graph, cases, seconds, example = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4])
    sys.path.insert(0, str(example))
    from sentiment import PADDING, UNKNOWN, encode

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options)
    texts = [text for case in json.loads(cases.read_text(encoding="utf-8"))["sentiment"] for text in json.loads(case["body"])["text"]]
    words = json.loads((example / "word_index.json").read_text(encoding="utf-8"))
    texts *= -(-BATCH * 4 // len(texts))
    trimmed = [encode(texts[at : at + BATCH], words) for at in range(0, len(texts) - BATCH + 1, BATCH)]
    padded = [batch.copy() for batch in trimmed]
    for batch in padded:
        batch[-1][batch[-1] == PADDING] = UNKNOWN
    print(json.dumps({"padded": texts_per_s(session, padded, seconds), "trimmed": texts_per_s(session, trimmed, seconds)}))


if __name__ == "__main__":
    main()
