"""The same rows get the same bytes from the server and from `modelport predict --json`, in every form."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "sentiment"


def test_every_form_of_rows_of_a_named_table(
    modelport: Callable[..., object], serve: Callable[..., object], tmp_path: Path, saved_model: Callable[[str], object]
) -> None:
    saved = saved_model("mixed")
    server, frame = serve(saved.path), saved.rows
    forms = {
        "columns": frame.to_dict("list"),
        "records": frame.to_dict("records"),
        "one record": frame.to_dict("records")[0],
        "rows": frame.to_numpy().tolist(),
        "a string": json.dumps(frame.to_dict("list")),
    }
    for form, body in forms.items():
        status, _, answer = server.request("/predict", body)
        done = modelport("predict", saved.path, "-", "--json", stdin=json.dumps(body).encode())
        assert (status, done.code) == (200, 0), (form, answer, done.err)
        assert done.out.encode() == answer + b"\n", form
    records = server.request("/predict", forms["records"])[2] + b"\n"
    frame.to_csv(tmp_path / "headed.csv", index=False)
    frame.to_csv(tmp_path / "indexed.csv")
    frame.to_csv(tmp_path / "bare.csv", index=False, header=False)
    frame.to_parquet(tmp_path / "frame.parquet")
    for name in ("headed.csv", "indexed.csv", "bare.csv", "frame.parquet"):
        assert modelport("predict", saved.path, name, "--json").out.encode() == records, name


@pytest.mark.parametrize("name", ["iris", "iris_named", "text", "regressor", "clusterer", "transformer", "outlier detector"])
def test_every_kind_of_estimator(
    modelport: Callable[..., object], serve: Callable[..., object], tmp_path: Path, saved_model: Callable[[str], object], name: str
) -> None:
    is_ours = name in ("clusterer", "transformer", "outlier detector")
    path, rows = _made(name, tmp_path) if is_ours else (saved_model(name).path, saved_model(name).rows)
    body = rows.to_dict("list") if hasattr(rows, "to_dict") else rows if isinstance(rows, list) else rows.tolist()
    status, _, answer = serve(path).request("/predict", body)
    done = modelport("predict", path, "-", "--json", stdin=json.dumps(body).encode())
    assert (status, done.code) == (200, 0), (answer, done.err)
    assert done.out.encode() == answer + b"\n"
    key = {"iris": "probabilities", "iris_named": "probabilities", "text": "label", "regressor": "prediction"}
    key |= {"clusterer": "cluster", "transformer": "features", "outlier detector": "score"}
    assert all(key[name] in record for record in json.loads(answer))


def _made(name: str, folder: Path) -> tuple[Path, object]:
    import joblib
    from sklearn.cluster import KMeans
    from sklearn.datasets import load_iris
    from sklearn.decomposition import PCA
    from sklearn.ensemble import IsolationForest

    rows = load_iris().data
    kinds = {"clusterer": KMeans(3, n_init=1, random_state=0), "transformer": PCA(2), "outlier detector": IsolationForest(n_estimators=5)}
    path = folder / "model.joblib"
    joblib.dump(kinds[name].fit(rows), path, compress=3)
    return path, rows[::30]


@pytest.mark.parametrize(
    ("file", "body"),
    [
        ("", {"ref": [1, 2], "text": ["I am well", "c'est affreux"]}),
        ("best_model.pkl", ["I am well", "an awful day"]),
        ("best_model.hdf5", [[5, 9, 11] + [0] * 53]),
    ],
)
def test_the_sentiment_example_and_its_bare_files(
    modelport: Callable[..., object], serve: Callable[..., object], file: str, body: object
) -> None:
    path = EXAMPLE / file
    status, _, answer = serve(path).request("/predict", body)
    done = modelport("predict", path, "-", "--json", stdin=json.dumps(body).encode())
    assert (status, done.code) == (200, 0), (answer, done.err)
    assert done.out.encode() == answer + b"\n"


def test_every_fault_is_told_in_the_same_words(modelport: Callable[..., object], serve: Callable[..., object], toy: Path) -> None:
    body = {"a": [1, "x"], "b": [None, 2], "wrd": ["x", "y"]}
    status, _, answer = serve(toy).request("/predict", body)
    done = modelport("predict", toy, "-", stdin=json.dumps(body).encode())
    assert (status, done.code) == (422, 1)
    told = [fault["message"] for fault in json.loads(answer)["faults"]]
    assert [line.strip() for line in done.err.splitlines()[1:]] == told
