"""Bytes to typed, checked Columns and back; pure, one module a dialect."""

from __future__ import annotations

WIRES: dict[str, str] = {"native": "modelport.wire.native:codec"}
"""Dialect -> where its codec is made, ``module:function`` taking (Schema, Limits); imported when chosen."""
