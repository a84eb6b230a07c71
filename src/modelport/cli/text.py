"""Plain text for the terminal: aligned columns, sizes, numbers. What came out of a file or a model has its control characters escaped."""

from __future__ import annotations

from collections.abc import Sequence

from modelport.telemetry.logs import escape

_GAP = "  "
_LONGEST = 60


def aligned(rows: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """Return a line for each row, its cells under each other; the last cell is as long as it is."""
    clean = [[escape(cell) for cell in row] for row in rows]
    columns = max(map(len, clean), default=0)
    widths = [max((len(row[at]) for row in clean if at < len(row) - 1), default=0) for at in range(columns)]
    return [(indent + _GAP.join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=False))).rstrip() for row in clean]


def table(names: Sequence[str], rows: Sequence[Sequence[object]], width: int) -> str:
    """Return rows under their names, numbers to the right; columns that do not fit into ``width`` are counted instead."""
    shown = [[escape(name) for name in names], *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[at]) for row in shown) for at in range(len(names))]
    is_number = [all(isinstance(row[at], int | float | None) and not isinstance(row[at], bool) for row in rows) for at in range(len(names))]
    fitting, used = 0, 0
    for one in widths:
        used += one + len(_GAP)
        if used - len(_GAP) > width and fitting:
            break
        fitting += 1
    lines = [
        _GAP.join(
            f"{cell:{'>' if right else '<'}{one}}" for cell, right, one in zip(row, is_number[:fitting], widths, strict=False)
        ).rstrip()
        for row in shown
    ]
    if fitting < len(names):
        lines.append(f"… {len(names) - fitting} more columns; all of them with --json or -o FILE")
    return "\n".join(lines)


def size(size_bytes: int) -> str:
    """Return a number of bytes as people say it."""
    for unit, bytes_each in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size_bytes >= bytes_each:
            return f"{size_bytes / bytes_each:.3g} {unit}"
    return f"{size_bytes} bytes"


def some(values: Sequence[object], most: int) -> str:
    """Return the first values, and how many there are if those are not all."""
    shown = ", ".join(map(str, values[:most]))
    return shown if len(values) <= most else f"{shown}, … ({len(values)} in all)"


def _cell(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "-"}[value]
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        value = "[" + ", ".join(map(_cell, value[:8])) + (", …]" if len(value) > 8 else "]")
    text = escape(str(value))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
