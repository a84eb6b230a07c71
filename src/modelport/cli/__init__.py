"""The command line: one file a verb, imported when the verb is called, so that ``--help`` stays instant."""

from __future__ import annotations

import importlib
import os
import sys
from difflib import get_close_matches
from pathlib import Path

import click

from modelport.errors import ModelportError, UsageError
from modelport.version import VERSION

VERBS: dict[str, str] = {
    "serve": "Serve a model file, bundle or folder as an HTTP API.",
    "inspect": "Read a model file without executing anything of it.",
    "predict": "Predict once, without a server.",
    "init": "Write the bundle folder that a model file stands for.",
    "convert": "Write a model as another kind of file, if that answers the same.",
    "image": "Build a container image, without Docker if need be.",
    "deploy": "Render, show and apply what runs a model elsewhere.",
    "status": "Say how a deployed model is doing.",
    "logs": "Show the last log lines of a deployed model.",
    "rollback": "Go back to what ran before.",
    "destroy": "Take a deployed model away, and all that was made for it.",
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
        first = args[0]
        if first in VERBS:
            return super().resolve_command(ctx, args)
        if "." in first or "/" in first or _is_there(first):
            return super().resolve_command(ctx, ["serve", *args])
        close = get_close_matches(first, VERBS, n=1)
        hint = f"did you mean `modelport {close[0]}`?" if close else f"the verbs are {', '.join(VERBS)}"
        raise UsageError(f'"{first[:60]}" is neither a verb nor a file; {hint}')


def _is_there(name: str) -> bool:
    try:
        return Path(name).exists()
    except OSError:  # a name that is too long
        return False


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True)
@click.version_option(VERSION, prog_name="modelport")
def group() -> None:
    """Turn a saved machine-learning model into a production HTTP API.

    `modelport FILE` is short for `modelport serve FILE`. A FILE is a model file or a bundle folder.
    Exit codes: 0 done, 1 a check or prediction failed, 2 unreadable or bad usage, 3 needs trust or refused,
    4 a target (registry, cloud, cluster) refused.
    """


def main() -> None:
    """Run the command line; an error is one sentence on standard error, its faults a line each, and an exit code."""
    try:
        code = group.main(standalone_mode=False)
    except ModelportError as error:
        click.echo(_sentence(error), err=True)
        code = error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        code = UsageError.exit_code
    except click.ClickException as error:
        click.echo(_usage(error), err=True)
        code = UsageError.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = 130  # as shells report a command ended by Ctrl-C
    except BrokenPipeError:  # whoever read the output has enough; Python must not try to flush it once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


def _sentence(error: ModelportError) -> str:
    if len(error.faults) < 2:
        return f"modelport: {error.message}"
    return "\n".join(["modelport: the data does not fit the model:", *(f"  {fault.message}" for fault in error.faults)])


def _usage(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context is not None else "modelport"
    message = error.format_message().strip().rstrip(".")
    return f"modelport: {message[:1].lower()}{message[1:]}; see `{path} --help`"
