"""The question before something is changed."""

from __future__ import annotations

import sys

import click

from modelport.errors import UsageError


def agree(question: str, *, is_agreed: bool) -> None:
    """Ask whether to go on; a no ends the command. Raises: UsageError where there is nobody to ask."""
    if is_agreed:
        return
    if not sys.stdin.isatty():
        raise UsageError("nothing was changed, as there is nobody to ask; say --yes to go on without being asked")
    click.confirm(question, abort=True)
