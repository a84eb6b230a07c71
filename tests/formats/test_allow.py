"""The allow-list: exact names, each with what may be done with it; nothing on it runs code or touches files."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from importlib import metadata, resources
from pathlib import Path

import pytest

from modelport.errors import UsageError
from modelport.formats import sources
from modelport.formats.allow import USES, allowed, judge, present, split
from modelport.formats.danger import is_dangerous

ROOT = Path(__file__).parent.parent.parent
EXECUTORS = """
os.system posix.system nt.system subprocess.Popen builtins.eval builtins.exec builtins.compile builtins.getattr
builtins.__import__ builtins.map builtins.open sys.exit socket.socket shutil.rmtree runpy.run_path importlib.import_module
pty.spawn ctypes.CDLL numpy.load numpy.save numpy.memmap numpy.fromfile numpy.loadtxt numpy.lib._npyio_impl.load numpy.vectorize
joblib.load joblib.Memory pandas.read_pickle pandas.eval pandas.io.pickle.read_pickle operator.attrgetter operator.methodcaller
operator.itemgetter functools.reduce pickle.loads _pickle.loads cPickle.loads marshal.loads cloudpickle.loads dill.loads
webbrowser.open commands.getoutput popen2.popen2 itertools.starmap types.FunctionType inspect.getattr_static logging.FileHandler
timeit.timeit cProfile.run code.interact pip.main sklearn.datasets._base.load_files torch.load torch.hub.load
numpy.core._ufunc_reconstruct
""".split()  # noqa: SIM905


def _dotted() -> list[str]:
    return [".".join(pair) for pair in allowed()]


@pytest.mark.parametrize("name", EXECUTORS)
def test_what_runs_code_or_reaches_files_is_dangerous_and_not_listed(name: str) -> None:
    assert name not in _dotted()
    assert is_dangerous(*split(name))
    assert judge(frozenset([name]), ())(*split(name)).kind == "dangerous"


def test_no_listed_name_is_dotted_or_of_a_private_attribute() -> None:
    assert all(re.fullmatch(r"[A-Za-z_]\w*", name) for _, name in allowed())


def test_the_standard_library_is_listed_for_containers_and_dates_only() -> None:
    listed = {name for name in _dotted() if name.partition(".")[0] in sys.stdlib_module_names}
    modules = {split(name)[0] for name in listed}
    assert modules == {"_codecs", "builtins", "collections", "copyreg", "datetime", "functools"}
    assert {name for name in listed if split(name)[0] in {"_codecs", "copyreg", "functools"}} == {
        "_codecs.encode",
        "copyreg._reconstructor",
        "functools.partial",  # with a rule of its own: only of scikit-learn's check_array
    }


def test_functions_that_are_parameters_are_never_called_by_a_pickle() -> None:
    for name in (
        "numpy.log1p",
        "numpy.mean",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.metrics._classification.f1_score",
    ):
        assert allowed()[split(name)] == {"value"}


def test_distributions_of_scipy_are_not_listed() -> None:
    """Filling one compiles and runs a template out of its own state (scipy.stats._distn_infrastructure.rv_generic)."""
    assert not [name for name in _dotted() if name.startswith("scipy.stats")]


def test_every_listed_name_of_an_installed_library_exists() -> None:
    for path in resources.files("modelport.formats").joinpath("allowed").iterdir():
        listed = json.loads(path.read_text("utf-8"))
        if path.name == "older.json":
            continue
        for dotted in {name for use in USES for name in listed[use]}:
            module, name = split(dotted)
            assert hasattr(importlib.import_module(module), name), dotted


def test_names_of_python_2_and_of_older_numpy_are_read_as_todays() -> None:
    assert present("__builtin__", "xrange") == ("builtins", "range")
    assert present("copy_reg", "_reconstructor") == ("copyreg", "_reconstructor")
    assert present("numpy.core.multiarray", "_reconstruct") == ("numpy._core.multiarray", "_reconstruct")
    assert present("scipy.sparse.csr", "csr_matrix") == ("scipy.sparse._csr", "csr_matrix")
    assert judge(frozenset(), ())("__builtin__", "eval").kind == "dangerous"


def test_trust_takes_one_exact_name() -> None:
    decide = judge(frozenset(["mylib.tokens.Tokenizer"]), ())
    assert decide("mylib.tokens", "Tokenizer").kind == "trusted"
    assert decide("mylib.tokens", "Other").kind == "unknown"
    assert decide("mylib", "Tokenizer").kind == "unknown"


SOURCE = """
from os import system
import subprocess as tools
run = system
class Tokenizer: pass
def clean(text): return text
if True:
    def guarded(): pass
"""


def test_code_allows_what_its_files_define_and_nothing_they_import(tmp_path: Path) -> None:
    (tmp_path / "tokens.py").write_text(SOURCE)
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text("class Root: pass\n")
    (tmp_path / "pkg" / "deep.py").write_text("class Leaf: pass\n")
    decide = judge(frozenset(), (tmp_path,))
    kinds = {name: decide("tokens", name).kind for name in ("Tokenizer", "clean", "guarded", "system", "run", "tools", "absent")}
    assert kinds == {
        "Tokenizer": "trusted",
        "clean": "trusted",
        "guarded": "trusted",
        "system": "unknown",
        "run": "unknown",
        "tools": "unknown",
        "absent": "unknown",
    }
    assert decide("pkg", "Root").kind == decide("pkg.deep", "Leaf").kind == "trusted"
    assert decide("os", "system").kind == "dangerous"


def test_code_may_be_one_file_and_stands_for_main(tmp_path: Path) -> None:
    train = tmp_path / "train.py"
    train.write_text(SOURCE)
    assert sources.find("__main__", "Tokenizer", [train]) == ("train", tmp_path)
    assert sources.find("__main__", "Tokenizer", [tmp_path]) == ("train", tmp_path)
    assert sources.find("train", "Tokenizer", [train]) == ("train", tmp_path)
    assert sources.find("other", "Tokenizer", [train]) is None
    (tmp_path / "copy.py").write_text(SOURCE)
    with pytest.raises(UsageError, match="--code FILE"):
        sources.find("__main__", "Tokenizer", [tmp_path])


def test_code_that_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        sources.find("a", "B", [tmp_path / "absent"])
    (tmp_path / "a.py").write_text("class :\n")
    with pytest.raises(UsageError, match="no Python"):
        sources.find("a", "B", [tmp_path])


@pytest.mark.slow
def test_the_lists_are_those_that_fitting_every_estimator_gives() -> None:
    done = subprocess.run([sys.executable, "tools/collect_globals.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not fitted" not in done.stderr
    assert "not read back" not in done.stderr


def test_the_lists_say_which_versions_they_were_made_with() -> None:
    listed = json.loads(resources.files("modelport.formats").joinpath("allowed", "scikit-learn.json").read_text("utf-8"))
    assert listed["version"] == metadata.version("scikit-learn")
