"""Writes docs/reference/: the settings, metrics, error codes and commands, each from the code that defines it.

`python tools/reference.py` writes the pages; with `--check` it writes nothing and ends with 1 when a page is not current.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from modelport import errors

FOLDER = Path(__file__).parent.parent / "docs" / "reference"
NOTE = "<!-- Written by `make docs` from {source}; change it there. -->"

ANSWER = """An answer of type `application/problem+json` with the code and the status, and a list `faults` where several things are wrong.
*Again* says whether the same request may be sent again."""

SETTINGS_HEAD = """What `modelport serve` can be told, in three places: as a flag, as an environment variable, as a key of the table
`[serve]` in a bundle's `model.toml`. A flag wins over the environment, that over the file, and that over the default."""


def page(title: str, source: str, blocks: Iterable[str]) -> str:
    """Join a page's parts with one empty line between them."""
    return "\n\n".join([f"# {title}", NOTE.format(source=source), *blocks]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Draw a Markdown table; a bar or line break inside a cell cannot break it."""
    cells = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in [list(head), ["---"] * len(head), *cells])


def code(text: str) -> str:
    """Show text as code, or nothing where there is none."""
    return f"`{text}`" if text else ""


def said(thing: object) -> str:
    """Give a docstring as Markdown."""
    return (inspect.getdoc(thing) or "").replace("``", "`")


def errors_page() -> str:
    """List every class of the error tree: its code, status and exit code, in the order of the source."""
    classes = [
        kind
        for kind in vars(errors).values()
        if inspect.isclass(kind) and issubclass(kind, errors.ModelportError) and kind is not errors.ModelportError
    ]
    # A file's way never crosses the wire: a command ends with these.
    of_files = [kind for kind in classes if kind.exit_code != errors.ModelportError.exit_code or kind is errors.LoadError]
    answers = [
        (code(kind.code), str(kind.status), "yes" if kind.retryable else "no", said(kind)) for kind in classes if kind not in of_files
    ]
    internal = (
        code(errors.ModelportError.code),
        str(errors.ModelportError.status),
        "no",
        "A fault of the server itself; its log has the details.",
    )
    endings = [(code(kind.code), str(kind.exit_code), said(kind)) for kind in of_files]
    return page(
        "Errors",
        "`modelport.errors`",
        [
            "Codes are stable: programs may rely on them. Messages are for people and may change.",
            "## What a client gets",
            ANSWER,
            table(("code", "status", "again", "meaning"), [*answers, internal]),
            "## How a command ends",
            "`0` is success. `1` is a failed check or prediction.",
            table(("code", "exit code", "meaning"), endings),
        ],
    )


def settings_page() -> str:
    """List every setting of `serve`: flag, variable, key, default, meaning."""
    from modelport.config import SETTINGS

    rows = []
    for setting in SETTINGS:
        default = "" if setting.default in (None, ()) else str(setting.default)
        shown = {"switch": default.lower()}.get(setting.kind, default)
        facts = [setting.help, f"One of {', '.join(map(code, setting.choices))}." if setting.choices else ""]
        facts.append(f"At least {setting.minimum:g}." if setting.minimum is not None else "")
        rows.append(
            (code(setting.flag), code(setting.variable), code(setting.name), code(shown), setting.unit, " ".join(filter(None, facts)))
        )
    return page(
        "Settings", "`modelport.config`", [SETTINGS_HEAD, table(("flag", "environment", "key", "default", "unit", "meaning"), rows)]
    )


def metrics_page() -> str:
    """List every metric that `/metrics` answers."""
    from modelport.telemetry.metrics import METRICS

    rows = [(code(m.name), m.kind, m.unit, ", ".join(map(code, m.labels)), m.help) for m in METRICS]
    buckets = [f"`{m.name}` has the buckets {', '.join(f'{bound:g}' for bound in m.buckets)}." for m in METRICS if m.buckets]
    return page(
        "Metrics",
        "`modelport.telemetry.metrics`",
        [
            "`GET /metrics` answers these in Prometheus's text format.",
            table(("metric", "type", "unit", "labels", "meaning"), rows),
            *buckets,
        ],
    )


def option_row(option: click.Option) -> tuple[str, str]:
    """Describe one option of a command; its help already names default and environment variable."""
    spelled = ", ".join(code(name) for name in (*option.opts, *option.secondary_opts))
    choices = "|".join(map(str, option.type.choices)) if isinstance(option.type, click.Choice) else ""
    return f"{spelled} {code(choices)}".strip(), option.help or ""


def command_blocks(name: str, command: click.Command) -> list[str]:
    """Describe one command: usage line, help, options."""
    usage = " ".join([name, *command.collect_usage_pieces(click.Context(command, info_name=name))])
    options = [option_row(param) for param in command.params if isinstance(param, click.Option) and not param.hidden]
    return [f"## `{name}`", f"    {usage}", inspect.cleandoc(command.help or ""), table(("option", "meaning"), options)]


def cli_page() -> str:
    """List every command with its options, from the command tree that runs."""
    from modelport.cli import group as root

    context = click.Context(root, info_name="modelport")
    blocks = [inspect.cleandoc(root.help or "")]
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        if command is not None and not command.hidden:
            blocks += command_blocks(f"modelport {name}", command)
        if isinstance(command, click.Group):  # a verb that has targets
            inner = click.Context(command, info_name=f"modelport {name}", parent=context)
            found = {target: command.get_command(inner, target) for target in command.list_commands(inner)}
            blocks += [block for target, each in found.items() if each for block in command_blocks(f"modelport {name} {target}", each)]
    return page("Commands", "`modelport.cli`", blocks)


PAGES = {"cli.md": cli_page, "errors.md": errors_page, "metrics.md": metrics_page, "settings.md": settings_page}


def main() -> int:
    """Write the pages, or compare them with what is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page is not current")
    only_check = parser.parse_args().check
    FOLDER.mkdir(parents=True, exist_ok=True)
    stale = []
    for name, make in PAGES.items():
        path = FOLDER / name
        text = make()
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not only_check:
                path.write_text(text, encoding="utf-8")
    if only_check and stale:
        print(f"docs/reference is not current: {', '.join(stale)}. Run make docs and commit what it writes.", file=sys.stderr)
        return 1
    print(f"docs/reference: {len(PAGES)} pages, {'current' if only_check or not stale else 'written: ' + ', '.join(stale)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
