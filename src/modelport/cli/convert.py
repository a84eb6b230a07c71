"""``modelport convert``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from modelport.cli.flags import settings
from modelport.config import Value, resolve
from modelport.errors import UsageError

if TYPE_CHECKING:
    from modelport.convert.order import Target
    from modelport.server.converting import Data

_FORMS = ("json", "jsonl", "csv", "tsv", "parquet", "arrow")
_FAILED = 1


@click.command("convert", short_help="Write a model as another kind of file, if that answers the same.")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--to", "target", required=True, type=click.Choice(["onnx", "skops"]), help="What to write.")
@click.option("-o", "--output", "out", required=True, type=click.Path(path_type=Path), metavar="OUT", help="The file to write.")
@click.option("--data", type=click.Path(path_type=Path), metavar="DATA", help="Rows to compare on; by default rows made for the model.")
@click.option("--format", "form", type=click.Choice(_FORMS), help="What DATA is; by default its suffix says so.")
@click.option("--label", metavar="NAME", help="A column of DATA with known labels, to report how many each file gets right.")
@click.option("--tolerance", type=float, help="How far numbers may be apart: each (default 1e-6), or with int8 their mean (default 0.02).")
@click.option("--quantize", type=click.Choice(["int8"]), help="Weights in eight bits; needs --data.")
@click.option("--force", is_flag=True, help="Replace OUT where it is there.")
@click.option("--json", "is_json", is_flag=True, help="Print the report as one JSON document.")
@settings(["trust", "code", "architecture", "env", "sandbox", "debug"])
def command(file: Path, target: str, out: Path, **rest: object) -> None:
    """Write FILE, a model file or a bundle folder without hooks, as an ONNX graph or a skops file.

    The model is loaded and converted in a sandboxed process. OUT is written only where it answers as FILE does: every label the
    same except at ties, every number within the tolerance. The report has what was compared, and the size and speed of both.

    Exit codes: 0 written, 1 the answers differ and nothing was written, 2 unreadable or bad usage, 3 needs trust, refused, or FILE
    has a step that OUT cannot express.
    """
    from modelport.bundle.folder import open_bundle
    from modelport.cli.conversion import document, lines
    from modelport.server.converting import Wish, run

    own = {name: rest.pop(name) for name in ("data", "form", "label", "tolerance", "quantize", "force", "is_json")}
    bundle = open_bundle(file)
    tolerance = cast("float | None", own["tolerance"])
    wish = Wish(cast("Target", target), out, str(own["quantize"] or ""), tolerance, is_forced=bool(own["force"]))
    chosen = resolve(cast("dict[str, Value]", rest), bundle.manifest.serve)
    report = run(bundle, wish, _data(own), chosen)
    click.echo(document(file, report) if own["is_json"] else lines(file, report))
    if not report["holds"]:
        click.echo(f"modelport: {out} was not written: {report['problem']}; {_cure(report)}", err=True)
        click.get_current_context().exit(_FAILED)


def _cure(report: dict[str, object]) -> str:
    if report["quantize"]:
        return "accept more with --tolerance, or leave out --quantize"
    return "serve the file itself, or accept more with --tolerance"


def _data(own: dict[str, object]) -> Data | None:
    """Return what was given to compare on. Raises: UsageError."""
    from modelport.server.converting import Data
    from modelport.server.data import form_of

    path, label = cast("Path | None", own["data"]), cast("str | None", own["label"])
    if path is None:
        if label is not None:
            raise UsageError("--label names a column of the data; give the data with --data FILE")
        return None
    form = cast("str | None", own["form"]) or form_of(path, "--data")
    try:
        return Data(path.read_bytes(), form, label)
    except OSError as error:
        raise UsageError(f'--data "{path}": cannot be read ({error.strerror}); give a file of rows') from error
