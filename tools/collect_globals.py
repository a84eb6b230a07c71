"""Writes the allow-list of ``modelport.formats``: what the pickles of one fitted model of every kind name, and how they use it.

    python tools/collect_globals.py            write src/modelport/formats/allowed/*.json
    python tools/collect_globals.py --check    exit 1 if the committed files differ from what would be written
    python tools/collect_globals.py --dump F   write what this environment needs to F, to compare with older libraries
    python tools/collect_globals.py --older F  like writing, and keep names from such dumps in older.json

How a name is used is observed on Python's own pure unpickler, not on ours, so that the list and its reader stay independent.
A library that is not installed keeps its committed file.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import pickle
import re
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import joblib
import numpy as np
from fitted import samples
from joblib.numpy_pickle import NumpyUnpickler

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))
from modelport.formats.allow import present

ALLOWED = Path(__file__).parent.parent / "src" / "modelport" / "formats" / "allowed"
LIBRARIES = {
    "sklearn": "scikit-learn",
    "numpy": "numpy",
    "scipy": "scipy",
    "pandas": "pandas",
    "joblib": "joblib",
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
}
Uses = dict[str, set[str]]
# Functions people give to FunctionTransformer: each takes an array and returns one, touches no file and calls nothing back.
NUMPY_FUNCTIONS = """
abs absolute all amax amin any argmax argmin around array asarray ascontiguousarray atleast_1d atleast_2d average clip
column_stack concatenate cumprod cumsum diff dot expand_dims fix hstack imag interp isclose max mean median min nan_to_num nanmax
nanmean nanmedian nanmin nanstd nansum nanvar nonzero percentile prod quantile ravel real repeat reshape roll round squeeze stack
std sum swapaxes take tile transpose unique var vstack where
""".split()  # noqa: SIM905

_METRIC = re.compile(r"\w+_(score|loss|error|distances|distances_argmin|kernel|similarity|auc|recall|matrix|corrcoef|curve|gain)\Z|auc\Z")
# Arrow takes the addresses and lengths of its buffers from the file unchecked; no estimator holds one, only data frames do.
_NEVER = re.compile(r"pyarrow\..*")
_FOREIGN_CALLS = {"pairwise_distances_chunked", "learning_curve", "validation_curve", "cross_val_score", "permutation_test_score"}


class _Recorder:
    """Mixed into a pure-Python unpickler: notes each global and whether it was called, made, or only held."""

    found: Uses
    named: dict[int, str]

    def _note(self, target: object, use: str) -> None:
        if (name := self.named.get(id(target))) is not None:
            self.found.setdefault(use, set()).add(name)

    def find_class(self, module: str, name: str) -> object:
        found = super().find_class(module, name)  # type: ignore[misc]
        dotted = ".".join(present(module, name))
        self.named[id(found)] = dotted
        self.found.setdefault("type" if isinstance(found, type) else "value", set()).add(dotted)
        return found

    def load_reduce(self) -> None:
        target, args = self.stack[-2:]
        self._note(target, "reconstruct")
        if self.named.get(id(target)) == "copyreg._reconstructor":
            self._note(args[0], "class")
        self.base.load_reduce(self)

    def load_newobj(self) -> None:
        self._note(self.stack[-2], "class")
        self.base.load_newobj(self)

    def load_newobj_ex(self) -> None:
        self._note(self.stack[-3], "class")
        self.base.load_newobj_ex(self)


def _recording(base: type, *arguments: object) -> tuple[object, Uses]:
    dispatch = dict(base.dispatch)
    for opcode in (pickle.REDUCE, pickle.NEWOBJ, pickle.NEWOBJ_EX):
        name = {pickle.REDUCE: "load_reduce", pickle.NEWOBJ: "load_newobj", pickle.NEWOBJ_EX: "load_newobj_ex"}[opcode]
        dispatch[opcode[0]] = getattr(_Recorder, name)
    kind = type("Recording", (_Recorder, base), {"dispatch": dispatch, "base": base, "found": {}, "named": {}})
    return kind(*arguments), kind.found


def _uses(model: object) -> Uses:
    total: Uses = {}
    for protocol in (0, 2, 4, 5):
        reader, found = _recording(pickle._Unpickler, io.BytesIO(pickle.dumps(model, protocol)))
        reader.load()
        _merge(total, found)
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    buffer.seek(0)
    arguments = ("", buffer, True) if "ensure_native_byte_order" in NumpyUnpickler.__init__.__code__.co_varnames else ("", buffer)
    reader, found = _recording(NumpyUnpickler, *arguments)
    reader.load()
    _merge(total, found)
    return total


def _merge(into: Uses, more: Uses) -> None:
    for use, names in more.items():
        into.setdefault(use, set()).update(names)


def _functions() -> set[str]:
    """Functions that are given as parameters; a pickle holds them by name and never calls them."""
    found = {f"numpy.{name}" for name, value in vars(np).items() if isinstance(value, np.ufunc)}
    found |= {f"numpy.{name}" for name in NUMPY_FUNCTIONS if hasattr(np, name)}
    for module in ("metrics", "metrics.pairwise", "feature_selection"):
        holder = importlib.import_module(f"sklearn.{module}")
        for name, value in vars(holder).items():
            if callable(value) and not isinstance(value, type) and _METRIC.match(name) and name not in _FOREIGN_CALLS:
                found.add(f"{value.__module__}.{value.__qualname__}")
    return {name for name in found if not re.search(r"pairwise_(distances|kernels)(_chunked)?\Z", name) and "<" not in name}


def collect() -> Uses:
    """Fit everything and return what it needs. Ends the program if something could not be fitted."""
    total: Uses = {"class": set(), "reconstruct": set(), "type": set(), "value": _functions()}
    for sample in samples():
        if sample.error is not None:
            print(f"not fitted: {sample.name}: {sample.error!r}", file=sys.stderr)
            continue
        try:
            _merge(total, _uses(sample.model))
        except Exception as error:  # noqa: BLE001  # one that cannot be read must not hide the others
            print(f"not read back: {sample.name}: {error!r}", file=sys.stderr)
    called = total["class"] | total["reconstruct"]
    total["type"] -= total["class"]
    total["value"] -= called | total["type"]
    return {use: {name for name in names if not _NEVER.match(name)} for use, names in total.items()}


def _library(dotted: str) -> str:
    return LIBRARIES.get(dotted.partition(".")[0], "python")


def _files(found: Uses) -> dict[str, str]:
    """Return what each file should hold."""
    out: dict[str, str] = {}
    for library in sorted({*LIBRARIES.values(), "python"}):
        listed = {use: sorted(name for name in names if _library(name) == library) for use, names in sorted(found.items())}
        if any(listed.values()):
            out[f"{library}.json"] = _json({"library": library, "version": _version(library), **listed})
    return out


def _json(data: object) -> str:
    return json.dumps(data, indent=1) + "\n"


def _version(library: str) -> str:
    if library == "python":
        return f"{sys.version_info.major}.{sys.version_info.minor}"
    for name in (library, f"{library}-cpu"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return ""


def _older(paths: Iterable[Path], found: Uses) -> str:
    path = ALLOWED / "older.json"
    data = json.loads(path.read_text()) if path.exists() else {"library": "older layouts"}
    kept: Uses = {use: set(data.get(use, ())) for use in found}
    for dump in paths:
        for use, names in json.loads(dump.read_text()).items():
            kept[use] |= {name for name in names if name not in found[use]}
    return _json({"library": "older layouts", **{use: sorted(names) for use, names in sorted(kept.items())}})


def main() -> int:
    """Write or check the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--dump", type=Path)
    parser.add_argument("--older", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    found = collect()
    if options.dump:
        options.dump.write_text(_json({use: sorted(names) for use, names in found.items()}))
        return 0
    files = _files(found)
    if options.check:
        return _report({name: text for name, text in files.items() if (ALLOWED / name).read_text() != text})
    for name, text in files.items():
        (ALLOWED / name).write_text(text)
    if options.older:
        (ALLOWED / "older.json").write_text(_older(options.older, found))
    return 0


def _report(different: dict[str, str]) -> int:
    for name, text in different.items():
        now, committed = json.loads(text), json.loads((ALLOWED / name).read_text())
        for use in ("class", "reconstruct", "type", "value"):
            added, gone = sorted(set(now[use]) - set(committed[use])), sorted(set(committed[use]) - set(now[use]))
            print(f"{name}: {use}: new {added}, no longer needed {gone}; version {committed['version']} -> {now['version']}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
