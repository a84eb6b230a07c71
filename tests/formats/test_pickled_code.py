"""Models of the user's own classes: refused until trusted by exact name, or found in the source that is given."""

from __future__ import annotations

import importlib.util
import pickle
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from modelport import formats
from modelport.errors import LoadError, NeedsTrust
from modelport.formats import pickled
from modelport.formats.base import Options

NONE = Options()


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


OWN = """
import numpy as np
class Shift:
    def __init__(self, by): self.by = by
    def fit(self, X, y=None): return self
    def predict(self, X): return np.asarray(X)[:, 0] + self.by
def outsider(X): return X
"""


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A model of the user's own class, pickled; the folder of its source; nothing of it imported."""
    name = f"own_{tmp_path.name}".replace("-", "_")
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / f"{name}.py").write_text(textwrap.dedent(OWN))
    module = _module(folder / f"{name}.py")
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(module.Shift(2)))
    del sys.modules[name]
    before = list(sys.path)
    yield path, folder
    sys.path[:] = before
    sys.modules.pop(name, None)


def test_an_unknown_class_needs_trust_and_the_cure_is_named(own: tuple[Path, Path]) -> None:
    path, _ = own
    report = formats.inspect(path, NONE)
    assert (report.verdict, report.plan) == ("needs_trust", "none")
    assert "Shift" in report.problem
    assert "--code PATH" in report.cure
    with pytest.raises(NeedsTrust, match="--code PATH") as caught:
        pickled.load_object(path, NONE)
    assert caught.value.exit_code == 3


def test_an_unknown_class_of_an_installed_library_is_cured_by_trust(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(b"\x80\x02chypothesis.strategies\nDataObject\n)\x81.")
    report = formats.inspect(path, NONE)
    assert "--trust hypothesis.strategies.DataObject" in report.cure


def test_code_loads_the_users_own_class(own: tuple[Path, Path]) -> None:
    path, folder = own
    options = Options(code=(folder,))
    assert formats.inspect(path, options).verdict == "loadable"
    assert {item.kind for item in formats.inspect(path, options).globals} == {"trusted"}
    assert pickled.load_object(path, options).predict([[1.0], [2.0]]).tolist() == [3.0, 4.0]


def test_code_stands_for_main(own: tuple[Path, Path]) -> None:
    path, folder = own
    name = next(folder.glob("*.py")).stem
    path.write_bytes(b"\x80\x02c__main__\nShift\n)\x81}X\x02\x00\x00\x00byK\x05sb.")
    assert formats.inspect(path, NONE).verdict == "needs_trust"
    model = pickled.load_object(path, Options(code=(folder / f"{name}.py",)))
    assert model.predict([[1.0]]).tolist() == [6.0]


def test_trust_loads_one_exact_name(own: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path, folder = own
    monkeypatch.syspath_prepend(str(folder))
    name = next(folder.glob("*.py")).stem
    assert pickled.load_object(path, Options(trust=frozenset([f"{name}.Shift"]))).predict([[1.0]]).tolist() == [3.0]
    with pytest.raises(NeedsTrust):
        pickled.load_object(path, Options(trust=frozenset([f"{name}.outsider"])))


def test_code_cannot_shadow_an_installed_module(tmp_path: Path) -> None:
    (tmp_path / "hypothesis.py").write_text("class Thing: pass\n")
    path = tmp_path / "model.pkl"
    path.write_bytes(b"\x80\x02chypothesis\nThing\n)\x81.")
    with pytest.raises(LoadError, match="name of an installed one"):
        pickled.load_object(path, Options(code=(tmp_path,)))
    sys.path.remove(str(tmp_path.resolve()))
