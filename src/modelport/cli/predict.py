"""``modelport predict``."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from modelport.cli.flags import settings
from modelport.config import Value, resolve
from modelport.errors import UsageError

_SHOWN_ROWS = 100
_FORMS = ("json", "jsonl", "csv", "tsv", "parquet", "arrow")


@click.command("predict", short_help="Predict once, without a server.")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.argument("data", required=False, metavar="[DATA|-]")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to a .json, .jsonl, .csv, .tsv, .parquet or .arrow file.")
@click.option("--json", "is_json", is_flag=True, help="Print the records as the server answers them.")
@click.option("--format", "form", type=click.Choice(_FORMS), help="What DATA is; by default its suffix says so, and - is json.")
@settings(["trust", "code", "architecture", "env", "sandbox", "debug"])
def command(file: Path, data: str | None, output: Path | None, is_json: bool, form: str | None, **flags: Value) -> None:
    """Predict the rows of DATA with FILE, a model file or a bundle folder.

    DATA is a .json, .jsonl, .csv, .tsv, .parquet or .arrow file, JSON as it stands, such as '[[5.1, 3.5, 1.4, 0.2]]', or - for
    standard input. The answer is printed as a table on a terminal, and as CSV where the output goes to a file or a pipe.
    """
    from modelport.bundle.folder import open_bundle
    from modelport.server import once
    from modelport.server.data import form_of, read, write

    bundle = open_bundle(file)
    body, form = _given(file, data, form)
    if output is not None:
        form_of(output, "-o")
    answer = once.predict(bundle, resolve(flags, bundle.manifest.serve), lambda schema: read(body, form, schema))
    if output is not None:
        write(answer, output)
    if is_json:
        click.echo(answer)
    elif output is None:
        _show(answer)


def _given(file: Path, data: str | None, form: str | None) -> tuple[bytes, str]:
    """Return the bytes of the data and their form. Raises: UsageError."""
    from modelport.server.data import form_of

    if data is None and sys.stdin.isatty():
        raise UsageError(f"what shall be predicted is missing; give a file, JSON, or - for standard input: modelport predict {file} DATA")
    if data is None or data == "-":
        return sys.stdin.buffer.read(), form or "json"
    if data.lstrip()[:1] in ("[", "{"):
        return data.encode("utf-8", "surrogateescape"), "json"
    path = Path(data)
    form = form or form_of(path, "DATA")
    try:
        return path.read_bytes(), form
    except OSError as error:
        raise UsageError(f'DATA "{data}": cannot be read ({error.strerror}); give a file of rows, JSON, or - for standard input') from error


def _show(answer: bytes) -> None:
    from modelport.cli.text import table
    from modelport.server.data import flatten, records, to_csv

    rows = records(answer)
    if not sys.stdout.isatty():
        click.echo(to_csv(rows), nl=False)
        return
    names, cells = flatten(rows, is_deep=False)
    click.echo(table(names, cells[:_SHOWN_ROWS], shutil.get_terminal_size().columns))
    if len(cells) > _SHOWN_ROWS:
        click.echo(f"… {len(cells) - _SHOWN_ROWS} more rows; all of them with --json or -o FILE")
