"""The documentation tells the truth: commands that exist, links that lead somewhere, reference pages as the code has them."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from modelport import errors
from modelport.cli import group
from modelport.config import SETTINGS
from modelport.telemetry.metrics import METRICS

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("benchmarks/*.md"), *ROOT.glob("examples/*/*.md")])
REFERENCE = ROOT / "docs" / "reference"
CODE = re.compile(r"^(?:```|~~~).*?^(?:```|~~~)|`[^`\n]+`|^(?: {4}|\t)[^\n]+$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")


def _named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _code(path: Path) -> str:
    """Everything of a page that stands as code: fenced, indented or in backticks."""
    return "\n".join(re.findall(CODE, path.read_text(encoding="utf-8")))


def _commands() -> dict[str, click.Command]:
    context = click.Context(group, info_name="modelport")
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def _flags(command: click.Command) -> set[str]:
    return {flag for param in command.params for flag in (*param.opts, *param.secondary_opts)} | {"--help"}


def _command(command: click.Command, words: list[str]) -> click.Command:
    """Give the command of a target, where the verb has targets and one is named."""
    named = command.get_command(click.Context(command), words[0]) if isinstance(command, click.Group) and words else None
    return command if named is None else named


def _anchors(path: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", PAGES, ids=_named)
def test_links_between_files_lead_somewhere(path: Path) -> None:
    broken = []
    for link in LINK.findall(CODE.sub("", path.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in _anchors(file)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("path", PAGES, ids=_named)
def test_commands_and_flags_that_are_shown_exist(path: Path) -> None:
    """Every `modelport VERB --flag …` in code: the verb is a command, or a file for the short form, and the verb has the flags."""
    commands = _commands()
    wrong = []
    for line in re.findall(r"(?:^|[\s`$])modelport +([^\n`|;&]+)", _code(path).replace("\\\n", " ")):
        verb, *rest = line.split("  #")[0].split()
        if not re.fullmatch(r"[a-z]+", verb):
            verb = "serve"
        known = _flags(_command(commands[verb], rest)) if verb in commands else set()
        wrong += [(line, word) for word in rest if re.fullmatch(r"--[a-z][a-z-]*(=.*)?", word) and word.split("=")[0] not in known]
        wrong += [] if verb in commands else [(line, verb)]
    assert wrong == []


@pytest.mark.parametrize("path", PAGES, ids=_named)
def test_make_targets_that_are_shown_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?m)(?:^\s*|`)make ([a-z]+)", _code(path))) <= targets


def test_the_reference_pages_are_what_the_code_would_write() -> None:
    done = subprocess.run([sys.executable, ROOT / "tools" / "reference.py", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_error_code_is_documented() -> None:
    text = (REFERENCE / "errors.md").read_text(encoding="utf-8")
    codes = {kind.code for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, errors.ModelportError)}
    assert {code for code in codes if f"| `{code}` |" not in text} == set()


def test_every_setting_is_documented_with_its_flag_and_variable() -> None:
    text = (REFERENCE / "settings.md").read_text(encoding="utf-8")
    assert {setting.name for setting in SETTINGS if f"| `{setting.flag}` | `{setting.variable}` |" not in text} == set()


def test_every_metric_is_documented() -> None:
    text = (REFERENCE / "metrics.md").read_text(encoding="utf-8")
    assert {metric.name for metric in METRICS if f"| `{metric.name}` |" not in text} == set()


def test_every_command_and_flag_is_documented() -> None:
    text = (REFERENCE / "cli.md").read_text(encoding="utf-8")
    commands = {name: command for name, command in _commands().items() if not command.hidden}
    assert {name for name in commands if f"## `modelport {name}`" not in text} == set()
    flags = {param.opts[0] for command in commands.values() for param in command.params if isinstance(param, click.Option)}
    assert {flag for flag in flags if f"`{flag}`" not in text} == set()
