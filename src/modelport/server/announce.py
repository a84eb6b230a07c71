"""What ``serve`` prints when the service answers: where, what it takes, and a curl line that works."""

from __future__ import annotations

from modelport.engine.engine import Engine
from modelport.forms.facts import COMPILED, ROW_MS
from modelport.http.example import curl
from modelport.schema import Schema
from modelport.server.fields import field_lines
from modelport.server.live import Live, Served

_SHOWN = 12
_REST = "all of them at /models"


def served(engine: Engine) -> Served:
    """Return what there is to tell of a version that is loaded."""
    status = engine.status()
    row_ms = status.get(ROW_MS)
    return Served(
        engine.name,
        engine.version,
        engine.route,
        engine.form,
        engine.schema.to_dict(),
        str(status.get("sandbox") or ""),
        engine.form == COMPILED and not status["workers"],
        float(row_ms) if isinstance(row_ms, int | float) else None,
    )


def announcement(live: Live) -> str:
    """Return the lines to print, plain text."""
    is_only = len(live.models) == 1
    return "\n\n".join([*(_of(model, live.url, is_only=is_only) for model in live.models), f"The page to try it on: {live.url}/"])


def _of(model: Served, url: str, *, is_only: bool) -> str:
    path = model.route or ("/predict" if is_only else f"/models/{model.name}/predict")
    schema = Schema.from_dict(model.schema)
    lines = [f"{model.name} (version {model.version}, {schema.task}, form {model.form}) answers at {url}{path}", ""]
    lines += field_lines("takes", schema.inputs, _REST)
    lines += field_lines("answers", schema.outputs, _REST)
    if schema.classes:
        classes = [str(item) for item in schema.classes]
        lines.append(f"  classes  {', '.join(classes[:_SHOWN])}{' …' if len(classes) > _SHOWN else ''}")
    if model.sandbox:
        lines.append(f"  sandbox  {model.sandbox}")
    lines += ["", f"  {curl(schema, url + path)}"]
    return "\n".join(lines)
