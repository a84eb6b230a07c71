"""Boosters of XGBoost and LightGBM within a pickle: found without loading it, and held to the rules of the native files.

Their state is a model file of its own, which compiled code reads. ``inspect`` checks what the static reader sees; what is loaded is
checked once more as it arrives (``boosted_loading``), however it was written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from modelport.errors import ModelportError, RefusedFile
from modelport.formats import lightgbm_file, xgboost, xgboost_file
from modelport.formats.scan import Scan
from modelport.formats.summary import attribute
from modelport.formats.symbols import Node, Symbol, Text

XGBOOST = "xgboost.core.Booster"
LIGHTGBM = "lightgbm.basic.Booster"
_STATES: Mapping[str, tuple[str, ...]] = MappingProxyType({XGBOOST: ("handle",), LIGHTGBM: ("_handle", "handle")})


@dataclass(frozen=True, slots=True)
class Told:
    """What the boosters in a pickle tell. ``refusal``: why it must not be loaded; ``problem``: why it cannot be."""

    version: str | None = None
    notes: tuple[str, ...] = ()
    refusal: str = ""
    problem: str = ""


def tell(data: bytes, found: Scan) -> Told:
    """Check every booster that the static reader sees in a pickle."""
    version: str | None = None
    notes: list[str] = []
    for kind, model in _models(data, found):
        try:
            if kind == LIGHTGBM:
                lightgbm_file.read(model)
                continue
            content = xgboost_file.read(model)
        except RefusedFile as error:
            return Told(refusal=f"its booster is refused: {error.message}")
        except ModelportError as error:
            return Told(problem=f"its booster {error.message}")
        version = ".".join(str(part) for part in content.version)
        notes += content.notes
        if problem := xgboost.newer(content, xgboost.installed()):
            return Told(version, problem=problem)
    return Told(version, tuple(dict.fromkeys(notes)))


def _models(data: bytes, found: Scan) -> Iterator[tuple[str, bytes]]:
    for node in found.nodes:
        for name in _STATES.get(node.maker.dotted, ()):
            model = _bytes(data, attribute(node, name))
            if model is not None:
                yield node.maker.dotted, model
                break


def _bytes(data: bytes, symbol: Symbol) -> bytes | None:
    """Return a byte string or text of the file, in whichever of the ways of its protocol; None where that takes loading it."""
    if isinstance(symbol, Text):
        raw = data[symbol.start : symbol.stop]
        # Protocol 0 writes text escaped, after its opcode; before that of others stands the last byte of a length.
        is_escaped = not symbol.is_bytes and data[symbol.start - 1 : symbol.start] == b"V"
        return (str(raw, "raw-unicode-escape").encode("utf-8", "surrogatepass") if is_escaped else raw) if symbol.stop else None
    if isinstance(symbol, str):
        return symbol.encode()
    if isinstance(symbol, bytes):
        return symbol
    if not isinstance(symbol, Node) or not symbol.args:
        return None
    inner = _bytes(data, symbol.args[0])
    is_latin = len(symbol.args) == 2 and symbol.args[1] in ("latin1", "latin-1")  # how protocols 0 to 2 write bytes
    try:
        return inner.decode().encode("latin1") if is_latin and inner is not None else inner
    except UnicodeError:
        return None
