"""Models: name and version to engine. What the HTTP front asks for a target."""

from __future__ import annotations

from modelport.engine.engine import Engine
from modelport.errors import NotFound, UsageError


class Models:
    """The engines of one front, by name and version; the version loaded last is the one answered without a version."""

    def __init__(self) -> None:
        self._engines: dict[str, dict[str, Engine]] = {}

    def add(self, engine: Engine) -> None:
        """Make an engine reachable. Raises: UsageError if the name and version, or the route, are taken."""
        if engine.version in self._engines.get(engine.name, {}):
            raise UsageError(
                f'model "{engine.name}" version "{engine.version}" is given twice; rename one with --name or in its model.toml'
            )
        for other in self.all():
            if engine.route is not None and other.route == engine.route and other.name != engine.name:
                raise UsageError(
                    f'models "{other.name}" and "{engine.name}" both want the route "{engine.route}"; change one in its model.toml'
                )
        self._engines.setdefault(engine.name, {})[engine.version] = engine

    def get(self, name: str | None, version: str | None) -> Engine:
        """Return the engine. ``name`` None: the only model. Raises: NotFound listing what there is."""
        if name is None:
            if len(self._engines) != 1:
                names = ", ".join(f"/models/{known}/predict" for known in sorted(self._engines))
                raise NotFound(f"several models are served here, so /predict names none; use one of {names}")
            name = next(iter(self._engines))
        versions = self._engines.get(name)
        if versions is None:
            raise NotFound(f'there is no model "{name}"; there are: {", ".join(sorted(self._engines)) or "none"}')
        if version is None:
            return next(reversed(versions.values()))
        engine = versions.get(version)
        if engine is None:
            raise NotFound(f'model "{name}" has no version "{version}"; it has: {", ".join(versions)}')
        return engine

    def all(self) -> list[Engine]:
        """Every engine, in the order given."""
        return [engine for versions in self._engines.values() for engine in versions.values()]
