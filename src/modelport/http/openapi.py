"""The OpenAPI 3.1 description of a server, from its models' schemas and its table of routes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from modelport.engine.engine import Engine
from modelport.errors import ModelportError
from modelport.http.example import Json, example_columns, example_records, example_rows
from modelport.http.routes import Route
from modelport.schema import Field, Schema
from modelport.version import VERSION

Node = dict[str, Json]

_INTEGERS = {f"{sign}int{bits}": bits for sign in ("", "u") for bits in (8, 16, 32, 64)}
_FAILURES: tuple[tuple[int, str], ...] = (
    (400, "The request is malformed: invalid JSON, invalid UTF-8, invalid HTTP."),
    (401, "The API key is missing or wrong."),
    (413, "The body or the number of rows is over the limit."),
    (415, "The content type or content encoding is not one that this path takes."),
    (422, "Valid JSON that does not fit the schema; every fault with its path."),
    (429, "The queue is full; try again after Retry-After seconds."),
    (500, "The model failed on this input."),
    (503, "The model is not ready, or the server is shutting down."),
    (504, "No answer within the time limit."),
)


def document(engines: Sequence[Engine], routes: Iterable[Route]) -> Node:
    """Return the whole description. It holds no server address: paths are relative to where it was read."""
    ready = {(engine.name, engine.version): _key(engine) for engine in engines}
    schemas: Node = {"Problem": _problem()}
    for engine in engines:
        schemas[f"{_key(engine)}.Request"] = request_schema(engine.schema)
        schemas[f"{_key(engine)}.Record"] = record_schema(engine.schema)
    paths: Node = {}
    for route in routes:
        if route.summary:
            paths[route.path] = {method.decode().lower(): _operation(route, ready) for method in route.methods}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": " · ".join(dict.fromkeys(engine.name for engine in engines)) or "modelport",
            "version": VERSION,
            "description": "Predictions over HTTP, served by modelport.",
        },
        "servers": [{"url": "."}],
        "tags": [{"name": "predict"}, {"name": "meta"}, {"name": "health"}, {"name": "page"}],
        "paths": paths,
        "components": {"schemas": schemas},
    }


def request_schema(schema: Schema) -> Node:
    """Return what the body of a prediction may be: columns, records, one record, bare rows."""
    required: list[Json] = [item.name for item in schema.features]

    def named(properties: Node, title: str) -> Node:
        return {"title": title, "type": "object", "properties": properties, "required": required, "additionalProperties": False}

    cells: Node = {item.name: _described(item) for item in schema.inputs}
    lists: Node = {item.name: {"type": "array", "items": cell_schema(item), "minItems": 1} for item in schema.inputs}
    features = [cell_schema(item) for item in schema.features]
    row: Json = features[0] if len(features) == 1 else _tuple(features)
    return {
        "oneOf": [
            named(lists, "columns"),
            {"title": "records", "type": "array", "items": named(cells, "record"), "minItems": 1},
            named(cells, "one record"),
            {"title": "bare rows", "type": "array", "items": row, "minItems": 1},
        ]
    }


def record_schema(schema: Schema) -> Node:
    """Return what the answer's record of one row looks like; keys of the request come first."""
    properties: Node = {item.name: cell_schema(item) for item in schema.keys}
    number: Node = {"type": "number"}
    numbers: Node = {"type": "array", "items": {}}
    by_class: Node = {"type": "object", "additionalProperties": number}
    if schema.classes:
        by_class = {"type": "object", "properties": {_text(name): number for name in schema.classes}}
    label: Node = {"enum": list(schema.classes)} if schema.classes else {}
    if schema.task == "classifier":
        properties |= {"label": label, "probabilities": by_class, "scores": by_class}
    elif schema.task == "clusterer":
        properties["cluster"] = {"type": "integer"}
    elif schema.task == "transformer":
        properties["features"] = numbers
    elif schema.task == "outlier_detector":
        properties |= {"label": {"enum": [1, -1]}, "score": number}
    elif schema.task == "frame" or len(schema.outputs) > 1:
        properties |= {item.name: cell_schema(item) for item in schema.outputs}
    else:
        properties["prediction"] = cell_schema(schema.outputs[0]) if schema.outputs else {}
    return {"type": "object", "properties": properties}


