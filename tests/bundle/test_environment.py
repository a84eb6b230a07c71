"""Finding and making the environment of an old model."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from modelport.bundle import environment
from modelport.errors import LoadError, UsageError

sklearn = pytest.importorskip("sklearn")
HERE = sklearn.__version__


def test_an_interpreter_says_its_version_and_its_scikit_learn() -> None:
    facts = environment.ask(Path(sys.executable))
    assert facts == environment.Facts(sys.version_info[:3], HERE)


@pytest.mark.parametrize("path", ["/bin/false", "/bin/echo", "/no/such/python"])
def test_what_is_no_interpreter_says_nothing(path: str) -> None:
    assert environment.ask(Path(path)) is None


def test_a_named_interpreter_or_its_environments_folder_is_taken() -> None:
    assert environment.named(Path(sys.executable), HERE) == Path(sys.executable)
    assert environment.named(Path(sys.prefix), HERE) == Path(sys.prefix) / "bin" / "python"


@pytest.mark.parametrize(
    ("path", "written", "says"),
    [
        ("/no/such", "0.20.4", "there is no Python interpreter"),
        ("/bin/false", "0.20.4", "is no Python 3.6 or later with scikit-learn; install scikit-learn==0.20.4 there"),
        (sys.executable, "0.20.4", f"has scikit-learn {HERE}, the file was written by 0.20.4"),
    ],
)
def test_a_named_interpreter_that_does_not_match_is_refused_with_the_cure(path: str, written: str, says: str) -> None:
    with pytest.raises(UsageError, match="--env") as caught:
        environment.named(Path(path), written)
    assert says in caught.value.message


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and a PATH without anything but a link to the running interpreter's folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path


def test_an_installed_interpreter_of_the_right_version_is_used_as_it_is(bare: Path) -> None:
    said: list[str] = []
    assert environment.matching(HERE, said.append) == Path(sys.executable)
    assert said == [f"using {sys.executable}, which has scikit-learn {HERE}"]
    assert not (bare / "cache").exists()


def test_without_a_python_of_the_era_the_versions_that_would_do_are_named(bare: Path) -> None:
    with pytest.raises(LoadError, match=r"scikit-learn 0\.20\.4 runs on Python 3\.7 or 3\.6, and none of them is installed here"):
        environment.matching("0.20.4", print)
    assert not (bare / "cache").exists()


@pytest.mark.parametrize("written", ["0.17.1", "nonsense"])
def test_a_version_that_nothing_is_known_of_is_refused(bare: Path, written: str) -> None:
    with pytest.raises(UsageError, match="name an interpreter with --env PATH"):
        environment.matching(written, print)


def test_what_was_made_before_is_used_again(bare: Path) -> None:
    made = bare / "cache" / "modelport" / "environments" / "scikit-learn-0.20.4"
    made.mkdir(parents=True)
    (made / "modelport-environment.json").write_text(json.dumps({"packages": []}))
    assert environment.matching("0.20.4", print) == made / "bin" / "python"


def test_an_installation_that_fails_is_one_sentence_and_leaves_nothing_that_looks_made(bare: Path) -> None:
    """The Python found is one that cannot make virtual environments."""
    fake = bare / "bin" / "python3.7"
    fake.write_text('#!/bin/sh\ncase "$*" in *version_info*) echo 3 7;; *) echo "Error: no venv here" >&2; exit 1;; esac\n')
    fake.chmod(0o755)
    (bare / "bin" / "sh").symlink_to("/bin/sh")
    with pytest.raises(LoadError, match=r"could not be made: Error: no venv here; name an interpreter of your own with --env PATH"):
        environment.matching("0.20.4", lambda _: None)
    assert not list((bare / "cache").rglob("modelport-environment.json"))


def testinterpreters_are_found_on_path_and_in_pyenv(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bare / "bin" / "python3.9").touch()
    kept = bare / "pyenv" / "versions" / "3.8.1" / "bin"
    kept.mkdir(parents=True)
    (kept / "python").touch()
    monkeypatch.setenv("PATH", os.pathsep.join([str(bare / "bin"), str(bare / "pyenv" / "shims")]))
    assert list(environment.interpreters()) == [Path(sys.executable), bare / "bin" / "python3.9", kept / "python"]


def test_an_interpreter_says_where_it_and_its_packages_lie(tmp_path: Path) -> None:
    found = environment.interpreter(Path(sys.executable))
    assert found.program.samefile(sys.executable)
    assert {Path(sys.prefix), Path(sys.base_prefix)} <= set(found.places)
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    script.chmod(0o755)
    assert environment.interpreter(script).program.samefile(sys.executable)  # a script that finds a version, such as pyenv's


@pytest.mark.parametrize("path", ["/bin/false", "/bin/echo", "/no/such/python"])
def test_what_is_no_interpreter_has_no_place(path: str) -> None:
    with pytest.raises(LoadError, match="does not start as a Python interpreter"):
        environment.interpreter(Path(path))
