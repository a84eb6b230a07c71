"""The report of a conversion as text: what there is to say, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

from modelport.cli.conversion import document, lines

REPORT: dict[str, object] = {
    "to": "onnx", "quantize": "", "out": "made.onnx", "holds": True, "problem": "", "precision": "float64",
    "compared_on": "rows made for the model", "rows": 10, "refused_rows": 0, "largest_difference": 0.0, "mean_difference": 0.0,
    "tolerance": 1e-6, "labels": 0, "label_changes": 0, "ties": 0, "choice_changes": 0,
    "source_size_bytes": 2048, "size_bytes": 1024, "speed": [],
}  # fmt: skip


def test_what_did_not_come_up_is_not_mentioned() -> None:
    text = lines(Path("model.pkl"), REPORT)
    assert text.splitlines()[0] == "model.pkl -> made.onnx (written)"
    assert text.splitlines()[-1].split() == ["size", "2", "KiB", "1", "KiB"]
    assert not any(word in text for word in ("labels", "refuses", "largest probability", "--trust", "mean)"))


def test_what_came_up_is() -> None:
    more = {
        "holds": False, "refused_rows": 2, "labels": 10, "label_changes": 1, "ties": 3, "choice_changes": 4, "quantize": "int8",
        "trust": ["own.Kind"], "speed": [{"rows": 1, "original_ms": 2.0, "converted_ms": 0.5}],
        "agreement": {"original": {"mean_absolute_error": 0.25}, "converted": {"mean_absolute_error": 0.5}},
    }  # fmt: skip
    text = lines(Path("model.pkl"), REPORT | more)
    for said in (
        "(not written)", "10 rows, rows made for the model, 2 that the original refuses", "1 of 10 changed, 3 more at ties",
        "another one in 4 rows", "--trust own.Kind", "(of the mean)", "2.000 ms  0.500 ms", "mean absolute error  0.2500",
    ):  # fmt: skip
        assert said in text


def test_the_document_holds_all_of_it() -> None:
    assert json.loads(document(Path("model.pkl"), REPORT)) == {"file": "model.pkl", **REPORT}
