"""Flags out of the table of settings, so that a setting is declared once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import click

from modelport.config import BY_NAME, Setting, Value, check

F = TypeVar("F", bound=Callable[..., object])


class _Checked(click.ParamType[Value]):
    """A value that the table of settings checks."""

    def __init__(self, setting: Setting) -> None:
        self.name = {"path": "PATH", "integer": "INTEGER", "number": "NUMBER"}.get(setting.kind, "TEXT")
        self._setting = setting

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Value:
        """Check it. Raises: UsageError naming the flag."""
        del param, ctx
        return check(self._setting, value, self._setting.flag)


def settings(names: Iterable[str]) -> Callable[[F], F]:
    """Add the named settings to a command as flags; one that is not given arrives as None (or an empty tuple)."""

    def decorate(function: F) -> F:
        for name in reversed(list(names)):
            function = _option(BY_NAME[name])(function)
        return function

    return decorate


def _option(setting: Setting) -> Callable[[F], F]:
    text = setting.help + _facts(setting)
    if setting.kind == "switch":
        return click.option(setting.flag, setting.name, is_flag=True, default=None, help=text)
    if setting.kind == "choice":
        return click.option(setting.flag, setting.name, type=click.Choice(list(setting.choices)), help=text)
    if setting.kind == "texts":
        return click.option(setting.flag, setting.name, multiple=True, help=text)
    return click.option(setting.flag, setting.name, type=_Checked(setting), help=text)


def _facts(setting: Setting) -> str:
    facts = [] if setting.default in (None, (), False) else [f"default {setting.default}{f' {setting.unit}' if setting.unit else ''}"]
    return f"  [{', '.join([*facts, setting.variable])}]"
