"""The command line: one file a verb, imported when the verb is called, so that ``--help`` stays instant."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import click

from modelport import __version__
from modelport.errors import ModelportError

VERBS: dict[str, str] = {
    "serve": "Serve a model file, bundle or folder as an HTTP API.",
    "inspect": "Read a model file without executing anything of it.",
    "predict": "Predict once, without a server.",
    "init": "Write the bundle folder that a model file stands for.",
}
"""Verb to its line in the help; the verb's command is ``modelport.cli.<verb>:command``."""


class _Verbs(click.Group):
    """Imports a verb when it is called; ``modelport FILE`` is ``modelport serve FILE``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in VERBS:
            return None
        found = importlib.import_module(f"modelport.cli.{cmd_name}").command
        return found if isinstance(found, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and (Path(args[0]).exists() or "." in args[0] or "/" in args[0]):
            args = ["serve", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True)
@click.version_option(__version__, prog_name="modelport")
def group() -> None:
    """Turn a saved machine-learning model into a production HTTP API.

    `modelport FILE` is short for `modelport serve FILE`. A FILE is a model file or a bundle folder.
    Exit codes: 0 done, 1 a check or prediction failed, 2 unreadable or bad usage, 3 needs trust or refused.
    """


def main() -> None:
    """Run the command line; an error is one sentence on standard error and an exit code."""
    try:
        group.main(standalone_mode=False)
    except ModelportError as error:
        click.echo(f"modelport: {error.message}", err=True)
        sys.exit(error.exit_code)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
