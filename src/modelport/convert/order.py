"""What is asked of the process that converts, as plain data: it crosses a socket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias, cast

Target: TypeAlias = Literal["onnx", "skops"]

TARGETS: Mapping[str, str] = {"onnx": ".onnx", "skops": ".skops"}
"""What a model can be converted to, and the suffix of its file."""

TOLERANCE = {"full": 1e-6, "int8": 0.02}
LABELS_EQUAL = 0.99
"""The share of labels that quantisation may not go below."""
KNOWN = "\0known"
"""The name under which known labels travel beside the rows; no column of a model has it."""


@dataclass(frozen=True, slots=True)
class Order:
    """One conversion. ``tolerance``: None for the default. ``source``: SHA-256 of the file. ``quantize``: "int8" or "".

    ``has_data``: whether the rows to compare on were given; else they are made.
    """

    target: Target
    source: str = ""
    quantize: str = ""
    tolerance: float | None = None
    has_data: bool = False

    @property
    def limit(self) -> float:
        """How far numbers may be from the original's: each of them, or of quantised models their mean."""
        return TOLERANCE[self.quantize or "full"] if self.tolerance is None else self.tolerance

    def to_dict(self) -> dict[str, object]:
        """Return plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Order:
        """Read what ``to_dict`` wrote."""
        return cls(**cast("dict[str, str]", dict(data)))  # type: ignore[arg-type]  # both ends are ours
