"""Columns of a schema as lines for people."""

from __future__ import annotations

from collections.abc import Sequence

from modelport.schema import Field
from modelport.telemetry.logs import escape

_SHOWN = 12
_CATEGORIES = 6


def field_lines(title: str, fields: Sequence[Field], rest: str) -> list[str]:
    """Return a line for each column, the title before the first; ``rest`` says where those are that are not shown."""
    width = max((len(escape(item.name)) for item in fields[:_SHOWN]), default=0)
    lines = [
        f"  {title if at == 0 else '':7}  {escape(item.name):{width}}  {escape(', '.join(_facts(item)))}"
        for at, item in enumerate(fields[:_SHOWN])
    ]
    if len(fields) > _SHOWN:
        lines.append(f"  {'':7}  … {len(fields) - _SHOWN} more; {rest}")
    return lines


def _facts(item: Field) -> list[str]:
    shape = "".join(f"[{'any' if n is None else n}]" for n in item.shape)
    facts = [f"{item.type}{shape}"]
    if item.role == "key":
        facts.append("key, optional")
    if item.nullable:
        facts.append("may be null")
    if item.categories:
        known = ", ".join(map(repr, item.categories[:_CATEGORIES]))
        facts.append(("one of " if item.closed else "such as ") + known + (" …" if len(item.categories) > _CATEGORIES else ""))
    return facts
