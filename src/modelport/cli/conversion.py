"""The report of a conversion for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import orjson

from modelport.cli.text import aligned, size, some


def document(file: Path, report: Mapping[str, object]) -> str:
    """Return the report as one JSON document."""
    return orjson.dumps({"file": str(file), **report}, option=orjson.OPT_INDENT_2).decode()


def lines(file: Path, report: Mapping[str, object]) -> str:
    """Return the report as text: what was compared, then both files beside each other."""
    kind = " ".join(str(part) for part in (report["to"], report["precision"] if report["to"] == "onnx" else "") if part)
    refused = f", {report['refused_rows']} that the original refuses" if report["refused_rows"] else ""
    facts = [
        ("made", kind),
        ("compared", f"{report['rows']} rows, {report['compared_on']}{refused}"),
        ("largest difference", _number(report["largest_difference"])),
        ("mean difference", _number(report["mean_difference"])),
        ("tolerance", f"{_number(report['tolerance'])}{' (of the mean)' if report['quantize'] else ''}"),
    ]
    if report["labels"]:
        facts.append(("labels", f"{report['label_changes']} of {report['labels']} changed, {report['ties']} more at ties"))
    if report["choice_changes"]:
        facts.append(("largest probability", f"another one in {report['choice_changes']} rows"))
    if trust := cast("list[str]", report.get("trust") or []):
        facts.append(("needs", f"--trust {some(trust, 5)}"))
    sizes = [size(cast("int", report[name])) for name in ("source_size_bytes", "size_bytes")]
    rows = [("", "original", "converted"), ("size", *sizes)]
    for taken in cast("list[dict[str, float]]", report["speed"]):
        count = int(taken["rows"])
        rows.append((f"{count} row{'s' * (count > 1)}", f"{taken['original_ms']:.3f} ms", f"{taken['converted_ms']:.3f} ms"))
    for name, value in _agreement(report):
        rows.append((name, *value))
    ending = "written" if report["holds"] else "not written"
    head = f"{file} -> {report['out']} ({ending})"
    return "\n".join([head, *aligned(facts), "", *aligned(rows)])


def _agreement(report: Mapping[str, object]) -> list[tuple[str, list[str]]]:
    found = cast("dict[str, dict[str, float]]", report.get("agreement") or {})
    names = found.get("original", {})
    return [(name.replace("_", " "), [f"{found[which][name]:.4f}" for which in ("original", "converted")]) for name in names]


def _number(value: object) -> str:
    return f"{cast('float', value):.2g}"
