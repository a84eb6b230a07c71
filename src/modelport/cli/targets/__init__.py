"""The verbs that have targets, ``modelport deploy ecs FILE``: one module a target, with a command for each verb it knows."""

from __future__ import annotations

import importlib
from difflib import get_close_matches

import click

from modelport.deploy import TARGETS
from modelport.errors import MissingExtra, UsageError


class Targets(click.Group):
    """A verb whose first word is a target. The target's module is imported when it is named; its command is called as the verb."""

    def __init__(self, verb: str, text: str) -> None:
        super().__init__(verb, help=text, short_help=text, no_args_is_help=True, subcommand_metavar="TARGET …")
        self._verb = verb

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All targets that know the verb."""
        del ctx
        return [name for name, target in TARGETS.items() if self._verb in target.verbs]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the target's command for the verb; None if it has none. Raises: MissingExtra."""
        if cmd_name not in self.list_commands(ctx):
            return None
        target = TARGETS[cmd_name]
        try:
            found = getattr(importlib.import_module(target.commands), self._verb)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("modelport"):
                raise
            raise MissingExtra(
                f"the target {cmd_name} needs {error.name}, which is not installed; run: pip install 'modelport[{target.extra}]'"
            ) from error
        return found if isinstance(found, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the targets with a line each."""
        if names := self.list_commands(ctx):
            with formatter.section("Targets"):
                formatter.write_dl([(name, TARGETS[name].summary) for name in names])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the target. Raises: UsageError naming those that there are."""
        known = self.list_commands(ctx)
        if args[0] not in known:
            close = get_close_matches(args[0], known, n=1)
            hint = f"did you mean `modelport {self._verb} {close[0]}`?" if close else f"the targets are {', '.join(known)}"
            raise UsageError(f'"{args[0][:60]}" is no target of `modelport {self._verb}`; {hint}')
        return super().resolve_command(ctx, args)