def cell_schema(item: Field) -> Node:
    """Return what one row of a column may hold."""
    node = _scalar(item)
    for length in reversed(item.shape):
        bounds: Node = {} if length is None else {"minItems": length, "maxItems": length}
        node = {"type": "array", "items": node, **bounds}
    return node


def _scalar(item: Field) -> Node:
    node: Node = {"type": "number"}
    if item.type == "string":
        node = {"type": "string"} | ({"maxLength": item.max_length} if item.max_length is not None else {})
    elif item.type == "bool":
        node = {"type": "boolean"}
    elif item.type in _INTEGERS:
        bits, is_signed = _INTEGERS[item.type], item.type.startswith("int")
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if is_signed else (0, 2**bits - 1)
        node = {"type": "integer", "minimum": low, "maximum": high}
    if item.closed and item.categories:
        node["enum"] = [*item.categories, *([None] if item.nullable and None not in item.categories else [])]
    elif item.categories:
        node["examples"] = list(item.categories[:10])
    if item.nullable:
        node["type"] = [node["type"], "null"]
    return node


def _described(item: Field) -> Node:
    return cell_schema(item) | ({"description": item.description} if item.description else {})


def _tuple(items: list[Node]) -> Node:
    return {"type": "array", "prefixItems": list(items), "minItems": len(items), "maxItems": len(items)}


def _operation(route: Route, ready: dict[tuple[str, str], str]) -> Node:
    engine = route.engine
    operation: Node = {"operationId": _identifier(route.path), "summary": route.summary, "tags": [route.kind]}
    if route.kind != "predict" or engine is None:
        operation["responses"] = _plain_responses(route)
        return operation
    key = ready[engine.name, engine.version]
    record: Node = {"$ref": f"#/components/schemas/{key}.Record"}
    operation["parameters"] = [
        _header("x-request-id", "Echoed in the answer; letters, digits, dots, dashes, underscores."),
        _header("x-request-timeout", 'Lowers the time limit: "50ms", "2s" or seconds.'),
    ]
    content: Node = {"schema": {"$ref": f"#/components/schemas/{key}.Request"}, "examples": _examples(engine.schema)}
    operation["requestBody"] = {"required": True, "content": {"application/json": content}}
    answer: Json = {"application/json": {"schema": {"oneOf": [{"type": "array", "items": record}, record]}}}
    responses: Node = {"200": {"description": "One record a row, in order; one record for one record.", "content": answer}}
    responses |= {str(status): _failure(text) for status, text in _FAILURES}
    operation["responses"] = responses
    return operation


def _plain_responses(route: Route) -> Node:
    answers: Node = {"200": {"description": "The answer."}}
    if route.path == "/readyz":
        answers["503"] = {"description": "Not every model predicts, or the server is shutting down.", "content": {"application/json": {}}}
    return answers


def _examples(schema: Schema) -> Node:
    records = example_records(schema)
    return {
        "columns": {"value": example_columns(schema)},
        "records": {"value": records},
        "one record": {"value": records[0]},
        "bare rows": {"value": example_rows(schema)},
    }


def _header(name: str, description: str) -> Node:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": "string"}}


def _failure(description: str) -> Node:
    return {"description": description, "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}


def _problem() -> Node:
    text: Node = {"type": "string"}
    fault: Node = {"type": "object", "properties": {"path": text, "code": text, "message": text}}
    codes: list[Json] = [*sorted({kind.code for kind in _errors() if kind.exit_code == 1})]
    return {
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "properties": {
            "type": text,
            "title": text,
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "One sentence: what was found, what was expected, where, what to do."},
            "code": {"type": "string", "enum": codes},
            "retryable": {"type": "boolean"},
            "faults": {"type": "array", "items": fault},
        },
        "required": ["title", "status", "detail", "code"],
    }


def _errors() -> list[type[ModelportError]]:
    return [ModelportError, *ModelportError.__subclasses__()]


def _key(engine: Engine) -> str:
    return f"{engine.name}.v{engine.version}"


def _identifier(path: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", path).strip("_") or "root"


def _text(name: object) -> str:
    return ("true" if name else "false") if isinstance(name, bool) else str(name)
