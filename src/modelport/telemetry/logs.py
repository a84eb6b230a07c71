"""Logs: one line an event, a constant message with facts as fields, as text for people or as JSON for machines.

Whatever a client can write into a field (a path, a header) comes out with its control characters escaped, so that no
request can forge a line or move the cursor of a terminal (CVE-2020-7694).
"""

from __future__ import annotations

import logging
import re
import sys
from typing import Literal, TextIO, TypeAlias

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

Format: TypeAlias = Literal["text", "json"]
Level: TypeAlias = Literal["debug", "info", "warning", "error"]

# C0, DEL, C1, line and paragraph separators, and the marks that change the direction of text.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_state = {"level": logging.INFO}
_PLAIN = re.compile(r"[^\s\"'=]+")


def configure(form: Format = "text", level: Level = "info", *, stream: TextIO | None = None) -> None:
    """Send the log of this process, the standard library's included, to ``stream`` (standard error)."""
    number = logging.getLevelNamesMapping()[level.upper()]
    out = stream or sys.stderr
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _render_json if form == "json" else _render_text,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    _state["level"] = number
    root = logging.getLogger()
    root.handlers = [_Forward()]
    root.setLevel(max(number, logging.INFO))


def is_debugging() -> bool:
    """Whether debug lines were asked for; what is not wanted then costs nothing."""
    return _state["level"] <= logging.DEBUG


def escape(text: str) -> str:
    r"""Replace control characters by ``\x1b`` or ``\u2028``."""
    return _CONTROL.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    number = ord(match.group())
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


class _Forward(logging.Handler):
    """Takes what libraries log through the standard library (asyncio's unhandled exceptions) into the same stream."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)


def _render_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    event["message"] = event.pop("event", "")
    facts = {escape(str(name)): _plain(value) for name, value in event.items()}
    return orjson.dumps(facts).decode()


def _render_text(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    time, level = str(event.pop("timestamp", "")), str(event.pop("level", ""))
    message, trace = escape(str(event.pop("event", ""))), event.pop("exception", None)
    facts = " ".join(f"{escape(str(name))}={_quoted(value)}" for name, value in event.items())
    line = f"{time[:19].replace('T', ' ')} {level:<7} {message}{'  ' if facts else ''}{facts}"
    if trace:
        line += "".join(f"\n    {escape(part)}" for part in str(trace).splitlines())
    return line


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return escape(value if isinstance(value, str) else str(value))


def _quoted(value: object) -> str:
    text = escape(str(value))
    return text if _PLAIN.fullmatch(text) else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
