"""A conversion before it is compared: the graph and what it says of its columns, or the file of another kind."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from modelport import formats
from modelport.formats import onnx_facts
from modelport.formats.base import Options, Predictor
from modelport.formats.onnx_facts import Facts


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may be handed over. ``precision``: of its numbers. ``facts``: of an ONNX graph, which are not yet in ``model``."""

    model: bytes
    precision: str
    facts: Facts | None = None

    @property
    def data(self) -> bytes:
        """The bytes of the file."""
        return self.model if self.facts is None else onnx_facts.add(self.model, self.facts)


def opened(candidate: Candidate, suffix: str, options: Options) -> Predictor:
    """Open a candidate as it will be opened when it is served. Raises: what its loader raises."""
    with tempfile.TemporaryDirectory(prefix="modelport-convert-") as folder:
        path = Path(folder) / f"converted{suffix}"
        path.write_bytes(candidate.data)
        return formats.load(path, options)
