"""Every value is data: names, labels, variables and paths come back from Dockerfiles, configs and layers as they went in, or not at all."""

from __future__ import annotations

import io
import json
import random
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport.errors import UnreadableFile, UsageError
from modelport.image.base import Base
from modelport.image.dockerfile import quoted, render
from modelport.image.layers import epoch, make, write_tar
from modelport.image.oci import config_of
from modelport.image.plan import Plan, check_values
from modelport.image.python import Python
from modelport.image.reference import parse
from modelport.image.store import Store, canonical
from modelport.image.tree import Entry, file, walk, with_parents

COUNT = 10_000
PIECES = (
    "$", "${", "}", "$(", "`", "\\", '"', "'", " ", "\t", "#", "# escape=`", "\\\\", '\\"', "\\$", "$HOME", "${HOME:-x}", "$(id)", "`id`",
    "&&", "|", ";", "<<EOF", "EOF", "FROM x", "RUN id", "USER root", "=", "--from=x", '["a"]', "{{.Env}}", "%s", "%0A", "\u2028", "\x85",
    "\u202e", "é", "漢", "🦀", "\x1b[2J", "\x7f", "\x01", "../", "/etc/passwd", "*", "?", "~", "!", "\ufeff", "\u00a0", "a", "Z", "0",
)  # fmt: skip
LINES = ("\n", "\r", "\r\n", "\0", "\nRUN id\n", "\ud800")
PLAN = Plan(
    Base("base", "linux/amd64", "", {}, (), ()), parse("localhost/x:1"), "linux/amd64", Python("/usr/bin/python3", (3, 11)), "m", "1", ""
)


def nasty(count: int, pieces: tuple[str, ...] = PIECES) -> list[str]:
    """Give texts of what shells, parsers and templates trip over; the same ones each time."""
    chance = random.Random(20_261_128)
    return ["".join(chance.choices(pieces, k=chance.randint(0, 12))) for _ in range(count)]


def lex(line: str) -> list[str]:
    """Read the words of an instruction as Docker's parser does: double quotes, and a backslash before what means something in them."""
    words, word, at, is_quoted = [], "", 0, False
    while at < len(line):
        char = line[at]
        if char == "\\" and is_quoted and at + 1 < len(line) and line[at + 1] in '\\"$':
            word += line[at + 1]
            at += 1
        elif char == "\\":
            raise AssertionError(f"a backslash of no meaning in {line!r}")
        elif char == '"':
            is_quoted = not is_quoted
        elif char == "$":
            raise AssertionError(f"a variable in {line!r}")
        elif char == " " and not is_quoted:
            words.append(word)
            word = ""
        else:
            word += char
        at += 1
    assert not is_quoted
    return [*words, word]


def test_ten_thousand_values_come_back_from_a_dockerfile() -> None:
    values = nasty(COUNT)
    for at in range(0, COUNT, 100):
        some = {f"V{number}": value for number, value in enumerate(values[at : at + 100])}
        text = render(replace(PLAN, environment=some, labels=some), "base")["Dockerfile"]
        lines = text.replace(" \\\n    ", " ").split("\n")
        assert len(lines) == 1 + 4 + 2 + 6 + 1
        for keyword in ("ENV", "LABEL"):
            line = next(line for line in lines if line.startswith(f"{keyword} "))
            assert dict(word.split("=", 1) for word in lex(line)[1:]) == some


@pytest.mark.slow
def test_podman_reads_a_dockerfile_of_nasty_values_as_they_were_meant(podman: object, tmp_path: Path) -> None:
    """The parser that matters: two thousand values, read back from the image."""
    labels = {f"V{number}": value for number, value in enumerate(nasty(2000)) if "\x01" not in value}
    text = render(replace(PLAN, environment=dict(list(labels.items())[:200]), labels=labels), "scratch")["Dockerfile"]
    (tmp_path / "Dockerfile").write_text("".join(f"{line}\n" for line in text.split("\n") if not line.startswith("ADD ")), encoding="utf-8")
    podman("build", "--quiet", "--network", "none", "--format", "docker", "--tag", "localhost/values:1", tmp_path)
    config = json.loads(podman("inspect", "localhost/values:1").stdout)[0]["Config"]
    found = {name: value for name, value in config["Labels"].items() if name in labels}
    assert found == labels
    environment = dict(item.split("=", 1) for item in config["Env"])
    assert {name: environment[name] for name in list(labels)[:200]} == dict(list(labels.items())[:200])
    assert config["User"] == "1000:1000"


def test_ten_thousand_values_come_back_from_an_image_s_config() -> None:
    values = nasty(COUNT, (*PIECES, "\n", "\r"))
    some = {f"V{number}": value for number, value in enumerate(values)}
    check_values(some, some)
    config = json.loads(canonical(config_of(replace(PLAN, environment=some, labels=some), [])))["config"]
    assert config["Labels"] == some
    assert dict(item.split("=", 1) for item in config["Env"] if item.startswith("V")) == some


@given(st.text(), st.sampled_from(LINES), st.text())
def test_what_would_end_a_line_is_refused_in_a_dockerfile(before: str, line: str, after: str) -> None:
    if any(char in line for char in "\n\r\0"):
        with pytest.raises(UsageError, match="more than one line"):
            quoted(before + line + after, "X")
    with pytest.raises(UsageError):
        check_values({"X": before + "\0" + after}, {})
    with pytest.raises(UsageError):
        check_values({}, {"x": before + "\ud800" + after})


@pytest.mark.parametrize("name", ["", "A-B", "1A", "A B", "A\n", "A=B", "$A", "é"])
def test_names_of_variables_are_an_allow_list(name: str) -> None:
    with pytest.raises(UsageError, match="--set"):
        check_values({name: ""}, {})


