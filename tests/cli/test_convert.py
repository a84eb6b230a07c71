"""`modelport convert`: the file and the report where both answer the same; otherwise a sentence, an exit code and no file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

ARTIFACTS = Path(__file__).parents[1] / "artifacts"
DENSE = ARTIFACTS / "keras" / "dense.hdf5"
CSV = "x0,x1,x2,x3,species\n5.1,3.5,1.4,0.2,0\n6.2,2.9,4.3,1.3,1\n7.1,3.0,5.9,2.1,2\n6.9,3.1,5.4,2.1,0\n"


def _left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_report_and_the_file(modelport: Callable[..., object], saved_model: Callable[[str], object], tmp_path: Path) -> None:
    done = modelport("convert", saved_model("iris").path, "--to", "onnx", "-o", "made.onnx")
    assert (done.code, done.err) == (0, "")
    assert _left(tmp_path) == ["made.onnx"]
    assert (tmp_path / "made.onnx").stat().st_mode & 0o111 == 0
    for said in ("made.onnx (written)", "made", "onnx float64", "rows made for the model", "0 of", "original", "converted", "64 rows"):
        assert said in done.out
    seen = json.loads(modelport("inspect", "made.onnx", "--json").out)
    assert (seen["verdict"], seen["classes"]) == ("loadable", [0, 1, 2])


def test_json_is_one_document(modelport: Callable[..., object], saved_model: Callable[[str], object], tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(CSV)
    arguments = ("--to", "onnx", "-o", "made.onnx", "--data", "rows.csv", "--label", "species", "--json")
    done = modelport("convert", saved_model("iris").path, *arguments)
    report = json.loads(done.out)
    assert (done.code, report["holds"], report["rows"], report["labels"], report["label_changes"]) == (0, True, 4, 4, 0)
    assert report["agreement"] == {"original": {"accuracy": 0.75}, "converted": {"accuracy": 0.75}}
    assert report["source_size_bytes"] == saved_model("iris").path.stat().st_size
    assert report["size_bytes"] == (tmp_path / "made.onnx").stat().st_size
    assert report["sha256"] == json.loads(modelport("inspect", "made.onnx", "--json").out)["sha256"]


def test_lines_of_json_are_data_too(modelport: Callable[..., object], saved_model: Callable[[str], object], tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"x0": 5.1, "x1": 3.5, "x2": 1.4, "x3": 0.2, "y": 0}\n' * 3)
    done = modelport("convert", saved_model("iris").path, "--to", "skops", "-o", "made.skops", "--data", "rows.jsonl", "--label", "y")
    assert done.code == 0
    assert "3 rows, the given rows" in done.out
    assert "accuracy" in done.out


def test_what_differs_is_not_written(modelport: Callable[..., object], tmp_path: Path) -> None:
    """In eight bits no network answers to the last digit."""
    rows = np.random.default_rng(0).normal(size=(8, _width())).tolist()
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    arguments = ("convert", DENSE, "--to", "onnx", "--quantize", "int8", "--data", "rows.json", "--tolerance")
    done = modelport(*arguments, "0", "-o", "exact.onnx")
    assert done.code == 1
    assert "(not written)" in done.out
    assert done.err.startswith("modelport: exact.onnx was not written: the mean difference is")
    assert _left(tmp_path) == ["rows.json"]
    done = modelport(*arguments, "0.5", "-o", "near.onnx")
    assert (done.code, done.err) == (0, "")
    assert "onnx int8" in done.out
    assert "0.5 (of the mean)" in done.out


def _width() -> int:
    from modelport.formats import load
    from modelport.formats.base import Options

    (item,) = load(DENSE, Options()).schema.inputs
    return int(item.shape[0] or 1)


def test_a_file_that_is_there_stays_unless_told(
    modelport: Callable[..., object], saved_model: Callable[[str], object], tmp_path: Path
) -> None:
    (tmp_path / "made.onnx").write_text("mine")
    arguments = ("convert", saved_model("regressor").path, "--to", "onnx", "-o", "made.onnx")
    done = modelport(*arguments)
    assert (done.code, done.err) == (
        2,
        "modelport: -o made.onnx: is there already, and nothing is overwritten unasked; name another file, or add --force\n",
    )
    assert (tmp_path / "made.onnx").read_text() == "mine"
    assert modelport(*arguments, "--force").code == 0
    assert (tmp_path / "made.onnx").read_bytes()[:4] != b"mine"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "onnx", "-o", "made.pkl"], 'the suffix is ".pkl", expected .onnx'),
        (["--to", "onnx", "-o", "missing/made.onnx"], "cannot be written"),
        (["--to", "onnx", "-o", "made.onnx", "--quantize", "int8"], "give some with --data FILE"),
        (["--to", "skops", "-o", "made.skops", "--quantize", "int8", "--data", "rows.csv"], "is for ONNX graphs"),
        (["--to", "onnx", "-o", "made.onnx", "--label", "y"], "give the data with --data FILE"),
        (["--to", "onnx", "-o", "made.onnx", "--data", "none.csv"], 'none.csv": cannot be read'),
        (["--to", "onnx", "-o", "made.onnx", "--data", "rows.txt"], 'the suffix ".txt" stands for no form of data'),
        (["--to", "onnx", "-o", "made.onnx", "--data", "rows.csv", "--label", "none"], '--label "none"'),
        (["--to", "onnx", "-o", "made.onnx", "--tolerance", "-1"], "--tolerance must be a number of at least 0"),
        (["--to", "onnx", "-o", "made.onnx", "--tolerance", "nan"], "--tolerance must be a number of at least 0"),
        (["--to", "onnx", "-o", "made.onnx", "--env", "/nowhere"], "/nowhere"),
        (["--to", "pmml", "-o", "made.pmml"], "pmml"),
        (["--to", "onnx"], "missing option '-o'"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    modelport: Callable[..., object], saved_model: Callable[[str], object], tmp_path: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "rows.csv").write_text(CSV)
    done = modelport("convert", saved_model("iris").path, *arguments)
    assert done.code == 2
    assert said in done.err
    assert len(done.err.splitlines()) == 1
    assert _left(tmp_path) == ["rows.csv"]


def test_what_cannot_be_converted_ends_with_3(
    modelport: Callable[..., object], saved_model: Callable[[str], object], toy: Path, tmp_path: Path
) -> None:
    xgboost = next((ARTIFACTS / "xgboost").rglob("*.json"))
    for file, target, said in (
        (saved_model("text").path, "onnx", "TfidfVectorizer cuts texts"),
        (toy, "onnx", "toy: hooks have a part in its answers"),
        (DENSE, "skops", "is a keras file, and only pickles become skops files"),
        (xgboost, "onnx", "there is no graph for"),
    ):
        done = modelport("convert", file, "--to", target, "-o", f"made.{target}")
        assert (done.code, said in done.err) == (3, True), done.err
    assert modelport("convert", saved_model("regressor").path, "--to", "onnx", "-o", "first.onnx").code == 0
    done = modelport("convert", "first.onnx", "--to", "onnx", "-o", "second.onnx")
    assert (done.code, done.err) == (3, "modelport: first.onnx: is an ONNX file already; serve it as it is\n")
    assert sorted(set(_left(tmp_path)) - {toy.name}) == ["first.onnx"]


def test_damaged_and_hostile_files_end_as_elsewhere(
    modelport: Callable[..., object], saved_model: Callable[[str], object], tmp_path: Path
) -> None:
    (tmp_path / "cut.pkl").write_bytes(saved_model("iris").path.read_bytes()[:300])
    (tmp_path / "bad.pkl").write_bytes(b"cos\nsystem\n(S'touch here'\ntR.")
    for name, code in (("cut.pkl", 2), ("bad.pkl", 3), ("none.pkl", 2)):
        done = modelport("convert", name, "--to", "onnx", "-o", "made.onnx")
        assert (done.code, len(done.err.splitlines())) == (code, 1), done.err
    assert _left(tmp_path) == ["bad.pkl", "cut.pkl"]


def test_a_bundle_without_hooks_is_its_file(modelport: Callable[..., object], saved_model: Callable[[str], object], tmp_path: Path) -> None:
    assert modelport("init", saved_model("iris").path, "bundle").code == 0
    assert modelport("convert", "bundle", "--to", "onnx", "-o", "made.onnx").code == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "target", "rows"),
    [
        ("iris_named", "onnx", None),
        ("mixed", "onnx", [{"age": 30.0, "fare": 8.5, "town": "Oslo"}, {"age": 3.0, "fare": 80.0, "town": "elsewhere"}]),
        ("text", "skops", [{"text": "lovely good day"}, {"text": ""}]),
    ],
)
def test_both_files_serve_the_same_records(
    modelport: Callable[..., object],
    saved_model: Callable[[str], object],
    serve: Callable[..., object],
    tmp_path: Path,
    name: str,
    target: str,
    rows: list[dict[str, object]] | None,
) -> None:
    model = saved_model(name)
    rows = model.rows.to_dict("records") if rows is None else rows
    made = tmp_path / f"made.{target}"
    assert modelport("convert", model.path, "--to", target, "-o", made).code == 0
    shutil.copy(model.path, tmp_path / "model.pkl")
    answers = [serve(path, "--no-cache").request("/predict", rows) for path in (tmp_path / "model.pkl", made)]
    assert [status for status, _, _ in answers] == [200, 200]
    before, after = (json.loads(body) for _, _, body in answers)
    assert [record["label"] for record in before] == [record["label"] for record in after]
    for one, other in zip(before, after, strict=True):
        assert list(one) == list(other)
        assert other["probabilities"] == pytest.approx(one["probabilities"], abs=1e-6)


@pytest.mark.slow
def test_int8_is_told_by_the_server(modelport: Callable[..., object], serve: Callable[..., object], tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(8, _width())).tolist()
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    arguments = ("--to", "onnx", "-o", "made.onnx", "--quantize", "int8", "--data", "rows.json", "--tolerance", "0.5", "--json")
    report = json.loads(modelport("convert", DENSE, *arguments).out)
    server = serve(tmp_path / "made.onnx", "--no-cache")
    status, headers, _ = server.request("/predict", rows)
    assert (status, headers["x-model-form"]) == (200, "int8")
    (listed,) = json.loads(server.request("/models")[2])["models"]
    assert listed["form"] == "int8"
    assert report["source_sha256"] in listed["schema"]["description"]
