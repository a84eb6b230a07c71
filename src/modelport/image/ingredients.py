"""Everything that a build takes from this machine, gathered once: the model's snapshot, its libraries by lock, the base."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from modelport import formats
from modelport.bundle.folder import Bundle, open_bundle
from modelport.bundle.snapshot import Snapshot, take
from modelport.errors import NeedsTrust, RefusedFile, UnreadableFile, UsageError
from modelport.formats.base import Options, Report
from modelport.image import dependencies, needs
from modelport.image import lock as locks
from modelport.image.base import Base
from modelport.image.contents import code, code_names, model, programs, shared
from modelport.image.lock import Lock
from modelport.image.order import Order
from modelport.image.own import digest as own_digest
from modelport.image.own import entries as own_entries
from modelport.image.places import LIBRARY
from modelport.image.plan import Plan, Subject, plan
from modelport.image.python import Python, find
from modelport.image.reference import parse
from modelport.image.sbom import bill, predicate
from modelport.image.store import Store, canonical
from modelport.image.tree import Entry, walk

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Model:
    """The model as it goes into every platform's image. ``options``: as the order gave them."""

    snapshot: Snapshot
    report: Report | None
    options: Options

    @property
    def subject(self) -> Subject:
        """What plans are made of."""
        return Subject(self.snapshot.bundle, self.report, self.snapshot.sha256, code_names(self.snapshot, self.options))


@contextmanager
def opened(order: Order) -> Iterator[Model]:
    """Give the model, copied once and read without executing anything of it.

    Raises: UnreadableFile, ManifestError, MissingExtra; NeedsTrust or RefusedFile if the server would not load it.
    """
    with take(open_bundle(order.file), order.options) as snapshot:
        yield Model(snapshot, _report(snapshot.bundle, snapshot.options), order.options)


def planned(order: Order, model: Model, base: Base, store: Store) -> Plan:
    """Return the plan for one platform, its libraries not yet found. Raises: TargetRefused if the base has no Python for us."""
    return plan(order, base, find(base, store), model.subject, parse(order.tag))


def locked(order: Order, model: Model, plans: list[Plan], say: Say) -> list[Plan]:
    """Return the plans with their libraries: of the lock that is given and there, else resolved now, and then written to it.

    Raises: UsageError for a lock of another Python or without the platform; MissingExtra, TargetRefused of pip.
    """
    python = plans[0].python
    if any(item.python.version != python.version for item in plans):
        raise UsageError("the base has another Python for each platform, which one lock cannot serve; build them one at a time")
    if order.lock is not None and order.lock.exists():
        lock = locks.read(order.lock)
        _check(lock, order, python)
        say(f"libraries as {order.lock} names them")
    else:
        asked = needs.requirements(model.snapshot.bundle, model.report)
        pins = {}
        for item in plans:
            say(f"finding libraries for Python {python.text} on {item.platform}")
            pins[item.platform] = dependencies.resolve(asked, item.python, item.platform)
        lock = Lock(python.text, asked, pins)
        _write(order.lock, lock)
    return [replace(item, pins=lock.pins[item.platform]) for item in plans]


@contextmanager
def layers(plan: Plan, model_: Model, say: Say) -> Iterator[dict[str, list[Entry]]]:
    """Give the entries of our layers, by their names, in their order."""
    with dependencies.installed(plan.pins, plan.python, plan.platform) as library, own_entries(plan.python.version) as own:
        _warn(model_.snapshot.bundle, library, say)
        lock = Lock(plan.python.text, (), {plan.platform: plan.pins})
        documents = {"lock.json": lock.to_json(), "sbom.cdx.json": bill(plan)}
        yield {
            "dependencies": list(walk(library, LIBRARY.lstrip("/"))),
            "modelport": [*own, *shared(documents)],
            "model": [*model(model_.snapshot, say), *code(model_.snapshot, model_.options)],
            "config": programs(plan.python, {"provenance.json": canonical(predicate(plan, own_digest()))}),
        }


def _report(bundle: Bundle, options: Options) -> Report | None:
    if bundle.artifact is None:
        return None
    pinned = () if bundle.manifest.artifact is None or not bundle.is_folder else bundle.manifest.artifact.trust
    report = formats.inspect(bundle.artifact, replace(options, trust=options.trust | frozenset(pinned)))
    name = bundle.artifact.name
    if report.verdict == "needs_trust":
        raise NeedsTrust(f"{name}: {report.problem}; {report.cure}")
    if report.verdict == "refused":
        raise RefusedFile(f"{name}: {report.problem}")
    if report.plan == "none":
        raise UnreadableFile(f"{name}: would not be served ({report.problem.rstrip('.')}); {report.cure or 'serve it here first'}")
    return report


def _check(lock: Lock, order: Order, python: Python) -> None:
    if lock.python != python.text:
        raise UsageError(
            f"--lock {order.lock}: is for Python {lock.python}, the base has {python.text}; remove the file, and it is made anew"
        )
    if missing := [platform for platform in order.platforms if platform not in lock.pins]:
        raise UsageError(f"--lock {order.lock}: names no libraries for {missing[0]}; remove the file, and it is made anew")


def _write(path: Path | None, lock: Lock) -> None:
    if path is None:
        return
    try:
        path.write_bytes(lock.to_json())
    except OSError as error:
        raise UsageError(f"--lock {path}: cannot be written ({error.strerror}); give a file that you may write") from error


def _warn(bundle: Bundle, library: Path, say: Say) -> None:
    """Tell of modules that hooks import and nothing in the image holds."""
    for module, name in needs.imported(bundle).items():
        if not any((library / found).exists() for found in (module, f"{module}.py")) and not any(library.glob(f"{module}.*.so")):
            say(f"warning: {name} imports {module}, which is not in the image; name its distribution in requirements.txt")
