"""Every setting of ``modelport serve``, declared once: name, type, default, unit, help.

Flags, environment variables (``MODELPORT_…``), the ``[serve]`` table of a bundle's ``model.toml`` and the reference page all
derive from this table. A flag wins over the environment, which wins over TOML, which wins over the default.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from dataclasses import field as declare
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar, cast

from modelport.errors import UsageError

Value: TypeAlias = str | int | float | bool | Path | tuple[str, ...] | None
Kind: TypeAlias = Literal["text", "integer", "number", "switch", "path", "texts", "choice"]

T = TypeVar("T")

PREFIX = "MODELPORT_"
API_KEYS = "MODELPORT_API_KEYS"
"""The variable that holds API keys, one a line."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. ``name`` is the field of Settings; flag, variable and TOML key follow from it."""

    name: str
    default: Value
    help: str
    kind: Kind = "text"
    unit: str = ""
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None

    @property
    def flag(self) -> str:
        """The command-line flag."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable."""
        return PREFIX + self.name.upper()


def _setting(default: T, text: str, **facts: object) -> T:
    """Declare a field of Settings together with what Setting says of it."""
    return declare(default=default, metadata={"help": text, **facts})


@dataclass(frozen=True, slots=True)
class Settings:
    """The values of all settings, checked."""

    host: str = _setting("127.0.0.1", "Address to listen on; 0.0.0.0 for every interface.")
    port: int = _setting(5005, "Port to listen on; 0 for any free one.", kind="integer", minimum=0, maximum=65_535)
    workers: str = _setting(
        "auto",
        "Worker processes of each model, on all fronts together; auto is one for each core, at most 4 unless a row is known to take 1 ms, "
        "and no more than half of the free memory holds.",
    )
    fronts: str = _setting(
        "1",
        "Processes that answer on the port, each with its share of the workers; auto is one for each core where the server computes a fast "
        "model itself, else 1.",
    )
    name: str | None = _setting(None, "Name of the model; by default its manifest's, else the file's stem.")
    route: str | None = _setting(None, "A path of the model's own, such as /sentiment, besides the standard ones.")
    timeout: float = _setting(30.0, "Longest time from a request's arrival to its answer.", kind="number", unit="s", minimum=0.001)
    drain: float = _setting(30.0, "Longest time to finish what is in flight after SIGTERM or Ctrl-C.", kind="number", unit="s", minimum=0)
    max_queued_rows: int = _setting(
        20_000, "Rows that may wait for a worker; more are refused with 429.", kind="integer", unit="rows", minimum=1
    )
    max_rows: int = _setting(10_000, "Rows that one request may hold.", kind="integer", unit="rows", minimum=1)
    max_body_mb: float = _setting(16.0, "Largest request body.", kind="number", unit="MiB", minimum=0.001)
    api_key_file: Path | None = _setting(
        None, "File of API keys, one a line; requests then need one of them. So do keys in the variable MODELPORT_API_KEYS.", kind="path"
    )
    tls_cert: Path | None = _setting(None, "PEM certificate chain; turns HTTPS on together with --tls-key.", kind="path")
    tls_key: Path | None = _setting(None, "PEM private key of the certificate.", kind="path")
    log_format: str = _setting("text", "How log lines are written.", kind="choice", choices=("text", "json"))
    sandbox: str = _setting(
        "auto",
        "Whether workers lock themselves in: auto as far as the system can, require or not at all, off.",
        kind="choice",
        choices=("auto", "require", "off"),
    )
    isolation: str = _setting(
        "auto",
        "Where models compute: process (workers), inline (in the server itself, from a proven form), auto (inline where there is a form).",
        kind="choice",
        choices=("auto", "process", "inline"),
    )
    load_timeout: float = _setting(
        300.0, "Longest time for a model to load and to predict for the first time.", kind="number", unit="s", minimum=0.1
    )
    debug: bool = _setting(False, "Show tracebacks in the terminal; clients never see them.", kind="switch")
    trust: tuple[str, ...] = _setting((), "A dotted name that a pickle may import beyond the built-in list; may be repeated.", kind="texts")
    code: tuple[str, ...] = _setting((), "A file or folder with the user's own modules that a pickle needs; may be repeated.", kind="texts")
    env: str = _setting(
        "local", "Where a model of an older scikit-learn runs: local, auto (an environment of its version, made if none is there), or PATH."
    )
    no_cache: bool = _setting(False, "Try and compile the version anew even if that was done before, and remember nothing.", kind="switch")
    architecture: Path | None = _setting(None, "The architecture JSON of a weights-only Keras file.", kind="path")

    def workers_asked(self) -> int | None:
        """Return how many workers each model shall have, None for ``auto``. Raises: UsageError for anything else."""
        return _count("--workers", self.workers, 1024)

    def fronts_asked(self) -> int | None:
        """Return how many fronts there shall be, None for ``auto``. Raises: UsageError for anything else."""
        return _count("--fronts", self.fronts, 256)

    def api_keys(self) -> frozenset[str]:
        """Read the API keys, of the file and of the variable MODELPORT_API_KEYS; empty when none are asked for.

        The variable is for places that give secrets to a container in no other way. It is no setting, as a flag would show the keys.
        Raises: UsageError if the file cannot be read, or either holds none.
        """
        given = os.environ.get(API_KEYS)
        named = frozenset() if given is None else _keys(given)
        if given is not None and not named:
            raise UsageError(f"{API_KEYS} is set and holds no key; write one key a line, or leave it unset")
        return named | self._keys_of_file()

    def _keys_of_file(self) -> frozenset[str]:
        if self.api_key_file is None:
            return frozenset()
        try:
            keys = _keys(self.api_key_file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"--api-key-file {self.api_key_file}: cannot be read as UTF-8 text; give a file with one key a line"
            ) from error
        if not keys:
            raise UsageError(f"--api-key-file {self.api_key_file}: holds no key; write one key a line, or leave the flag out")
        return keys


