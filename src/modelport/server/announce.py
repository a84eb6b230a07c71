"""What ``serve`` prints when the service answers: where, what it takes, and a curl line that works."""

from __future__ import annotations

from collections.abc import Sequence

from modelport.engine.engine import Engine
from modelport.http.example import curl
from modelport.server.fields import field_lines

_SHOWN = 12
_REST = "all of them at /models"


def announcement(url: str, engines: Sequence[Engine]) -> str:
    """Return the lines to print, plain text."""
    return "\n\n".join([*(_of(engine, url, is_only=len(engines) == 1) for engine in engines), f"The page to try it on: {url}/"])


def _of(engine: Engine, url: str, *, is_only: bool) -> str:
    path = engine.route or ("/predict" if is_only else f"/models/{engine.name}/predict")
    schema = engine.schema
    lines = [f"{engine.name} (version {engine.version}, {schema.task}, form {engine.form}) answers at {url}{path}", ""]
    lines += field_lines("takes", schema.inputs, _REST)
    lines += field_lines("answers", schema.outputs, _REST)
    if schema.classes:
        classes = [str(item) for item in schema.classes]
        lines.append(f"  classes  {', '.join(classes[:_SHOWN])}{' …' if len(classes) > _SHOWN else ''}")
    if sandbox := engine.status().get("sandbox"):
        lines.append(f"  sandbox  {sandbox}")
    lines += ["", f"  {curl(schema, url + path)}"]
    return "\n".join(lines)
