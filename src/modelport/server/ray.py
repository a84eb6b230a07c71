"""The service as an application of Ray Serve: each replica answers as ``modelport serve`` does, with an engine of its own.

A Serve config names it ``import_path: modelport.server.ray:application`` and gives it ``args``. Requests are batched by the engine
inside the replica, so Serve hands over many at once (``max_ongoing_requests``) and joins none itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from modelport.config import BY_NAME, Value
from modelport.errors import MissingExtra, NotReady, UsageError
from modelport.server.hosted import Hosted

if TYPE_CHECKING:
    from ray.serve import Application

DEPLOYMENT = "modelport"
"""Name of the one deployment of an application."""
ARGUMENTS = ("files", "digests", "settings", "previous")
"""``previous`` is the configuration before, kept in the cluster for `modelport rollback ray`; replicas have no use for it."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a replica serves. ``digests``: of files that must be these very ones, by their place in ``files``; "" for any."""

    files: tuple[str, ...]
    digests: tuple[str, ...] = ()
    settings: Mapping[str, Value] = field(default_factory=dict)


def application(args: Mapping[str, object]) -> Application:
    """Return the application, for Serve's ``import_path`` and ``serve.run``.

    ``args``: ``files``, paths of model files or bundle folders on every node; ``digests``, their SHA-256 or ""; ``settings`` of
    ``modelport serve`` by name; ``previous`` is passed over. How many replicas there are, and what each gets, is for the Serve config.
    Raises: UsageError for arguments that are none, MissingExtra without Ray.
    """
    asked = arguments(args)
    try:
        from ray import serve
    except ImportError as error:
        raise MissingExtra("Ray Serve is not installed; run: pip install 'modelport[ray]'") from error

    def build() -> Hosted:
        return Hosted([Path(file) for file in asked.files], asked.settings, asked.digests)

    class Replica:
        """One replica. Serve gives it the application as ``app``."""

        app: Hosted

        async def check_health(self) -> None:
            """Tell Serve to replace this replica where its models do not answer. Raises: NotReady."""
            if not self.app.is_ready:
                raise NotReady("a model of this replica does not answer")

    deployment = serve.deployment(serve.ingress(build)(Replica), name=DEPLOYMENT)
    return cast("Application", deployment.bind())


def arguments(args: Mapping[str, object]) -> Arguments:
    """Check what a Serve config gives. Raises: UsageError naming the argument, what was found and what it may be."""
    if unknown := sorted(set(args) - set(ARGUMENTS)):
        raise UsageError(f'"{unknown[0]}" is no argument of the application; they are {", ".join(ARGUMENTS)}')
    files, digests = _texts(args, "files"), _texts(args, "digests")
    if not files:
        raise UsageError("the application needs files, the paths of one model or more; add them to args")
    if digests and len(digests) != len(files):
        raise UsageError(f"there are {len(files)} files and {len(digests)} digests; give one for each, or none")
    settings = args.get("settings") or {}
    if not isinstance(settings, Mapping):
        raise UsageError(f"settings must be a table, found {type(settings).__name__}")
    if unknown := sorted(str(name) for name in settings if name not in BY_NAME):
        raise UsageError(f'"{unknown[0]}" is no setting; they are {", ".join(BY_NAME)}')
    return Arguments(files, digests, {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()})


def _texts(args: Mapping[str, object], name: str) -> tuple[str, ...]:
    values = args.get(name) or ()
    if not isinstance(values, list | tuple) or not all(isinstance(value, str) for value in values):
        raise UsageError(f"{name} must be a list of texts, found {values!r}"[:300])
    return tuple(values)
