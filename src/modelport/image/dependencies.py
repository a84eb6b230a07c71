"""The libraries of an image: resolved by pip for the image's Python and platform, fetched as wheels, trimmed, and kept by their lock.

pip runs as a process of its own and may have an index of the user's; nothing of what it fetches is executed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from modelport.errors import MissingExtra, TargetRefused
from modelport.image.bytecode import compile_folder, interpreter
from modelport.image.lock import Pin
from modelport.image.python import Python
from modelport.image.store import cache_folder, canonical
from modelport.image.trim import TRIMMED, trim

_TIMEOUT_S = 1800
_MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
# Oldest last. What a wheel for an older C library needs, a newer one has.
_GLIBC = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_26", "manylinux_2_24", "manylinux_2_17", "manylinux2014")
_OF_X86 = ("manylinux_2_12", "manylinux2010", "manylinux_2_5", "manylinux1")
_MUSL = ("musllinux_1_2", "musllinux_1_1")


def resolve(requirements: Sequence[str], python: Python, platform: str) -> tuple[Pin, ...]:
    """Return what pip would install. Raises: MissingExtra without pip; TargetRefused in pip's own words if it cannot be had."""
    with tempfile.TemporaryDirectory(prefix="modelport-image-") as folder:
        report, asked = Path(folder) / "report.json", Path(folder) / "requirements.txt"
        asked.write_text("".join(f"{item}\n" for item in requirements), encoding="utf-8")
        _pip(["--dry-run", "--ignore-installed", "--report", str(report), *_target(python, platform), "-r", str(asked)], folder, platform)
        listed = json.loads(report.read_bytes())["install"]
    pins = []
    for item in listed:
        named = item["metadata"]
        sha256 = item["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256", "")
        if not sha256:
            raise TargetRefused(f"the package index gives no SHA-256 of {named['name']} {named['version']}; use an index that does")
        pins.append(Pin(named["name"], named["version"], sha256))
    return tuple(sorted(pins))


@contextmanager
def installed(pins: Sequence[Pin], python: Python, platform: str) -> Iterator[Path]:
    """Give the folder with what is pinned: kept from an earlier build, or fetched now.

    Raises: as ``resolve``; TargetRefused if a wheel is not the pinned one.
    """
    program = interpreter(python.version)
    facts = [python.text, python.libc, platform, TRIMMED, program is not None, [[pin.name, pin.version, pin.sha256] for pin in pins]]
    place = cache_folder() / "libraries" / hashlib.sha256(canonical(facts)).hexdigest()
    if not place.is_dir():
        place.parent.mkdir(exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=place.parent) as folder:
            library = Path(folder) / "lib"
            library.mkdir()
            _install(pins, python, platform, library)
            trim(library)
            if program is not None:
                compile_folder(program, library, library)
            try:
                library.rename(place)
            except OSError:  # another build was faster
                if not place.is_dir():
                    raise
    yield place


def platform_tags(python: Python, platform: str) -> list[str]:
    """Return the tags of wheels that run there (packaging.python.org, "platform compatibility tags")."""
    machine = _MACHINES[platform]
    names = _MUSL if python.libc == "musl" else _GLIBC + (_OF_X86 if machine == "x86_64" else ())
    return [f"{name}_{machine}" for name in names]


def _install(pins: Sequence[Pin], python: Python, platform: str, library: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="modelport-image-") as folder:
        asked = Path(folder) / "lock.txt"
        asked.write_text("".join(f"{pin.name}=={pin.version} --hash=sha256:{pin.sha256}\n" for pin in pins), encoding="utf-8")
        arguments = ["--no-deps", "--require-hashes", "--no-compile", *_target(python, platform), "-r", str(asked)]
        _pip([*arguments, "--target", str(library)], folder, platform)
    shutil.rmtree(library / "bin", ignore_errors=True)  # scripts that start with the path of this machine's Python


def _target(python: Python, platform: str) -> list[str]:
    tags = [word for tag in platform_tags(python, platform) for word in ("--platform", tag)]
    return ["--only-binary", ":all:", "--implementation", "cp", "--python-version", python.text, *tags]


def _pip(arguments: list[str], folder: str, platform: str) -> None:
    # A target folder has to be named for foreign wheels even where nothing is written.
    target = [] if "--target" in arguments else ["--target", str(Path(folder) / "none")]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", *target, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TargetRefused(f"pip did not finish ({type(error).__name__}); look at the network, and try again") from error
    if done.returncode == 0:
        return
    if "No module named pip" in done.stderr:
        raise MissingExtra(f"fetching libraries takes pip, which {sys.executable} does not have; run: {sys.executable} -m ensurepip")
    errors = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    errors = [line for line in errors if line.startswith("No matching")] or [line for line in errors if not line.startswith("Ignored")]
    said = " ".join((errors or done.stderr.strip().splitlines() or ["no reason given"])[0].split())
    raise TargetRefused(
        f"pip finds no libraries for {platform}: {said[:300].rstrip('.')}; look at the network and the index, "
        "change requirements.txt, or take a --base with another Python"
    )
