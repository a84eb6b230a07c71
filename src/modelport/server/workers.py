"""The worker processes that a bundle gets under some settings; what every verb that loads a model shares."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

from modelport.bundle.snapshot import Snapshot
from modelport.config import Settings
from modelport.engine.adopting import Adopting, Adoption, Isolation
from modelport.engine.confinement import Confinement, Setting
from modelport.engine.executor import Executor, Listener, StartOriginal
from modelport.engine.pool import Pool, PoolSettings
from modelport.engine.probe import Compiled
from modelport.errors import LoadError
from modelport.formats.base import Options
from modelport.server import kept
from modelport.server.environments import HERE, Place
from modelport.server.staffing import cores


def options(settings: Settings) -> Options:
    """Return how a file may be read under these settings."""
    return Options(frozenset(settings.trust), tuple(Path(path) for path in settings.code), settings.architecture)


@dataclass(frozen=True, slots=True)
class Staff:
    """How many workers a bundle gets, where they run, and whether a throw-away process goes first.

    ``is_formed``: whether the workers answer from the model's form, which is in the file ``form`` or is to be made by each.
    ``fronts``: as many have such a staff each, and share the cores. ``shelf``: where forms are kept for this run only.
    """

    workers: int
    place: Place = HERE
    is_probed: bool = True
    is_formed: bool = False
    form: Path | None = None
    fronts: int = 1
    shelf: Path | None = None


def executor(snapshot: Snapshot, listener: Listener, settings: Settings, staff: Staff, key: str) -> Executor:
    """Return what will compute the version: the form that was kept for it, or workers that look for one.

    ``key``: of the version, for what is kept between starts.
    """
    if staff.place.interpreter is not None:
        return pool(snapshot, listener, settings, staff)

    def original(passed_on: Listener) -> Pool:
        return pool(snapshot, passed_on, settings, replace(staff, workers=1, is_probed=False))

    found = None if staff.is_probed else kept.find(key, staff.shelf)
    has_form = found is not None and bool(found.data)
    is_inline = settings.isolation != "process"
    path = snapshot.folder.path / "form"
    if has_form and _is_apart(found, settings, staff) and kept.share(key, path, staff.shelf):
        answering = pool(snapshot, listener, settings, replace(staff, is_formed=True, form=path))
        return Adopting(answering, Adoption(listener, original, partial(_renew, key, path, staff), "process"))
    if is_inline and (inline := _inline(found, listener, original)) is not None:
        return inline
    staff = replace(staff, is_probed=staff.is_probed or found is None or has_form, is_formed=not is_inline)
    workers = pool(snapshot, listener, settings, staff)
    isolation = cast("Isolation", settings.isolation)
    known = found if found is not None and not staff.is_probed else Compiled()
    return Adopting(workers, Adoption(listener, original, partial(kept.keep, key, folder=staff.shelf), isolation, known, staff.workers))


def _renew(key: str, path: Path, staff: Staff, made: Compiled) -> Compiled:
    """Keep what workers made in place of a form that does not open, for the next start and for workers that replace these."""
    found = kept.keep(key, made, staff.shelf)
    if found.data:
        kept.share(key, path, staff.shelf)
    return found


def _is_apart(found: Compiled | None, settings: Settings, staff: Staff) -> bool:
    """Whether worker processes answer from the form: if told so, if several answer more than one thread does, if hooks work around it."""
    if settings.isolation != "auto" or found is None:
        return settings.isolation == "process"
    from modelport.forms.program.form import load  # as in ``_inline``

    try:
        form = load(found.data)
    except LoadError:
        return False
    return form.is_part or (staff.workers > 1 and form.is_slow)


def _inline(found: Compiled | None, listener: Listener, original: StartOriginal) -> Executor | None:
    """Return what answers from the form that was kept; None where there is none, or it no longer holds and is to be made anew."""
    if found is None or not found.data:
        return None
    from modelport.engine.inline import Inline  # brings all operations of forms, which a front of workers need not have
    from modelport.forms.program.form import load, open_form

    try:
        form = load(found.data)
        return None if form.is_part else Inline(form, open_form(form), listener, original)
    except LoadError:
        return None


def pool(snapshot: Snapshot, listener: Listener, settings: Settings, staff: Staff) -> Pool:
    """Return the pool that will load what the snapshot holds; the workers' numeric libraries share the cores."""
    bundle, given = snapshot.bundle, snapshot.options
    workers = staff.workers
    is_here = staff.place.interpreter is None
    load: dict[str, object] = {
        "source": str(bundle.root if bundle.is_folder and is_here else bundle.artifact),
        "is_snapshot": True,
        "sha256": staff.place.sha256,
        "trust": sorted(given.trust),
        "code": [str(path) for path in given.code],
        "architecture": None if given.architecture is None else str(given.architecture),
        "debug": settings.debug,
        "compile": is_here,
        "adopt": staff.is_formed and is_here,
        "form": None if staff.form is None else str(staff.form),
        "form_at": kept.HEADER_BYTES,
    }
    asked = PoolSettings(
        workers,
        load,
        threads=max(1, cores() // (workers * staff.fronts)),
        load_timeout_s=settings.load_timeout,
        confinement=confinement(snapshot, settings),
        is_probed=staff.is_probed,
        interpreter=staff.place.interpreter,
    )
    return Pool(asked, listener)


def confinement(snapshot: Snapshot, settings: Settings) -> Confinement:
    """Return how the workers are held: they read the snapshot, what was too large for it, and what the manifest opens up."""
    opened = snapshot.bundle.manifest.sandbox
    read = (snapshot.folder.path, *snapshot.elsewhere, *(Path(path).expanduser() for path in opened.read))
    folder = snapshot.bundle.root if snapshot.bundle.is_folder else None
    return Confinement(cast("Setting", settings.sandbox), read, opened.environment, opened.network, opened.gpu, folder)
