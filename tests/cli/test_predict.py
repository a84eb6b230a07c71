"""`modelport predict`: rows in any form, the server's records out, every fault named."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROWS = [{"ref": 7, "a": 1.5, "b": 2.0, "word": "güt"}, {"ref": 8, "a": -1.0, "b": 0.25, "word": None}]
ANSWER = [{"ref": 7, "sum": 3.5, "word": "güt"}, {"ref": 8, "sum": -0.75, "word": None}]


def _csv(rows: list[dict[str, object]], delimiter: str = ",") -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _frame(path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame(ROWS)
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_feather(path)


@pytest.fixture
def data(tmp_path: Path) -> Callable[[str], Path]:
    def write(suffix: str) -> Path:
        path = tmp_path / f"data{suffix}"
        if suffix in (".parquet", ".arrow"):
            pytest.importorskip("pyarrow")
            pytest.importorskip("pandas")
            _frame(path)
        else:
            lines = "".join(json.dumps(row) + "\n" for row in ROWS)
            texts = {".json": json.dumps(ROWS), ".jsonl": lines, ".csv": _csv(ROWS), ".tsv": _csv(ROWS, "\t")}
            path.write_text(texts[suffix], encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".csv", ".tsv", ".parquet", ".arrow"])
def test_every_form_of_the_same_rows_gives_the_same_records(
    modelport: Callable[..., object], toy: Path, data: Callable[[str], Path], suffix: str
) -> None:
    done = modelport("predict", toy, data(suffix), "--json")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out) == ANSWER


@pytest.mark.parametrize(
    "body",
    [
        '{"a": [1, 2], "b": [3, 4], "word": ["x", null]}',
        '[{"a": 1, "b": 3, "word": "x"}, {"a": 2, "b": 4, "word": null}]',
        '[[1, 3, "x"], [2, 4, null]]',
        json.dumps('[[1, 3, "x"], [2, 4, null]]'),
    ],
)
def test_standard_input_takes_every_form_of_native_json(modelport: Callable[..., object], toy: Path, body: str) -> None:
    done = modelport("predict", toy, "-", "--json", stdin=body.encode())
    assert json.loads(done.out) == [{"sum": 4.0, "word": "x"}, {"sum": 6.0, "word": None}]


def test_one_record_gives_one_record(modelport: Callable[..., object], toy: Path) -> None:
    done = modelport("predict", toy, '{"a": 1, "b": 3, "word": "x"}', "--json")
    assert json.loads(done.out) == {"sum": 4.0, "word": "x"}


def test_standard_input_is_read_where_no_data_is_named_and_no_terminal_is_there(modelport: Callable[..., object], toy: Path) -> None:
    done = modelport("predict", toy, "--json", "--format", "csv", stdin=b'1,3,x\n2,4,"y, z"\n')
    assert json.loads(done.out) == [{"sum": 4.0, "word": "x"}, {"sum": 6.0, "word": "y, z"}]


def test_what_is_piped_on_is_csv(modelport: Callable[..., object], toy: Path) -> None:
    done = modelport("predict", toy, json.dumps(ROWS))
    assert list(csv.reader(io.StringIO(done.out))) == [["ref", "sum", "word"], ["7", "3.5", "güt"], ["8", "-0.75", ""]]


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".csv", ".tsv", ".parquet", ".arrow"])
def test_the_answer_is_written_in_the_form_of_the_suffix(modelport: Callable[..., object], toy: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"out{suffix}"
    done = modelport("predict", toy, json.dumps(ROWS), "-o", out)
    assert (done.code, done.out, done.err) == (0, "", "")
    if suffix in (".parquet", ".arrow"):
        pd = pytest.importorskip("pandas")
        frame = pd.read_parquet(out) if suffix == ".parquet" else pd.read_feather(out)
        assert [{name: None if value != value else value for name, value in row.items()} for row in frame.to_dict("records")] == ANSWER
    elif suffix in (".csv", ".tsv"):
        read = csv.DictReader(out.read_text(encoding="utf-8").splitlines(), delimiter="\t" if suffix == ".tsv" else ",")
        assert [(row["ref"], row["sum"], row["word"]) for row in read] == [("7", "3.5", "güt"), ("8", "-0.75", "")]
    else:
        text = out.read_text(encoding="utf-8")
        assert (json.loads(text) if suffix == ".json" else [json.loads(line) for line in text.splitlines()]) == ANSWER


def test_every_fault_is_a_line_of_its_own(modelport: Callable[..., object], toy: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("a,b,wrd\n1,x,y\n,2,z\n")
    done = modelport("predict", toy, "bad.csv")
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines() == [
        "modelport: the data does not fit the model:",
        '  unknown column "wrd"; did you mean "word"?',
        '  column "word" is missing',
        '  column "b": expected float64, got "x" at row 0 (line 2)',
        '  column "a": expected float64, got null (the model takes no missing values here) at row 1 (line 3)',
    ]


@pytest.mark.parametrize(
    ("data", "arguments", "code", "said"),
    [
        ("nowhere.csv", (), 2, "nowhere.csv"),
        ("data.xls", (), 2, "known are .json"),
        ("[[1, 2, null]]", ("-o", "out.xls"), 2, "known are .json"),
        ("[[1, 2, null]]", ("-o", "no/such/folder/out.csv"), 2, "cannot be written"),
        ("[[1, 2", (), 1, "JSON"),
        ("[]", (), 1, "empty"),
        ("[[13, 1, null]]", (), 1, "ValueError: thirteen"),
    ],
)
def test_what_stands_in_the_way_is_one_sentence(
    modelport: Callable[..., object], toy: Path, data: str, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = modelport("predict", toy, data, *arguments)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert "somebody" not in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(("name", "said"), [("x.parquet", "parquet"), ("x.arrow", "arrow"), ("x.jsonl", "line 1 is not JSON")])
def test_a_damaged_file_of_rows_is_named(modelport: Callable[..., object], toy: Path, tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / name).write_bytes(b"not what it says")
    done = modelport("predict", toy, name)
    assert (done.code, done.out) == (1, "")
    assert said in done.err


def test_more_rows_than_a_request_may_hold_go_in_chunks(modelport: Callable[..., object], toy: Path) -> None:
    body = json.dumps({"a": list(range(100, 125)), "b": [0.5] * 25, "word": ["x"] * 25})
    done = modelport("predict", toy, "-", "--json", stdin=body.encode(), env={"MODELPORT_MAX_ROWS": "10", "MODELPORT_MAX_QUEUED_ROWS": "5"})
    assert [record["sum"] for record in json.loads(done.out)] == [number + 0.5 for number in range(100, 125)]


def test_a_model_that_is_refused_is_exit_code_3(modelport: Callable[..., object], tmp_path: Path) -> None:
    path = tmp_path / "own.pkl"
    path.write_bytes(b"\x80\x04\x8c\x05mylib\x8c\x05Model\x93)\x81.")
    done = modelport("predict", path, "[[1]]")
    assert (done.code, done.out) == (3, "")
    assert "mylib.Model" in done.err


def test_on_a_terminal_the_answer_is_a_table_and_missing_data_a_mistake(command: Path, toy: Path) -> None:
    """Run under a pseudo-terminal, as a person does."""

    def run(*arguments: str) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        process = subprocess.Popen([command, "predict", toy, *arguments], stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        out = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # Linux says so when the last writer is gone
                break
            if not part:
                break
            out += part
        os.close(ours)
        return process.wait(timeout=60), out.decode().replace("\r\n", "\n")

    code, text = run(json.dumps(ROWS))
    assert (code, text) == (0, "ref    sum  word\n  7    3.5  güt\n  8  -0.75  -\n")
    code, text = run()
    assert code == 2
    assert "modelport predict" in text


def test_what_a_hook_prints_does_not_get_into_the_answer(modelport: Callable[..., object], toy: Path) -> None:
    hook = toy / "toy.py"
    hook.write_text(hook.read_text().replace("    if (x", "    print('hello from the hook', flush=True)\n    if (x"))
    done = modelport("predict", toy, json.dumps(ROWS), "--json")
    assert json.loads(done.out) == ANSWER
    assert "hello from the hook" in done.err


def test_long_json_may_stand_on_the_command_line(modelport: Callable[..., object], toy: Path) -> None:
    body = json.dumps([[number, 1, None] for number in range(100, 200)])
    assert len(json.loads(modelport("predict", toy, body, "--json").out)) == 100


def test_ctrl_c_ends_it_and_its_worker(command: Path, toy: Path, tmp_path: Path) -> None:
    """The hook tells through a named pipe that it runs, and would never end by itself; the pipe closes when its worker is gone."""
    os.mkfifo(tmp_path / "pipe")
    lines = ["import threading", "forever = threading.Event()", "def load(folder):", "    return None", "def predict(model, x):"]
    lines += [f"    pipe = open({str(tmp_path / 'pipe')!r}, 'w')", "    pipe.write('x')", "    pipe.flush()", "    forever.wait()"]
    (toy / "toy.py").write_text("\n".join(lines))
    line = [command, "predict", toy, "[[1, 2, null]]", "--sandbox", "off"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with (tmp_path / "pipe").open() as pipe:
        assert pipe.read(1) == "x"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert pipe.read() == ""
    assert (process.returncode, out, err.strip()) == (130, b"", b"")
