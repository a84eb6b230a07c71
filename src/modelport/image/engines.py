"""docker and podman as programs: the second way to build, from a generated Dockerfile and archives laid beside it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from modelport.errors import MissingExtra, TargetRefused
from modelport.image.order import Order
from modelport.image.reference import Reference

_TIMEOUT_S = 3600
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class EngineProgram:
    """``docker`` or ``podman``. Everything it is told goes as a list of arguments."""

    def __init__(self, name: str, say: Callable[[str], None]) -> None:
        self.name = name
        self._say = say

    def exported(self, reference: str, platform: str, path: Path) -> None:
        """Save an image that the engine has, or pulls, as an archive. Raises: TargetRefused, MissingExtra."""
        if not self._ok("image", "inspect", reference):
            self._say(f"{self.name} pulls {reference}")
            self.run("pull", "--quiet", "--platform", platform, reference)
        self.run("save", "--output", str(path), reference)

    def loaded(self, path: Path) -> None:
        """Load an image out of an archive."""
        self.run("load", "--quiet", "--input", str(path))

    def build(self, folder: Path, tag: Reference, platform: str) -> str:
        """Build the Dockerfile in a folder, without a network; returns the image's ID."""
        note = folder.with_name("image-id")
        arguments = ["--quiet", "--network", "none", "--platform", platform, "--iidfile", str(note), "--tag", tagged(tag)]
        if self.name == "podman":
            # OCI's format has no health check; docker's does, and everybody reads it.
            arguments += ["--format", "docker", "--pull=never"]
        self.run("build", *arguments, str(folder))
        found = _DIGEST.search(note.read_text(encoding="utf-8"))
        return found[0] if found else ""

    def output(self, order: Order, tag: Reference) -> None:
        """Write what was built to where the order says."""
        if order.output.startswith("oci:"):
            if self.name == "docker":
                raise TargetRefused("docker writes no OCI layout; use --output FILE.tar, or --engine native")
            self.run("push", "--quiet", tagged(tag), f"{order.output}:{tag.tag or 'latest'}")
        elif self.name == "podman":
            self.run("save", "--quiet", "--format", "docker-archive", "--output", order.output, tagged(tag))
        else:
            self.run("save", "--output", order.output, tagged(tag))

    def push(self, tag: Reference, folder: Path, *, is_insecure: bool) -> str:
        """Push with the engine's own login; returns the digest of the manifest."""
        if self.name == "podman":
            note = folder / "digest"
            insecure = ["--tls-verify=false"] if is_insecure else []
            self.run("push", "--quiet", *insecure, "--digestfile", str(note), tagged(tag))
            return note.read_text(encoding="utf-8").strip()
        self.run("push", "--quiet", tagged(tag))
        for text in _loaded(self.run("image", "inspect", "--format", "{{json .RepoDigests}}", tagged(tag))):
            if text.startswith((f"{tag.name}@", f"{tag.path.removeprefix('library/')}@")):
                return text.partition("@")[2]
        raise TargetRefused(f"docker pushed {tagged(tag)} and does not say its digest; ask it with docker image inspect")

    def run(self, *arguments: str) -> str:
        """Run it; returns what it prints. Raises: MissingExtra if it is not there, TargetRefused in its own words if it fails."""
        try:
            done = subprocess.run(
                [self.name, *arguments], capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False
            )
        except FileNotFoundError as error:
            raise MissingExtra(f"{self.name} is not installed; install it, or use --engine native, which needs neither") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise TargetRefused(f"{self.name} {arguments[0]} did not finish ({type(error).__name__}); try again") from error
        if done.returncode != 0:
            lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
            said = next((line for line in reversed(lines) if "rror" in line), lines[-1] if lines else "no reason given")
            raise TargetRefused(f"{self.name} {arguments[0]} refused: {said[:300].rstrip('.')}; correct that, or use --engine native")
        return done.stdout

    def _ok(self, *arguments: str) -> bool:
        try:
            self.run(*arguments)
        except TargetRefused:
            return False
        return True


def tagged(tag: Reference) -> str:
    """Return name and tag; names without a host stay on this machine only if it is said so, and are docker's hub else."""
    return f"{tag.name}:{tag.tag or 'latest'}"


def _loaded(text: str) -> list[str]:
    try:
        found: object = json.loads(text)
    except ValueError:
        return []
    return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []


def context(folder: Path, texts: Mapping[str, str]) -> None:
    """Write a build context's texts."""
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
