"""``modelport inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from modelport.cli.flags import settings
from modelport.config import Value, resolve
from modelport.errors import ModelportError

if TYPE_CHECKING:
    from modelport.formats.base import Step
    from modelport.server.look import Look


@click.command("inspect", short_help="Read a model file without executing anything of it.")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON document.")
@click.option(
    "--stub", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Write a file to fill in for each missing module."
)
@settings(["trust", "code", "architecture"])
def command(file: Path, is_json: bool, stub: Path | None, **flags: Value) -> None:
    """Say what FILE, a model file or a bundle folder, is and what `serve` would do with it. Nothing in it is executed.

    With --stub it also writes Python files with the names that a pickle needs and that are neither installed nor given with --code;
    files that are there already are not written over.

    Exit codes: 0 loadable, 3 needs trust or refused, 2 unreadable or not loadable with what is installed.
    """
    from modelport.server.look import document, failure, look
    from modelport.server.stub import write

    given = resolve(flags)
    try:
        seen = look(file, given)
        written = [] if stub is None else write(file, given, stub)
    except ModelportError as error:
        if is_json:
            click.echo(failure(file, error))
        raise
    click.echo(document(seen) if is_json else _text(seen))
    for path in written:
        click.echo(f"wrote {path}; fill in its bodies, then add --code {stub}", err=True)
    click.get_current_context().exit(seen.exit_code)


def _text(seen: Look) -> str:
    from modelport.cli.text import aligned, size, some

    report, manifest = seen.report, seen.manifest
    sections: list[list[str]] = []
    if manifest is not None:
        facts = [("bundle", f"{manifest.name} version {manifest.version}")]
        facts += [(key, value) for key, value in (("route", manifest.route), ("greeting", manifest.greeting)) if value]
        facts += [(f"hook {name}", spec) for name, spec in manifest.hooks.items()]
        facts += [(f"resource {name}", path) for name, path in manifest.resources.items()]
        sections.append(aligned(facts))
    if report is not None:
        version = report.library_version or "(version not stored)"
        facts = [("kind", report.format), ("library", f"{report.library} {version}"), ("model", report.model)]
        sections.append(aligned([*facts, ("size", size(report.size_bytes)), ("sha256", report.sha256)]))
        steps = [(step.name, step.type, _parameters(step)) for step in report.steps]
        sections.append(["steps", *aligned(steps)] if steps else [])
    sections.append(_columns(seen))
    if report is not None and report.globals:
        lines = [f"imports  {some(_counts(seen), 5)}"]
        lines += aligned([(item.kind, item.name) for item in report.globals if item.kind not in ("known", "trusted")])
        sections.append(lines)
    sections.append(aligned([(key, value) for key, value in seen.outlook if value], indent=""))
    return "\n\n".join("\n".join(lines) for lines in [[str(seen.file)], *sections] if lines)


def _parameters(step: Step) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in step.parameters.items() if value is not None)


def _columns(seen: Look) -> list[str]:
    from modelport.cli.text import aligned, some
    from modelport.server.fields import field_lines

    report, schema = seen.report, seen.schema
    lines, facts = list[str](), list[tuple[str, str]]()
    if schema is not None:
        lines += field_lines("takes", schema.inputs, "all of them with --json")
        lines += field_lines("answers", schema.outputs, "all of them with --json")
    elif report is not None and report.features:
        facts.append(("takes  ", some(report.features, 12)))
    if classes := (schema.classes if schema is not None else ()) or (report.classes if report is not None else ()):
        facts.append(("classes", some(classes, 12)))
    return lines + aligned(facts)


def _counts(seen: Look) -> list[str]:
    kinds = [item.kind for item in seen.report.globals] if seen.report is not None else []
    return [f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)]
