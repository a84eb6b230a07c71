"""Weights as whole numbers of eight bits: ONNX Runtime's dynamic quantisation of a graph in float32."""

from __future__ import annotations

import importlib
import logging
import tempfile
from dataclasses import replace
from pathlib import Path

from modelport.convert.graph import Candidate
from modelport.errors import MissingExtra, NotConvertible
from modelport.forms.onnx_proto import outline

_MARKS = ("Integer", "DynamicQuantize", "DequantizeLinear")


def quantized(name: str, candidate: Candidate) -> Candidate:
    """Return the graph with its weights in int8, which says so of itself.

    ``name``: of the file, for messages.
    Raises: NotConvertible where no part of it has a form in int8, MissingExtra without the onnx package.
    """
    facts = candidate.facts
    if facts is None:
        raise NotConvertible(f"{name}: int8 is for ONNX graphs; use it with --to onnx")
    before = outline(candidate.model).operators
    data = _written(name, candidate.model)
    found = outline(data)
    made = {operator for _, operator in found.operators - before}
    if not any(mark in operator for operator in made for mark in _MARKS):
        raise NotConvertible(f"{name}: no step of the graph has a form in int8, so that nothing would be smaller; leave out --quantize")
    said = f"weights in int8, from the file of sha256 {facts.source}"
    return Candidate(data, "int8", replace(facts, quantized="int8", schema=replace(facts.schema, description=said)))


def _written(name: str, model: bytes) -> bytes:
    try:
        onnx = importlib.import_module("onnx")
        library = importlib.import_module("onnxruntime.quantization")
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{name}: int8 needs {error.name}, which is not installed; run: pip install 'modelport[convert]'") from error
    logging.disable(logging.WARNING)  # it recommends steps of its own, on the root logger; this process does nothing else
    with tempfile.TemporaryDirectory(prefix="modelport-int8-") as folder:
        path = Path(folder) / "int8.onnx"
        try:
            # Seven bits of eight: processors without VNNI add up products of eight in sixteen bits, and would give other numbers.
            library.quantize_dynamic(onnx.load_from_string(model), path, weight_type=library.QuantType.QInt8, reduce_range=True)
        except Exception as error:  # it raises whatever it meets
            said = f"{type(error).__name__}: {str(error).strip()[:120]}"
            raise NotConvertible(f"{name}: ONNX Runtime cannot write the graph in int8 ({said}); leave out --quantize") from error
        return path.read_bytes()
