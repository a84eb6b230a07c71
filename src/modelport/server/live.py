"""What there is to tell of a service that answers, as data, so that it can come from another process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec


class Served(msgspec.Struct, frozen=True):
    """A version that answers, as data: what people are told of it, and what it was measured to take.

    ``schema``: as ``Schema.to_dict`` gives it. ``is_inline``: the front computes it itself. ``row_ms``: None where not measured.
    """

    name: str
    version: str
    route: str | None
    form: str
    schema: dict[str, object]
    sandbox: str = ""
    is_inline: bool = False
    row_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Live:
    """A service that answers: where, and with which models."""

    url: str
    models: Sequence[Served]
