"""One line an event, whatever a client wrote into it."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from modelport.telemetry.logs import configure, escape, is_debugging

NASTY = "a\x1b[2J\r\nforged line\x00\u2028\u202e\x85\x7f\ud800"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    yield
    logging.getLogger().handlers, logging.getLogger().level = handlers, level
    configure("text", "info")
    structlog.reset_defaults()
    logging.getLogger().handlers, logging.getLogger().level = handlers, level


def _logged(form, level="info"):
    stream = io.StringIO()
    configure(form, level, stream=stream)
    return structlog.get_logger("test"), stream


def test_text_is_one_line_with_time_level_message_and_facts() -> None:
    log, stream = _logged("text")
    log.info("model loaded", model="m", seconds=0.5, path="a b")
    assert re.fullmatch(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d info    model loaded  model=m seconds=0.5 path="a b"\n', stream.getvalue())


def test_json_is_one_document_a_line() -> None:
    log, stream = _logged("json")
    log.warning("queue full", rows=3, names=["a", 1], nothing=None)
    document = json.loads(stream.getvalue())
    assert document.pop("timestamp").endswith("Z")
    assert document == {"message": "queue full", "level": "warning", "rows": 3, "names": ["a", 1], "nothing": None}


@pytest.mark.parametrize("form", ["text", "json"])
def test_control_characters_are_escaped(form) -> None:
    log, stream = _logged(form)
    log.info("request", target=NASTY, **{"bad\nname": 1})
    line = stream.getvalue()
    assert line.count("\n") == 1 and line.endswith("\n")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]", line) and "x1b" in line


@given(st.text())
def test_escaping_leaves_nothing_that_moves_a_terminal(text) -> None:
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", escape(text))


def test_a_traceback_cannot_forge_a_line() -> None:
    log, stream = _logged("text")
    try:
        raise ValueError("first\n2026-01-01 00:00:00 info    forged")
    except ValueError:
        log.exception("a request failed", request="r1")
    first, *rest = stream.getvalue().splitlines()
    assert "a request failed" in first and len(rest) > 2 and all(line.startswith("    ") for line in rest)


def test_lines_below_the_level_are_not_written_and_debugging_is_known() -> None:
    log, stream = _logged("text", "warning")
    log.info("quiet")
    assert stream.getvalue() == "" and not is_debugging()
    log, stream = _logged("text", "debug")
    log.debug("loud")
    assert "loud" in stream.getvalue() and is_debugging()


def test_what_libraries_log_goes_the_same_way() -> None:
    _, stream = _logged("json")
    logging.getLogger("asyncio").error("bad %s", "thing")
    document = json.loads(stream.getvalue())
    assert document["message"] == "bad thing" and document["logger"] == "asyncio" and document["level"] == "error"
