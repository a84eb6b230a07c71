"""Files of rows in, files of records out: JSON, JSON Lines, CSV, TSV, Parquet and Arrow, for predictions without a server."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TypeAlias, cast

import orjson

from modelport.errors import DecodeError, MissingExtra, UsageError
from modelport.schema import Schema
from modelport.wire.base import Call, Limits
from modelport.wire.native import codec
from modelport.wire.table import decode_columns, decode_csv

Record: TypeAlias = dict[str, object]

SUFFIXES: Mapping[str, str] = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
}
"""A file's suffix to its form."""

FORMS = tuple(dict.fromkeys(SUFFIXES.values()))
_UNLIMITED = Limits(rows=2**62)
_INDEX = "__index_level_"  # what pandas calls a frame's index in Parquet and Arrow


def form_of(path: Path, what: str) -> str:
    """Return the form that a file's suffix stands for. Raises: UsageError naming those there are."""
    form = SUFFIXES.get(path.suffix.lower())
    if form is None:
        raise UsageError(f'{what} "{path}": the suffix "{path.suffix}" stands for no form of data; known are {", ".join(SUFFIXES)}')
    return form


def read(body: bytes, form: str, schema: Schema) -> Call:
    """Turn the bytes of a file into a checked call, of any number of rows.

    Raises: DecodeError for bytes that are not of the form, SchemaError with every fault, MissingExtra without pyarrow.
    """
    if form in ("csv", "tsv"):
        return decode_csv(body, schema, _UNLIMITED, delimiter="\t" if form == "tsv" else ",")
    if form in ("parquet", "arrow"):
        return decode_columns(_arrow_columns(body, form), schema, _UNLIMITED)
    return codec(schema, _UNLIMITED).decode(_joined(body) if form == "jsonl" else body, None)


def records(answer: bytes) -> list[Record]:
    """Return the records of an encoded answer; one record gives a list of it."""
    found = orjson.loads(answer)
    return cast("list[Record]", found if isinstance(found, list) else [found])


def flatten(rows: Sequence[Record], *, is_deep: bool) -> tuple[list[str], list[list[object]]]:
    """Return column names and rows without nested objects: ``probabilities.yes``. ``is_deep``: ``features.0`` for lists as well."""
    flat = [dict(_flat(record, "", is_deep=is_deep)) for record in rows]
    names = list(dict.fromkeys(name for record in flat for name in record))
    return names, [[record.get(name) for name in names] for record in flat]


def to_csv(rows: Sequence[Record], delimiter: str = ",") -> str:
    """Return records as CSV with a header; numbers have the digits that JSON gives them, a missing value is an empty cell."""
    names, cells = flatten(rows, is_deep=True)
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([[cell(value) for value in row] for row in cells])
    return out.getvalue()


def cell(value: object) -> str:
    """Return a value as text: strings as they are, null as nothing, the rest as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def write(answer: bytes, path: Path) -> None:
    """Write an encoded answer to a file in the form of its suffix.

    Raises: UsageError if there is no such form or the file cannot be written, MissingExtra without pyarrow.
    """
    form = form_of(path, "-o")
    try:
        path.write_bytes(_rendered(answer, form))
    except OSError as error:
        raise UsageError(f"-o {path}: cannot be written ({error.strerror}); name a file in a folder that you may write to") from error


def _rendered(answer: bytes, form: str) -> bytes:
    if form == "json":
        return answer + b"\n"
    rows = records(answer)
    if form == "jsonl":
        return b"".join(orjson.dumps(row) + b"\n" for row in rows)
    if form in ("csv", "tsv"):
        return to_csv(rows, "\t" if form == "tsv" else ",").encode()
    return _arrow_bytes(rows, form)


def _flat(value: object, name: str, *, is_deep: bool) -> list[tuple[str, object]]:
    parts: list[tuple[object, object]]
    if isinstance(value, dict):
        parts = list(value.items())
    elif is_deep and isinstance(value, list):
        parts = list(enumerate(value))
    else:
        return [(name, value)]
    return [pair for key, part in parts for pair in _flat(part, f"{name}.{key}" if name else str(key), is_deep=is_deep)]


def _joined(body: bytes) -> bytes:
    lines = body.removeprefix(b"\xef\xbb\xbf").splitlines()
    given = [(at, line) for at, line in enumerate(lines, 1) if line.strip()]
    for at, line in given:
        try:
            orjson.loads(line)
        except ValueError as error:
            raise DecodeError(f"line {at} is not JSON: {error}; JSON Lines has one JSON value a line") from error
    return b"[" + b",".join(line for _, line in given) + b"]"


# --- Arrow ----------------------------------------------------------------------------------------------------------


def _arrow(form: str) -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow as pa
        from pyarrow import feather, parquet
    except ImportError as error:
        raise MissingExtra(f"{form} files need pyarrow, which is not installed; run: pip install 'modelport[table]'") from error
    return pa, parquet if form == "parquet" else feather


def _arrow_columns(body: bytes, form: str) -> Mapping[str, Sequence[object]]:
    pa, module = _arrow(form)
    try:
        table = module.read_table(io.BytesIO(body))
        columns = [(str(name), table.column(at).to_pylist()) for at, name in enumerate(table.column_names)]
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DecodeError(f"the data cannot be read as {form}: {reason}; write the file again, or say what it is with --format") from error
    return {name: values for name, values in columns if not name.startswith(_INDEX)}


def _arrow_bytes(rows: Sequence[Record], form: str) -> bytes:
    pa, module = _arrow(form)
    names, cells = flatten(rows, is_deep=False)
    out = io.BytesIO()
    try:
        table = pa.table({name: [row[at] for row in cells] for at, name in enumerate(names)})
        (module.write_table if form == "parquet" else module.write_feather)(table, out)
    except (pa.ArrowException, OverflowError) as error:
        raise UsageError(f"the answer cannot be written as {form} ({error}); use -o with .json instead") from error
    return out.getvalue()
