"""Example requests from a schema, as plain JSON values: for OpenAPI, the page and the curl line."""

from __future__ import annotations

import shlex
from typing import TypeAlias

import numpy as np
import orjson

from modelport.columns import Array
from modelport.schema import Field, Schema

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


def example_columns(schema: Schema, rows: int = 1) -> dict[str, Json]:
    """Return a plausible request in columns form. Raises: nothing; a schema without inputs gives an empty object."""
    columns = schema.unpack(schema.sample(rows))
    return {name: _plain(array) for name, array in columns.items()}


def example_records(schema: Schema, rows: int = 1) -> list[Json]:
    """Return the same as records."""
    columns = example_columns(schema, rows)
    return [{name: _at(values, row) for name, values in columns.items()} for row in range(rows)]


def example_rows(schema: Schema, rows: int = 1) -> list[Json]:
    """Return the same as bare rows: of values, or of lists where the model has several features."""
    columns = example_columns(schema, rows)
    features = [columns[item.name] for item in schema.features]
    if len(features) == 1:
        return [_at(features[0], row) for row in range(rows)]
    return [[_at(values, row) for values in features] for row in range(rows)]


def example_value(item: Field) -> Json:
    """Return one plausible value of a column."""
    return _at(example_columns(Schema((item,)))[item.name], 0)


def curl(schema: Schema, url: str) -> str:
    """Return a command line that predicts and works as it stands."""
    body = orjson.dumps(example_columns(schema)).decode()
    return f"curl -s {shlex.quote(url)} -H 'content-type: application/json' -d {shlex.quote(body)}"


def _plain(array: Array) -> list[Json]:
    values = array
    if np.issubdtype(array.dtype, np.floating):
        values = array.astype(np.float64)
    return list(values.tolist())


def _at(values: Json, row: int) -> Json:
    assert isinstance(values, list)  # noqa: S101  # a column is a list of its rows
    return values[row]
