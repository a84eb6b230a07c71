"""What the wire costs: decoding and encoding native JSON, in microseconds, best of several interleaved rounds.

Run: ``python benchmarks/wire.py``. Nothing is asserted; on a shared machine read the order of the lines, not the digits.
"""

from __future__ import annotations

import json
import timeit
from collections.abc import Callable

import numpy as np

from modelport.columns import Columns
from modelport.schema import Field, Schema
from modelport.wire.base import Call, Codec
from modelport.wire.native import codec

ROUNDS = 15
WIDTH = 30
TEXT = "What a wonderful little film, I have not laughed so much in years: go and see it!"


def table() -> Schema:
    outputs = (Field("label", "string"), Field("probabilities", "float64", shape=(2,)))
    inputs = tuple(Field(f"x{at}", "float64") for at in range(WIDTH))
    return Schema(inputs, outputs, task="classifier", classes=("negative", "positive"))


def text() -> Schema:
    return Schema((Field("ref", "int64", role="key"), Field("text", "string")), (Field("prediction", "float32"),), task="regressor")


def mixed() -> Schema:
    numbers = tuple(Field(f"n{at}", "float64", nullable=True) for at in range(6))
    words = tuple(Field(f"c{at}", "string", categories=("red", "green", "blue"), closed=True) for at in range(4))
    return Schema((*numbers, *words), (Field("prediction", "float64"),), task="regressor")


def bodies(schema: Schema, rows: int, rng: np.random.Generator) -> dict[str, bytes]:
    """Return the same rows in every form."""
    data = {item.name: rng.standard_normal(rows).tolist() if item.type == "float64" else ["red"] * rows for item in schema.inputs}
    records = [dict(zip(data, row, strict=True)) for row in zip(*data.values(), strict=True)]
    forms: dict[str, object] = {"rows": [list(row.values()) for row in records], "records": records, "columns": data}
    if rows == 1:
        forms["record"] = records[0]
    return {form: json.dumps(value).encode() for form, value in forms.items()}


def decode_jobs(rng: np.random.Generator) -> dict[str, Callable[[], object]]:
    jobs: dict[str, Callable[[], object]] = {}

    def add(name: str, made: Codec, body: bytes) -> None:
        jobs[f"decode {name} ({len(body):,} B)"] = lambda: made.decode(body, "application/json")

    for rows in (1, 100):
        for form, body in bodies(table(), rows, rng).items():
            add(f"{rows} x {WIDTH} numbers, {form}", codec(table()), body)
    for form, body in bodies(mixed(), 1, rng).items():
        add(f"1 x 6 numbers and 4 words, {form}", codec(mixed()), body)
    one = json.dumps({"ref": [1], "text": [TEXT]})
    add("1 text, columns", codec(text()), one.encode())
    add("1 text, list", codec(text()), json.dumps([TEXT]).encode())
    add("1 text, columns in a JSON string", codec(text()), json.dumps(one).encode())
    add("32 texts, list", codec(text()), json.dumps([TEXT] * 32).encode())
    picture = Schema((Field("x", "float32", shape=(28, 28)),), (Field("prediction", "float32", shape=(10,)),))
    add("1 tensor of 28 x 28", codec(picture), json.dumps(rng.random((1, 28, 28)).round(6).tolist()).encode())
    return jobs


def encode_jobs(rng: np.random.Generator) -> dict[str, Callable[[], object]]:
    jobs: dict[str, Callable[[], object]] = {}

    def add(name: str, made: Codec, columns: Columns, call: Call) -> None:
        jobs[f"encode {name}"] = lambda: made.encode(columns, call)

    for rows in (1, 100):
        labels = np.array(["negative", "positive"], object)[rng.integers(0, 2, rows)]
        answer = Columns({"label": labels, "probabilities": rng.random((rows, 2))})
        add(f"{rows} x 2 classes", codec(table()), answer, Call(Columns({}), None, {}, (), is_single=False))
        call = Call(Columns({"ref": np.arange(rows)}), None, {}, ("ref",), is_single=False)
        add(f"{rows} x key and prediction", codec(text()), Columns({"prediction": rng.random(rows, dtype=np.float32)}), call)
    return jobs


def main() -> None:
    rng = np.random.default_rng(0)
    jobs = decode_jobs(rng) | encode_jobs(rng)
    best = dict.fromkeys(jobs, float("inf"))
    for _ in range(ROUNDS):
        for name, job in jobs.items():
            number = 2000 if best[name] < 20 else 200
            best[name] = min(best[name], timeit.timeit(job, number=number) / number * 1e6)
    for name, microseconds in best.items():
        print(f"{name:<58} {microseconds:9.2f} us")


if __name__ == "__main__":
    main()
