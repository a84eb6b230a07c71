"""The served sentiment example answers what Keras and `get_sentiment_DL` answered offline, for every sentence of the test split.

`expected_test.npz` holds what the training process recorded after loading the saved file again: probabilities by Keras itself
and scores by the very function that is the hook. `expected_test_pkl.npz` holds the same for the scikit-learn pipeline.
"""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "sentiment"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sentences() -> list[str]:
    with gzip.open(EXAMPLE / "data" / "sentiment_scores.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    expected = np.load(EXAMPLE / "expected_test.npz", allow_pickle=False)
    assert [row["id"] for row in rows] == expected["ids"].tolist()
    return [row["text"] for row in rows]


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    return dict(np.load(EXAMPLE / "expected_test.npz", allow_pickle=False))


def _unrounded(probabilities: np.ndarray) -> np.ndarray:
    """The post's score before it is rounded, as its definition says, row by row."""
    out = []
    for row in probabilities.astype(np.float64):
        bands = sorted(range(10), key=lambda band: (row[band], band))[-3:]
        total = sum(row[band] for band in bands)
        out.append(sum(band * row[band] / total for band in bands) / 10)
    return np.array(out)


def _assert_scores(got: list[float], expected: dict[str, np.ndarray]) -> None:
    """Equal, but for 0.01 where the unrounded score is within 1e-6 of a tie."""
    unrounded = _unrounded(expected["probabilities"])
    is_tie = np.abs(unrounded * 100 - np.floor(unrounded * 100) - 0.5) < 1e-4
    difference = np.abs(np.array(got) - expected["Sentiment_Score"])
    assert len(got) == len(unrounded) == 1854
    assert (difference[~is_tie] == 0).all()
    assert (difference[is_tie] < 0.0101).all()


def test_every_test_sentence_scores_as_offline_alone_and_in_company(serve, sentences, expected) -> None:
    server = serve(EXAMPLE, "--workers", "1")

    def alone(at: int) -> float:
        status, _, body = server.request("/sentiment", {"ref": [at], "text": [sentences[at]]})
        assert status == 200
        (record,) = json.loads(body)
        assert record["ref"] == at
        return float(record["Sentiment_Score"])

    with ThreadPoolExecutor(8) as clients:  # several at once, so that requests meet in batches
        _assert_scores(list(clients.map(alone, range(len(sentences)))), expected)
    status, _, body = server.request("/sentiment", {"ref": list(range(len(sentences))), "text": sentences})
    assert status == 200
    records = json.loads(body)
    assert [record["ref"] for record in records] == list(range(len(sentences)))
    _assert_scores([record["Sentiment_Score"] for record in records], expected)


def test_the_network_answers_keras_probabilities_to_1e_6(serve, sentences, expected) -> None:
    import sentiment  # the example's folder is on the path for this folder's tests

    tokens = sentiment.encode(sentences, json.loads((EXAMPLE / "word_index.json").read_text()))
    server = serve(EXAMPLE / "best_model.hdf5", "--workers", "1")
    got = []
    for start in range(0, len(tokens), 500):
        status, headers, body = server.request("/predict", tokens[start : start + 500].tolist())
        assert status == 200
        assert headers["x-model-form"] == "compiled"
        got += [record["prediction"] for record in json.loads(body)]
    assert np.abs(np.array(got) - expected["probabilities"]).max() < 1e-6


def test_the_pickled_pipeline_answers_scikit_learns_probabilities(serve, sentences, require_module) -> None:
    require_module("sklearn")
    expected = np.load(EXAMPLE / "expected_test_pkl.npz", allow_pickle=False)
    server = serve(EXAMPLE / "best_model.pkl", "--workers", "1")
    status, _, body = server.request("/predict", sentences)
    assert status == 200
    records = json.loads(body)
    assert [record["label"] for record in records] == expected["labels"].tolist()
    got = np.array([list(record["probabilities"].values()) for record in records])
    assert np.abs(got - expected["probabilities"]).max() < 1e-12


def test_the_service_speaks_as_the_post_wrote_it(serve, require_module: Callable[[str], ModuleType]) -> None:
    """GET /apitest, the documented columns, and the post's own client, which encodes its JSON twice."""
    requests = require_module("requests")
    server = serve(EXAMPLE, "--workers", "1")
    greeting = requests.get(server.url + "/apitest", timeout=30)
    assert (greeting.status_code, greeting.text) == (200, "API working")
    for body in ({"ref": [1], "text": ["I am well"]}, [{"ref": 1, "text": "I am well"}], '{"ref":[1],"text":["I am well"]}'):
        answer = requests.post(server.url + "/sentiment", json=body, headers={"Content-type": "application/json"}, timeout=30)
        assert (answer.status_code, answer.text) == (200, '[{"ref":1,"Sentiment_Score":0.71}]')
    one = requests.post(server.url + "/sentiment", json={"ref": 1, "text": "I am well"}, timeout=30)
    assert one.text == '{"ref":1,"Sentiment_Score":0.71}'
    longer = requests.post(server.url + "/sentiment", json=["", "word " * 500, "Überraschung 😀"], timeout=30)
    assert longer.status_code == 200
    assert all(0 <= record["Sentiment_Score"] <= 0.9 for record in longer.json())


def test_running_the_hooks_file_starts_the_same_service(tmp_path: Path, require_module: Callable[[str], ModuleType]) -> None:
    """`python sentiment.py`, on a copy that listens on a free port of the loopback address instead of 0.0.0.0:5005."""
    requests = require_module("requests")
    source = (EXAMPLE / "sentiment.py").read_text(encoding="utf-8")
    assert 'host="0.0.0.0", port=5005' in source
    folder = tmp_path / "sentiment"
    folder.mkdir()
    for name in ("best_model.hdf5", "word_index.json", "model.toml"):
        (folder / name).write_bytes((EXAMPLE / name).read_bytes())
    (folder / "sentiment.py").write_text(source.replace('host="0.0.0.0", port=5005', 'host="127.0.0.1", port=0'), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "sentiment.py"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        url = next(line.split(" answers at ")[1].strip() for line in process.stdout if " answers at " in line)
        answer = requests.post(url, json={"ref": [1], "text": ["I am well"]}, timeout=30)
        assert answer.text == '[{"ref":1,"Sentiment_Score":0.71}]'
        process.terminate()
        assert process.wait(timeout=40) == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
