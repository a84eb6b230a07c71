"""``model.toml``: what a bundle says of itself. Format 1; an unknown key is an error that names its place."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from modelport.errors import ManifestError
from modelport.schema import TASKS, Field, Scalar, Schema, Task

FORMAT = 1
NAME = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,128}\Z")
HOOKS = ("load", "preprocess", "predict", "postprocess")
_ROUTE = re.compile(r"(/[A-Za-z0-9._~-]+)+\Z")
_TOP = {
    "format",
    "name",
    "version",
    "description",
    "artifact",
    "resources",
    "hooks",
    "api",
    "inputs",
    "outputs",
    "task",
    "classes",
    "batch",
    "sample",
    "serve",
    "sandbox",
}


@dataclass(frozen=True, slots=True)
class Artifact:
    """The model file: where (relative to the bundle), its digest if pinned, and the names trusted beyond the built-in list."""

    path: str
    sha256: str = ""
    trust: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Batching:
    """How requests may be joined. ``is_enabled`` False is for models whose rows are not independent."""

    max_rows: int = 256
    max_wait_ms: float = 0.0
    is_enabled: bool = True


@dataclass(frozen=True, slots=True)
class Opening:
    """What a bundle's code needs opened in the workers' sandbox: the network, a GPU, variables, paths to read (``~`` is the home)."""

    network: bool = False
    gpu: bool = False
    environment: tuple[str, ...] = ()
    read: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """A read ``model.toml``, or the one that a bare file stands for.

    ``inputs`` and ``outputs`` empty: the artifact's own schema counts. ``sample``: column -> values of rows the model takes,
    for warm-up. ``serve``: settings of the ``serve`` verb, checked where they are used.
    """

    name: str
    version: str = "1"
    description: str = ""
    artifact: Artifact | None = None
    resources: Mapping[str, str] = field(default_factory=dict)
    hooks: Mapping[str, str] = field(default_factory=dict)
    route: str | None = None
    greeting: str | None = None
    inputs: tuple[Field, ...] = ()
    outputs: tuple[Field, ...] = ()
    task: Task | None = None
    classes: tuple[Scalar, ...] = ()
    batch: Batching = field(default_factory=Batching)
    sample: Mapping[str, list[object]] = field(default_factory=dict)
    serve: Mapping[str, object] = field(default_factory=dict)
    sandbox: Opening = Opening()

    def schema(self, artifact: Schema | None) -> Schema:
        """Return the schema that requests are held to: the manifest's where it says one, else the artifact's.

        ``artifact`` is None where a ``load`` hook makes the predictor. Raises: ManifestError if nobody declares the inputs.
        """
        inputs = self.inputs or (artifact.inputs if artifact else ())
        if not inputs:
            raise ManifestError(f'model "{self.name}": nothing declares its columns; list them as [[inputs]] in model.toml')
        has_own_answer = bool({"predict", "postprocess", "load"} & set(self.hooks))
        task: Task = self.task or ("frame" if has_own_answer or artifact is None else artifact.task)
        outputs = self.outputs or (artifact.outputs if artifact and not has_own_answer else ())
        classes = self.classes or (artifact.classes if artifact and not has_own_answer else ())
        is_named = artifact is None or artifact.is_named or [item.name for item in inputs] != [item.name for item in artifact.inputs]
        description = self.description or (artifact.description if artifact else "")
        return Schema(inputs, outputs, task, classes, is_named=is_named, description=description)


def name_from(path: Path) -> str:
    """Make a model name of a file's stem: characters that a name may not have become ``-``."""
    name = re.sub(r"[^A-Za-z0-9._-]", "-", path.stem)[:128]
    return name if NAME.match(name) else "model"


