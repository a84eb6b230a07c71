"""Static reading of a pickle: what it names and would make, found by a symbolic walk that executes and imports nothing.

The result is also the proof that the unpickler relies on: which globals it may look up, which bytes to leave out, and where
the arrays lie that joblib writes between the opcodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelport.errors import RefusedFile
from modelport.formats.machine import Machine
from modelport.formats.making import walk
from modelport.formats.symbols import Block, Judge, Node, Ref, Stream, Symbol

# A vocabulary of words takes less than one opcode for each compressed byte; only what repeats itself without end takes more.
_FREE_OPCODES = 1_000_000
_OPCODES_A_BYTE = 2


@dataclass(frozen=True, slots=True)
class Scan:
    """What a pickle would do.

    ``names``: each (module, name) as spelled in the file, with its verdict. ``nodes``: the objects it fills, in order.
    ``refusal`` is why it must not be loaded, "" if nothing speaks against it but names that need trust.
    """

    root: Symbol
    names: Mapping[tuple[str, str], Ref]
    nodes: tuple[Node, ...]
    blocks: tuple[Block, ...]
    stream: Stream
    refusal: str = ""

    @property
    def refs(self) -> tuple[Ref, ...]:
        """The globals in order of their names, each once."""
        return tuple(sorted(set(self.names.values()), key=lambda ref: ref.dotted))


def scan(data: bytes, judge: Judge, *, file_bytes: int | None = None) -> Scan:
    """Walk a whole pickle, asking ``judge`` about each global it names.

    ``file_bytes``: how long the file is before decompression, if it is compressed; a few kilobytes may not ask for minutes.
    Raises: UnreadableFile if the bytes are no complete pickle.
    Cost: about 0.2 microseconds an opcode; long strings and arrays are stepped over.
    """
    machine, root, refusal = Machine(data, judge), None, ""
    machine.budget = len(data) if file_bytes is None else _FREE_OPCODES + _OPCODES_A_BYTE * file_bytes
    try:
        root = walk(machine)
        if machine.pos != len(data):
            refusal = f"{len(data) - machine.pos} bytes follow the end of the pickle; no model library writes that"
    except RefusedFile as error:
        refusal = error.message
    except RecursionError as error:
        raise RefusedFile("the pickle nests deeper than any model does") from error
    dangerous = sorted({ref.dotted for ref in machine.found.values() if ref.kind == "dangerous"})
    if dangerous:
        refusal = f"the pickle names {', '.join(dangerous[:5])}, which can run programs or read and write files; no model needs that"
    return Scan(root, dict(machine.found), tuple(machine.built), tuple(machine.blocks), machine.stream(), refusal)