@pytest.mark.parametrize("name", ["", "a b", "a\n", "a=b", '"a"', "$a", ".a", "a" * 300])
def test_names_of_labels_are_an_allow_list(name: str) -> None:
    with pytest.raises(UsageError, match="--label"):
        check_values({}, {name: ""})


def test_ten_thousand_paths_come_back_from_a_layer() -> None:
    """Any byte that a file's name can have; what would mean something else in an image is refused."""
    chance = random.Random(7)
    entries: dict[str, Entry] = {}
    for number in range(COUNT):
        raw = bytes(chance.choices([*range(1, 46), *range(48, 256)], k=chance.randint(1, 120)))
        path = f"opt/{number}/" + raw.decode("utf-8", "surrogateescape")
        entries[path] = file(path, b"x")
    out = io.BytesIO()
    write_tar(with_parents(list(entries.values())), out, 0)
    out.seek(0)
    with tarfile.open(fileobj=out, encoding="utf-8", errors="surrogateescape") as archive:
        found = [member.name for member in archive if member.isreg()]
    assert sorted(found, key=lambda name: name.encode("utf-8", "surrogateescape")) == sorted(
        entries, key=lambda name: name.encode("utf-8", "surrogateescape")
    )


@pytest.mark.parametrize("path", ["", "/a", "a/../b", "../a", "a//b", "a/", ".", "a\0b", "a/" + "b" * 300, "/".join(["a" * 200] * 30)])
def test_paths_that_mean_something_else_are_refused(path: str) -> None:
    with pytest.raises(UsageError, match="is no path for an image"):
        file(path, b"")


@pytest.mark.parametrize("path", [".wh.passwd", "a/.wh..wh..opq", ".wh.a/b"])
def test_a_name_that_would_remove_files_of_the_base_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="removes files from an image"):
        file(path, b"")


def test_one_path_is_there_once() -> None:
    with pytest.raises(UsageError, match="would be twice"):
        with_parents([file("a", b""), file("a", b"")])
    with pytest.raises(UsageError, match="would be twice"):
        with_parents([file("a", b""), file("a/b", b"")])


@pytest.mark.parametrize("link", ["/etc/shadow", "../../outside", ".."])
def test_links_that_lead_out_of_the_folder_are_refused(tmp_path: Path, link: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x").symlink_to(link)
    with pytest.raises(UnreadableFile, match="outside of what goes into the image"):
        list(walk(tmp_path / "in", "opt"))


def test_links_within_stay_links_and_pipes_are_refused(tmp_path: Path) -> None:
    import os

    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").symlink_to("a")
    assert {(entry.path, entry.kind, entry.link) for entry in walk(tmp_path, "opt")} == {("opt/a", "file", ""), ("opt/b", "link", "a")}
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnreadableFile, match="neither a file nor a folder"):
        list(walk(tmp_path, "opt"))


def test_a_layer_follows_from_its_content_alone(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modes, times and the order of a folder are no part of it; SOURCE_DATE_EPOCH is."""
    import os

    folders = [tmp_path / "one", tmp_path / "two"]
    for folder, mode, names in zip(folders, (0o600, 0o644), (["b", "a", "é"], ["é", "a", "b"]), strict=True):
        folder.mkdir()
        for name in names:
            (folder / name).write_bytes(name.encode())
            (folder / name).chmod(mode)
            os.utime(folder / name, (mode, mode))
    first, second = (make(store, walk(folder, "opt"), 6) for folder in folders)
    assert first == second
    assert make(Store(tmp_path / "other"), walk(folders[0], "opt"), 6) == first
    assert make(store, walk(folders[0], "opt"), 1).diff_id == first.diff_id
    (folders[0] / "a").chmod(0o755)
    assert make(store, walk(folders[0], "opt"), 6) != first
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert make(store, walk(folders[1], "opt"), 6) != first
    assert [epoch({"SOURCE_DATE_EPOCH": text}) for text in ("5", "-1", "x", "")] == [5, 0, 0, 0]


def test_a_layer_is_kept_by_what_it_holds_and_made_anew_where_that_is_damaged(tmp_path: Path, store: Store) -> None:
    layer = make(store, [file("opt/a", b"1")], 6)
    store.path(layer.blob.digest).unlink()
    assert make(store, [file("opt/a", b"1")], 6) == layer
    for note in (store.root / "layers").iterdir():
        note.write_text("{")
    assert make(store, [file("opt/a", b"1")], 6) == layer
    with pytest.raises(UnreadableFile, match="cannot be read"):
        make(store, [Entry("opt/a", "file", tmp_path / "absent")], 6)


def test_a_file_that_changes_while_it_is_packed_is_noticed(tmp_path: Path, store: Store) -> None:
    from modelport.image.layers import compressed

    texts = iter([b"before", b"after!"])
    with pytest.raises(UnreadableFile, match="changed while its layer was being written"):
        compressed(store, lambda sink: sink.write(next(texts)), 6)


@pytest.mark.slow
def test_tar_itself_reads_the_names_that_were_written(tmp_path: Path, require_program: Callable[..., str]) -> None:
    """GNU tar lists the names that were written, byte for byte."""
    names = [f"opt/{number}{text.replace('/', '')}" for number, text in enumerate(nasty(300, (*PIECES, "\n")))]
    path = tmp_path / "x.tar"
    with path.open("wb") as out:
        write_tar(with_parents([file(name, b"") for name in names]), out, 0)
    line = [require_program("tar"), "--quoting-style=literal", "--null", "-tf", str(path)]
    listed = subprocess.run(line, capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}).stdout
    assert all(name.encode() in listed for name in names)
