"""What each of our layers holds: the model and the user's code from a snapshot, and the small files around them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from modelport.bundle.snapshot import Snapshot
from modelport.formats.base import Options
from modelport.image.places import CODE, MODEL, PORT, PROGRAM, SCRATCH, SHARE
from modelport.image.places import HEALTH as HEALTH_PROGRAM
from modelport.image.plan import artifact_name
from modelport.image.python import Python
from modelport.image.tree import Entry, file, walk

_LAUNCHER = """#!{python} -P
import os
import sys

from modelport.cli import main

# Where nothing of the file system may be written, memory holds the private copy of the model.
if "TMPDIR" not in os.environ and not any(os.access(place, os.W_OK) for place in ("/tmp", "/var/tmp")):
    os.environ["TMPDIR"] = "/dev/shm"
sys.argv[0] = "modelport"
main()
"""
_HEALTHCHECK = """#!{python} -IS
import http.client
import os
import sys

try:
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("MODELPORT_PORT", "{port}")), timeout=4)
    connection.request("GET", "/readyz")
    sys.exit(connection.getresponse().status != 200)
except (OSError, ValueError, http.client.HTTPException) as error:
    sys.exit(str(error))
"""


def model(snapshot: Snapshot, say: Callable[[str], None]) -> list[Entry]:
    """Return the model: a bundle's folder as it is, or an artifact with what belongs to it.

    What the snapshot could not take in, as it is large and nothing names it, is left out and told to ``say``.
    """
    bundle = snapshot.bundle
    left_out = {str(path) for path in snapshot.elsewhere}
    place = MODEL.lstrip("/")
    entries = [
        _renamed(entry, snapshot, place) for entry in walk(bundle.root, place, lambda name: not _leads(bundle.root / name, left_out))
    ]
    for path in sorted(left_out):
        say(f"left out {path}, which is large and which model.toml does not name; name it in [resources] if the model needs it")
    return entries


def code(snapshot: Snapshot, options: Options) -> list[Entry]:
    """Return the user's own modules (``--code``) and the architecture of a weights-only file."""
    entries: list[Entry] = []
    for at, given in enumerate(snapshot.options.code):
        folder = given if options.code[at].is_dir() else given.parent
        entries += walk(folder, f"{CODE.lstrip('/')}/{at}", lambda name: "__pycache__" not in name.split("/"))
    if snapshot.options.architecture is not None:
        entries.append(Entry(f"{CODE.lstrip('/')}/architecture.json", "file", snapshot.options.architecture))
    return entries


def code_names(snapshot: Snapshot, options: Options) -> tuple[str, ...]:
    """Return where the user's code lies below the folder for it; of a single file its own name."""
    return tuple(f"{at}" if options.code[at].is_dir() else f"{at}/{path.name}" for at, path in enumerate(snapshot.options.code))


def programs(python: Python, documents: dict[str, bytes]) -> list[Entry]:
    """Return what starts the service and asks for its health, and documents for whoever looks inside."""
    launcher, health = _LAUNCHER.format(python=python.path), _HEALTHCHECK.format(python=python.path, port=PORT)
    found = [
        file(PROGRAM.lstrip("/"), launcher.encode(), is_executable=True),
        file(HEALTH_PROGRAM.lstrip("/"), health.encode(), is_executable=True),
    ]
    # A base may lack it, or have it for root alone; a volume that is mounted over it gets its mode.
    return [*found, Entry(SCRATCH.lstrip("/"), "folder", is_shared=True), *shared(documents)]


def shared(documents: dict[str, bytes]) -> list[Entry]:
    """Return documents as entries in the folder for them."""
    return [file(f"{SHARE.lstrip('/')}/{name}", content) for name, content in documents.items()]


def _renamed(entry: Entry, snapshot: Snapshot, place: str) -> Entry:
    bundle = snapshot.bundle
    if bundle.is_folder or bundle.artifact is None or entry.path != f"{place}/{bundle.artifact.name}":
        return entry
    return Entry(f"{place}/{artifact_name(bundle)}", entry.kind, entry.source, entry.link, entry.is_executable)


def _leads(path: Path, left_out: set[str]) -> bool:
    """Whether a path is a link of the snapshot to something that is too large for it."""
    return path.is_symlink() and str(path.readlink()) in left_out
