"""The command line as a whole: help, verbs, mistakes. An error is one sentence on standard error and an exit code."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from modelport import __version__
from modelport.cli import VERBS


def test_alone_it_shows_the_help_and_ends_like_a_mistake(modelport: Callable[..., object]) -> None:
    done = modelport()
    assert done.code == 2
    assert all(verb in done.err for verb in VERBS)


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_names_every_verb_and_the_exit_codes(modelport: Callable[..., object], flag: str) -> None:
    done = modelport(flag)
    assert done.code == 0
    assert all(text in done.out for text in (*VERBS.values(), "Exit codes"))


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(modelport: Callable[..., object], verb: str) -> None:
    done = modelport(verb, "--help")
    assert done.code == 0
    assert f"modelport {verb}" in done.out


def test_version(modelport: Callable[..., object]) -> None:
    assert modelport("--version").out.split()[-1] == __version__


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["srve"], "did you mean `modelport serve`"),
        (["zzz"], "the verbs are serve, inspect, predict, init"),
        (["missing.pkl"], "missing.pkl: there is no such file"),
        (["serve", "missing.pkl"], "missing.pkl: there is no such file"),
        (["serve", "--prot", "5"], "--port"),
        (["serve", "--port", "many", "x.pkl"], "--port must be a whole number, found 'many'"),
        (["serve", "--log-format", "xml", "x.pkl"], "xml"),
        (["inspect"], "missing argument 'FILE'; see `modelport inspect --help`"),
        (["predict"], "missing argument 'FILE'; see `modelport predict --help`"),
        (["init"], "missing argument 'FILE'; see `modelport init --help`"),
        (["inspect", "missing.pkl"], "there is no such file"),
        (["predict", "missing.pkl", "[1]"], "there is no such file"),
        (["init", "missing.pkl"], "there is no such file"),
        (["x" * 300], "neither a verb nor a file"),
        (["inspect", "x" * 300], "File name too long"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(modelport: Callable[..., object], arguments: list[str], said: str) -> None:
    done = modelport(*arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert done.err.startswith("modelport: ")
    assert done.err.count("\n") == 1


def test_without_a_file_serve_names_the_variable_or_says_what_to_give(modelport: Callable[..., object]) -> None:
    assert "nowhere.pkl" in modelport("serve", env={"MODELPORT_FILE": "nowhere.pkl"}).err


def test_a_reader_that_leaves_early_is_no_error_message(command: Path, toy: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run([command, "inspect", toy], stdout=write, stderr=subprocess.PIPE, timeout=60, check=False)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_loads_no_numpy(command: Path, verb: str) -> None:
    script = f"import sys\nfrom modelport.cli import main\nsys.argv = ['modelport', {verb!r}, '--help']\ntry:\n    main()\n"
    script += "except SystemExit:\n    sys.stderr.write(str('numpy' in sys.modules))\n"
    done = subprocess.run([command.with_name("python"), "-c", script], capture_output=True, timeout=60, check=True)
    assert done.stderr == b"False"
