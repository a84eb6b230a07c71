"""What ``serve`` prints when the service answers: where, what it takes, and a curl line that works."""

from __future__ import annotations

from collections.abc import Sequence

from modelport.engine.engine import Engine
from modelport.http.example import curl
from modelport.schema import Field

_SHOWN = 12


def announcement(url: str, engines: Sequence[Engine]) -> str:
    """Return the lines to print, plain text."""
    return "\n\n".join([*(_of(engine, url, is_only=len(engines) == 1) for engine in engines), f"The page to try it on: {url}/"])


def _of(engine: Engine, url: str, *, is_only: bool) -> str:
    path = engine.route or ("/predict" if is_only else f"/models/{engine.name}/predict")
    schema = engine.schema
    lines = [f"{engine.name} (version {engine.version}, {schema.task}, form {engine.form}) answers at {url}{path}", ""]
    lines += _columns("takes", schema.inputs)
    lines += _columns("answers", schema.outputs)
    if schema.classes:
        classes = [str(item) for item in schema.classes]
        lines.append(f"  classes  {', '.join(classes[:_SHOWN])}{' …' if len(classes) > _SHOWN else ''}")
    lines += ["", f"  {curl(schema, url + path)}"]
    return "\n".join(lines)


def _columns(title: str, fields: Sequence[Field]) -> list[str]:
    width = max((len(item.name) for item in fields[:_SHOWN]), default=0)
    lines = []
    for at, item in enumerate(fields[:_SHOWN]):
        shape = "".join(f"[{'any' if n is None else n}]" for n in item.shape)
        facts = [f"{item.type}{shape}"]
        if item.role == "key":
            facts.append("key, optional")
        if item.nullable:
            facts.append("may be null")
        if item.categories:
            known = [repr(category) for category in item.categories[:6]]
            facts.append(("one of " if item.closed else "such as ") + ", ".join(known) + (" …" if len(item.categories) > 6 else ""))
        lines.append(f"  {title if at == 0 else '':7}  {item.name:{width}}  {', '.join(facts)}")
    if len(fields) > _SHOWN:
        lines.append(f"  {'':7}  … {len(fields) - _SHOWN} more; all of them at /models")
    return lines
