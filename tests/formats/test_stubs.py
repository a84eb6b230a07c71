"""Stubs of missing code: the names a pickle needs, nothing run, nothing of the file let into the code that is written."""

from __future__ import annotations

import ast
import pickle
import sys
from pathlib import Path
from types import ModuleType

import pytest

from modelport.errors import UsageError
from modelport.formats.base import Options
from modelport.formats.stubs import MAIN_FILE, stubs

pytest.importorskip("sklearn")

from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

SOURCE = """
class Shift:
    def __init__(self, by): self.by = by
    def fit(self, X, y=None): return self
    def transform(self, X): return X + self.by
class Answer:
    def __init__(self): self.text = "x" * 500; self.array = numpy.zeros((2, 3)); self.kind = numpy.float32; self.held = [1, 2]
    def predict(self, X): return X
class Constant: pass
def double(X): return X * 2
import numpy
"""


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of somebody's that is there while a model is saved."""
    for name in ("herlib", "herlib.steps"):
        module = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
    exec(SOURCE, vars(module))
    return module


def save(path: Path, model: object) -> Path:
    path.write_bytes(pickle.dumps(model))
    return path


def names(text: str) -> set[str]:
    return {node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef | ast.FunctionDef)}


def test_each_missing_module_gets_a_file_with_its_names(own: ModuleType, tmp_path: Path) -> None:
    model = make_pipeline(own.Shift(2.0), FunctionTransformer(own.double), own.Answer())
    found = stubs(save(tmp_path / "m.pkl", model), Options())
    assert list(found) == ["herlib/steps.py"]
    text = found["herlib/steps.py"]
    assert names(text) == {"Shift", "Answer", "double"}
    assert "class Shift(TransformerMixin, BaseEstimator):" in text
    assert "class Answer(BaseEstimator):" in text
    assert "def transform(self, X):" in text
    assert "def predict(self, X):" in text
    for shown in ("by: 2.0", "array: array of float64, shape (2, 3)", "kind: numpy.float32", "held: list of 2"):
        assert f"#   {shown}" in text
    assert max(map(len, text.splitlines())) < 160


def test_the_script_that_saved_a_model_gets_a_file_that_code_understands(tmp_path: Path) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(b"\x80\x04c__main__\nThing\n)\x81}\x8c\x01aK\x01sb.")
    found = stubs(path, Options())
    assert list(found) == [MAIN_FILE]
    assert "class Thing:" in found[MAIN_FILE]
    assert "a: 1" in found[MAIN_FILE]


@pytest.mark.parametrize(
    "make",
    [lambda part: FeatureUnion([("a", part), ("b", StandardScaler())]), lambda part: ColumnTransformer([("a", part, [0])])],
)
def test_parts_of_unions_and_of_columns_transform(own: ModuleType, tmp_path: Path, make: object) -> None:
    text = stubs(save(tmp_path / "m.pkl", make(own.Shift(1))), Options())["herlib/steps.py"]
    assert "def transform" in text


def test_a_class_that_is_only_held_is_a_class(own: ModuleType, tmp_path: Path) -> None:
    text = stubs(
        save(tmp_path / "m.pkl", {"kind": own.Constant, "of": own.double, "set": {1}, "deep": [({"a": own.Constant},)]}), Options()
    )
    assert "class Constant:" in text["herlib/steps.py"]
    assert "def double(" in text["herlib/steps.py"]


def test_what_is_installed_trusted_or_given_needs_no_stub(own: ModuleType, tmp_path: Path) -> None:
    path = save(tmp_path / "m.pkl", make_pipeline(own.Shift(2.0), LinearRegression()))
    assert stubs(path, Options(trust=frozenset({"herlib.steps.Shift"}))) == {}
    assert stubs(save(tmp_path / "n.pkl", LinearRegression()), Options()) == {}


def test_a_body_says_what_to_write(own: ModuleType, tmp_path: Path) -> None:
    text = stubs(save(tmp_path / "m.pkl", [own.Shift(1), own.double]), Options())["herlib/steps.py"]
    made: dict[str, object] = {}
    exec(text, made)
    with pytest.raises(NotImplementedError, match="double is a stub"):
        made["double"](1)
    with pytest.raises(NotImplementedError, match=r"Shift\.predict is a stub"):
        made["Shift"]().predict(1)


@pytest.mark.parametrize("name", ['x""";import os;os.system("touch marker")#.pkl', "x\n.pkl", "x'.pkl"])
def test_a_file_cannot_write_itself_into_the_code(own: ModuleType, tmp_path: Path, name: str) -> None:
    model = own.Shift('"""\nimport os')
    vars(model)["two\u2028lines"] = 1
    vars(model)["x\n"] = 1
    text = stubs(save(tmp_path / name, model), Options())["herlib/steps.py"]
    assert names(text) == {"Shift"}
    assert all(isinstance(node, ast.Expr | ast.ClassDef | ast.ImportFrom) for node in ast.parse(text).body)


def test_names_that_no_python_can_define_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(b"\x80\x04]\x94(c__main__\nclass\ncherlib.def\nThing\nc__main__\nGood\ne.")
    assert names(stubs(path, Options())[MAIN_FILE]) == {"Good"}


def test_only_pickles_need_code(tmp_path: Path) -> None:
    path = Path(__file__).parent.parent / "artifacts" / "keras" / "sentiment.keras"
    with pytest.raises(UsageError, match="is no pickle"):
        stubs(path, Options())