SETTINGS: tuple[Setting, ...] = tuple(Setting(item.name, cast("Value", item.default), **item.metadata) for item in fields(Settings))
BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}


def resolve(flags: Mapping[str, Value], toml: Mapping[str, object] | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Merge the four sources into checked Settings; a flag that is None was not given.

    Raises: UsageError naming the source, what was found and what it may be.
    """
    environment = os.environ if environment is None else environment
    toml = {} if toml is None else toml
    if unknown := sorted(set(toml) - set(BY_NAME)):
        raise UsageError(f'unknown key "{unknown[0]}" in [serve]; known are {", ".join(BY_NAME)}')
    values: dict[str, Value] = {}
    for setting in SETTINGS:
        if flags.get(setting.name) not in (None, ()):
            values[setting.name] = check(setting, flags[setting.name], setting.flag)
        elif setting.variable in environment:
            values[setting.name] = check(setting, environment[setting.variable], setting.variable)
        elif setting.name in toml:
            values[setting.name] = check(setting, toml[setting.name], f'"{setting.name}" in [serve]')
        else:
            values[setting.name] = setting.default
    settings = Settings(**values)  # type: ignore[arg-type]  # each was checked against its declared kind
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise UsageError("--tls-cert and --tls-key go together; give both, or neither for plain HTTP")
    return settings


def check(setting: Setting, value: object, where: str) -> Value:
    """Bring a value to its setting's type. Raises: UsageError naming where it stands."""
    kind = setting.kind
    if kind in ("integer", "number"):
        return _number(setting, value, where)
    if kind == "switch":
        return _switch(value, where)
    if kind == "texts":
        many = value.split(",") if isinstance(value, str) else value
        if not isinstance(many, list | tuple):
            raise UsageError(f"{where} must be a list of strings, found {value!r}")
        return tuple(str(item).strip() for item in many if str(item).strip())
    text = str(value) if isinstance(value, str | int | Path) and not isinstance(value, bool) else ""
    if not text:
        raise UsageError(f"{where} must be a non-empty string, found {value!r}")
    if kind == "choice" and text not in setting.choices:
        raise UsageError(f"{where} must be one of {', '.join(setting.choices)}, found {text!r}")
    return Path(text) if kind == "path" else text


def _count(flag: str, text: str, most: int) -> int | None:
    if text == "auto":
        return None
    if text.isdecimal() and text.isascii() and len(text) < 10 and 1 <= int(text) <= most:
        return int(text)
    raise UsageError(f'{flag} must be "auto" or a whole number from 1 to {most}, found "{text}"')


def _keys(text: str) -> frozenset[str]:
    return frozenset(line.strip() for line in text.splitlines() if line.strip())


def _number(setting: Setting, value: object, where: str) -> int | float:
    expected = "a whole number" if setting.kind == "integer" else "a number"
    try:
        number = int(cast("str", value)) if setting.kind == "integer" else float(cast("str", value))
    except (TypeError, ValueError):
        raise UsageError(f"{where} must be {expected}, found {value!r}") from None
    if isinstance(value, bool) or (setting.kind == "integer" and isinstance(value, float)) or not math.isfinite(number):
        raise UsageError(f"{where} must be {expected}, found {value!r}")
    if setting.minimum is not None and number < setting.minimum:
        raise UsageError(f"{where} must be at least {setting.minimum:g}, found {value!r}")
    if setting.maximum is not None and number > setting.maximum:
        raise UsageError(f"{where} must be at most {setting.maximum:.0f}, found {value!r}")
    return number


def _switch(value: object, where: str) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off", ""):
        return False
    raise UsageError(f"{where} must be true or false, found {value!r}")
