"""Building an image from an order: planned, assembled, written out, pushed."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from modelport.image.base import Base, check_platform, open_base
from modelport.image.dockerfile import LAYERS, render
from modelport.image.engines import EngineProgram, context, tagged
from modelport.image.ingredients import Model, layers, locked, opened, planned
from modelport.image.layers import epoch, make, write_tar
from modelport.image.oci import Image, assemble, join, write_archive, write_layout
from modelport.image.order import Built, Order
from modelport.image.order import Layer as Shown
from modelport.image.own import digest as own_digest
from modelport.image.plan import Plan, check_order
from modelport.image.push import Push
from modelport.image.python import Python
from modelport.image.reference import Reference, parse
from modelport.image.registry import Registry
from modelport.image.store import Descriptor, Store, cache_folder
from modelport.image.tree import with_parents
from modelport.version import VERSION

DEFAULT_BASE = f"docker.io/library/python:{sys.version_info.major}.{sys.version_info.minor}-slim"
"""With the Python that runs here, as the model was tried with it."""
_NO_PYTHON = Python("", (0, 0))
_PLAIN = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")

Say = Callable[[str], None]


def silent(text: str) -> None:
    """Say nothing."""
    del text


def build(order: Order, say: Say = silent) -> Built:
    """Build the image that is ordered; write it to ``order.output`` and push it to ``order.tag`` where that is asked for.

    Give what came of it: ``.reference`` is by digest once it is pushed, ``.digest`` its sha256. ``say`` is told of each step.
    Nothing of the model file is executed. Same order, same base, same lock: same digest.
    Raises: UsageError for an order that cannot be; UnreadableFile, ManifestError, NeedsTrust or RefusedFile of the model file;
    MissingExtra if pip (or boto3, cryptography where they are needed) is missing; TargetRefused with the words of the
    registry, of pip or of the engine that refused.
    """
    check_order(order)
    tag = parse(order.tag)
    for platform in order.platforms:
        check_platform(platform)
    store = Store(cache_folder())
    with opened(order) as model:
        if order.engine == "native":
            return _native(order, model, store, say)
        with tempfile.TemporaryDirectory(prefix="modelport-image-") as folder:
            return _by_engine(order, model, (store, Path(folder)), tag, say)


def dockerfile(order: Order, say: Say = silent) -> str:
    """Return the Dockerfile of an order, and build nothing. Raises: as ``build``."""
    for platform in order.platforms:
        check_platform(platform)
    store = Store(cache_folder())
    with opened(order) as model:
        base = open_base(order.base or DEFAULT_BASE, order.platforms[0], store, order.access, order.level)
        plan = planned(order, model, base, store)
        say(f"it expects {', '.join(f'{name}.tar' for name in LAYERS)} beside it, as --engine docker and podman lay them out")
        return render(plan, _from(order, base))["Dockerfile"]


def _native(order: Order, model: Model, store: Store, say: Say) -> Built:
    plans = []
    for platform in order.platforms:
        say(f"reading the base {order.base or DEFAULT_BASE} for {platform}")
        base = open_base(order.base or DEFAULT_BASE, platform, store, order.access, order.level)
        plans.append(planned(replace(order, platforms=(platform,)), model, base, store))
    images = [_image(order, plan, model, store, say) for plan in locked(order, model, plans, say)]
    top = join(store, images)
    built = _built(order, images, top)
    if order.output:
        say(f"writing {order.output}")
        if order.output.startswith("oci:"):
            write_layout(store, images, top, Path(order.output.removeprefix("oci:")))
        else:
            write_archive(store, images, top, Path(order.output))
    return _pushed(order, images, top, store, say) if order.is_pushed else built


def _image(order: Order, plan: Plan, model: Model, store: Store, say: Say) -> Image:
    made = []
    with layers(plan, model, say) as trees:
        for name, entries in trees.items():
            say(f"packing {name} for {plan.platform}")
            made.append((name, make(store, entries, order.level)))
    return assemble(store, plan, made)


def _pushed(order: Order, images: list[Image], top: Descriptor, store: Store, say: Say) -> Built:
    tag = images[0].plan.tag
    say(f"pushing to {tag}")
    registry = Registry(tag, order.access)
    try:
        push = Push(registry, store, tag, say)
        push.images(images, top)
        push.documents(images, own_digest())
        if order.sign_key is not None:
            push.signature(top, order.sign_key)
    finally:
        registry.close()
    built = _built(order, images, top)
    return replace(built, reference=f"{tag.name}@{top.digest}", sent_bytes=push.done.sent, kept_bytes=push.done.kept)


def _built(order: Order, images: list[Image], top: Descriptor) -> Built:
    tag = images[0].plan.tag
    shown = tuple(Shown(name, layer.blob.digest, layer.blob.size) for name, layer in images[0].layers)
    return Built(str(tag), top.digest, str(tag), order.platforms, shown, output=order.output)


def _by_engine(order: Order, model: Model, places: tuple[Store, Path], tag: Reference, say: Say) -> Built:
    """Build by docker or podman: the same layers as archives, the same settings as a Dockerfile."""
    store, folder = places
    engine = EngineProgram(order.engine, say)
    base = _engine_base(order, engine, store, folder)
    plan = locked(order, model, [planned(order, model, base, store)], say)[0]
    (folder / "context").mkdir()
    context(folder / "context", render(plan, _from(order, base)))
    sizes = []
    with layers(plan, model, say) as trees:
        for name, entries in trees.items():
            say(f"laying out {name}")
            path = folder / "context" / f"{name}.tar"
            with path.open("wb") as file:
                write_tar(with_parents(entries), file, epoch())
            sizes.append(Shown(name, "", path.stat().st_size))
    say(f"{order.engine} builds {tagged(tag)}")
    digest = engine.build(folder / "context", tag, plan.platform)
    built = Built(str(tag), digest, str(tag), order.platforms, tuple(sizes), output=order.output)
    if order.output:
        engine.output(order, tag)
    if order.is_pushed:
        say(f"{order.engine} pushes {tagged(tag)}")
        digest = engine.push(tag, folder, is_insecure=order.access.is_insecure or tag.host.startswith(("127.", "localhost")))
        built = replace(built, digest=digest, reference=f"{tag.name}@{digest}")
    return built


def _engine_base(order: Order, engine: EngineProgram, store: Store, folder: Path) -> Base:
    """Open the base as the engine has it; one that lies in files is given to the engine."""
    name, platform = order.base or DEFAULT_BASE, order.platforms[0]
    if not name.startswith("oci:") and not name.endswith(_PLAIN):
        engine.exported(name, platform, folder / "base.tar")
        base = open_base(str(folder / "base.tar"), platform, store, order.access, 1)
        return replace(base, name=name)
    base = open_base(name, platform, store, order.access, 1)
    tag = parse(_from(order, base))
    plan = Plan(base, tag, platform, _NO_PYTHON, "base", VERSION, "")
    image = assemble(store, plan, [])
    write_archive(store, [image], image.manifest, folder / "base.tar")
    engine.loaded(folder / "base.tar")
    return base


def _from(order: Order, base: Base) -> str:
    """Return what a Dockerfile names as its base: the reference, or the name that a base of files gets in the engine."""
    name = order.base or DEFAULT_BASE
    if name.startswith("oci:") or name.endswith(_PLAIN):
        last = base.layers[-1].diff_id if base.layers else "sha256:empty"
        return f"localhost/modelport-base:{last.removeprefix('sha256:')[:16]}"
    return str(parse(name, "--base"))
