"""The exact-pair allow-list: which globals a pickle may name without being asked about, and what it may do with each.

The lists in ``allowed/`` are data, one file a library, written by ``tools/collect_globals.py`` from fitted estimators of
every kind. There is no rule by module prefix: numpy, joblib, pandas and scikit-learn all contain functions that run code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType

from modelport.formats import sources
from modelport.formats.danger import is_dangerous
from modelport.formats.older.renames import moved
from modelport.formats.symbols import Judge, Ref, Use

USES: tuple[Use, ...] = ("class", "reconstruct", "type", "value")
_ALL_USES: frozenset[Use] = frozenset(USES)
# What Python 2 called things that moved (protocols 0 to 2 still write these names), and what scikit-learn 1.4 to 1.8 called its losses.
_MOVED_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg", "_loss": "sklearn._loss._loss"}
_UFUNCS = "numpy.core._multiarray_umath"  # where numpy 1.24 to 1.26 said that its functions are
_SPARSE = ("csr", "csc", "coo", "lil", "dok", "bsr", "dia")
_MOVED_NAMES = {
    ("builtins", "xrange"): ("builtins", "range"),
    ("builtins", "unicode"): ("builtins", "str"),
    ("builtins", "long"): ("builtins", "int"),
    ("numpy.core.multiarray", "_reconstruct"): ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"): ("numpy._core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"): ("numpy._core.numeric", "_frombuffer"),
    ("numpy.random", "__RandomState_ctor"): ("numpy.random._pickle", "__randomstate_ctor"),
    **{(f"scipy.sparse.{kind}", f"{kind}_matrix"): (f"scipy.sparse._{kind}", f"{kind}_matrix") for kind in _SPARSE},
}


@cache
def allowed() -> Mapping[tuple[str, str], frozenset[Use]]:
    """Return the built-in list: (module, name) to what may be done with it."""
    found: dict[tuple[str, str], set[Use]] = {}
    for path in sorted(resources.files("modelport.formats").joinpath("allowed").iterdir(), key=lambda item: item.name):
        listed = json.loads(path.read_text("utf-8"))
        for use in USES:
            for dotted in listed.get(use, ()):
                found.setdefault(split(dotted), set()).add(use)
    return MappingProxyType({pair: frozenset(uses) for pair, uses in found.items()})


def split(dotted: str) -> tuple[str, str]:
    """Return the module and the name of a dotted name."""
    module, _, name = dotted.rpartition(".")
    return module, name


def present(module: str, name: str) -> tuple[str, str]:
    """Return where a global lives today. This is the place for tables of names that libraries have moved."""
    module = _MOVED_MODULES.get(module, module)
    if module == _UFUNCS:
        module = "numpy"
    return _MOVED_NAMES.get((module, name)) or moved(module, name)


def judge(trust: frozenset[str], code: Sequence[Path]) -> Judge:
    """Return the function that the static reader asks about each global.

    ``trust`` are exact dotted names, ``code`` the user's own folders and files. Neither overrules the list of dangerous names.
    Raises (when asked): UsageError for a ``code`` path that cannot be used.
    """

    def decide(module: str, name: str) -> Ref:
        module, name = present(module, name)
        if uses := allowed().get((module, name)):
            return Ref(module, name, "known", uses)
        if is_dangerous(module, name):
            return Ref(module, name, "dangerous")
        if f"{module}.{name}" in trust or sources.find(module, name, code):
            return Ref(module, name, "trusted", _ALL_USES)
        return Ref(module, name, "unknown")

    return decide