def read(path: Path) -> Manifest:
    """Read a ``model.toml``. Raises: ManifestError naming the key and what it may be."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(
            f"{path}: cannot be read as UTF-8 text ({type(error).__name__}); write it anew with `modelport init`"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ManifestError(f"{path}: is not valid TOML: {error}") from error
    try:
        return parse(data, name_from(path.resolve().parent))
    except ManifestError as error:
        raise ManifestError(f"{path}: {error.message}") from error


def parse(data: Mapping[str, object], default_name: str) -> Manifest:
    """Check the data of a ``model.toml``. Raises: ManifestError naming the key and what it may be."""
    _check_keys(data, _TOP, "the top level")
    if data.get("format") != FORMAT or isinstance(data["format"], bool):
        raise ManifestError(f'"format" must be {FORMAT}, found {data.get("format")!r}')
    api = _table(data, "api", {"route", "greeting"})
    return Manifest(
        name=_name(data.get("name", default_name), "name"),
        version=_name(data.get("version", "1"), "version"),
        description=_text(data, "description", "the top level"),
        artifact=_artifact(data),
        resources=_texts(_table(data, "resources", None), "resources"),
        hooks=_texts(_table(data, "hooks", set(HOOKS)), "hooks"),
        route=_path(api, "route"),
        greeting=_path(api, "greeting"),
        inputs=_fields(data, "inputs"),
        outputs=_fields(data, "outputs"),
        task=_task(data),
        classes=_classes(data),
        batch=_batching(data),
        sample=_sample(data),
        serve=_table(data, "serve", None),
        sandbox=_opening(data),
    )


def _check_keys(data: Mapping[str, object], known: set[str], where: str) -> None:
    if unknown := sorted(set(data) - known):
        raise ManifestError(f'unknown key "{unknown[0]}" in {where}; known are {", ".join(sorted(known))}')


def _table(data: Mapping[str, object], key: str, known: set[str] | None) -> Mapping[str, object]:
    value = data.get(key, {})
    if not isinstance(value, dict):
        raise ManifestError(f'"{key}" must be a table, found {value!r}')
    if known is not None:
        _check_keys(value, known, f"[{key}]")
    return cast("Mapping[str, object]", value)


def _list(data: Mapping[str, object], key: str) -> list[object]:
    value = data.get(key, [])
    if not isinstance(value, list):
        raise ManifestError(f'"{key}" must be a list, found {value!r}')
    return value


def _text(data: Mapping[str, object], key: str, where: str) -> str:
    value = data.get(key, "")
    if not isinstance(value, str):
        raise ManifestError(f'"{key}" in {where} must be a string, found {value!r}')
    return value


def _texts(data: Mapping[str, object], where: str) -> Mapping[str, str]:
    return {key: _text(data, key, f"[{where}]") for key in data}


def _name(value: object, key: str) -> str:
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not NAME.match(text):
        raise ManifestError(f'"{key}" must be 1 to 128 of the characters A-Z a-z 0-9 . _ -, found {value!r}')
    return text


def _path(api: Mapping[str, object], key: str) -> str | None:
    if key not in api:
        return None
    value = _text(api, key, "[api]")
    if not _ROUTE.match(value):
        raise ManifestError(f'"{key}" in [api] must be a path such as "/sentiment", found {value!r}')
    return value


def _artifact(data: Mapping[str, object]) -> Artifact | None:
    if "artifact" not in data:
        return None
    table = _table(data, "artifact", {"path", "sha256", "trust"})
    path = _text(table, "path", "[artifact]")
    if not path:
        raise ManifestError('"path" in [artifact] is missing; name the model file beside model.toml')
    digest = _text(table, "sha256", "[artifact]").lower()
    if digest and not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise ManifestError(f'"sha256" in [artifact] must be 64 hexadecimal digits, found {digest!r}')
    trust = _list(table, "trust")
    if not all(isinstance(name, str) for name in trust):
        raise ManifestError(f'"trust" in [artifact] must be a list of dotted names, found {trust!r}')
    return Artifact(path, digest, tuple(cast("list[str]", trust)))


def _opening(data: Mapping[str, object]) -> Opening:
    table = _table(data, "sandbox", {"network", "gpu", "environment", "read"})
    for key in ("network", "gpu"):
        if not isinstance(table.get(key, False), bool):
            raise ManifestError(f'"{key}" in [sandbox] must be true or false, found {table[key]!r}')
    for key in ("environment", "read"):
        if not all(isinstance(item, str) and item for item in _list(table, key)):
            raise ManifestError(f'"{key}" in [sandbox] must be a list of strings, found {table[key]!r}')
    variables, paths = (tuple(cast("list[str]", _list(table, key))) for key in ("environment", "read"))
    return Opening(table.get("network") is True, table.get("gpu") is True, variables, paths)


def _fields(data: Mapping[str, object], key: str) -> tuple[Field, ...]:
    out = []
    for at, item in enumerate(_list(data, key)):
        if not isinstance(item, dict):
            raise ManifestError(f"[[{key}]] number {at + 1} must be a table, found {item!r}")
        out.append(Field.from_dict(item, where=key[:-1]))
    return tuple(out)


def _task(data: Mapping[str, object]) -> Task | None:
    if "task" not in data:
        return None
    if data["task"] not in TASKS:
        raise ManifestError(f'"task" must be one of {", ".join(TASKS)}, found {data["task"]!r}')
    return cast("Task", data["task"])


def _classes(data: Mapping[str, object]) -> tuple[Scalar, ...]:
    values = _list(data, "classes")
    if not all(isinstance(value, str | int | float) for value in values):
        raise ManifestError(f'"classes" must be a list of strings, numbers or booleans, found {values!r}')
    return tuple(cast("list[Scalar]", values))


def _batching(data: Mapping[str, object]) -> Batching:
    if data.get("batch") is False:
        return Batching(is_enabled=False)
    table = _table(data, "batch", {"max_rows", "max_wait_ms"})
    rows, wait = table.get("max_rows", Batching().max_rows), table.get("max_wait_ms", 0.0)
    if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
        raise ManifestError(f'"max_rows" in [batch] must be a whole number of at least 1, found {rows!r}')
    if not isinstance(wait, int | float) or isinstance(wait, bool) or not 0 <= wait <= 60_000:
        raise ManifestError(f'"max_wait_ms" in [batch] must be a number from 0 to 60000, found {wait!r}')
    return Batching(rows, float(wait))


def _sample(data: Mapping[str, object]) -> Mapping[str, list[object]]:
    table = _table(data, "sample", None)
    return {key: value if isinstance(value, list) else [value] for key, value in table.items()}
