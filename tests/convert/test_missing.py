"""What is not installed, and what libraries cannot write: one sentence with what to do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression

from modelport.convert.graph import Candidate
from modelport.convert.networks import network
from modelport.convert.order import Order
from modelport.convert.quantize import quantized
from modelport.convert.skops import skops_file
from modelport.convert.work import Made
from modelport.errors import MissingExtra, NotConvertible
from modelport.formats import load
from modelport.formats.base import Options

DENSE = Path(__file__).parents[1] / "artifacts" / "keras" / "dense.hdf5"


@pytest.mark.parametrize(("module", "target", "extra"), [("skl2onnx", "onnx", "convert"), ("skops.io", "skops", "skops")])
def test_a_library_that_is_not_there_is_named_with_its_extra(
    convert: Callable[..., Made], monkeypatch: pytest.MonkeyPatch, module: str, target: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=f"need {module}.*pip install 'modelport.{extra}.'"):
        convert(LinearRegression().fit(*load_iris(return_X_y=True)), Order(target))


def test_int8_is_of_graphs_and_needs_the_onnx_package(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotConvertible, match="int8 is for ONNX graphs"):
        quantized("made.skops", Candidate(b"", "as it was"))
    candidate = network(DENSE, Options(), load(DENSE, Options()))
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtra, match=r"int8 needs onnx.*pip install 'modelport\[convert\]'"):
        quantized("made.onnx", candidate)


def test_an_object_that_skops_cannot_write_is_said() -> None:
    with pytest.raises(NotConvertible, match=r"model\.pkl: skops cannot write an object in it \(\w+: "):
        skops_file("model.pkl", (number for number in ()))
