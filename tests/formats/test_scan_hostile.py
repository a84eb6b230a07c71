"""Pickles that would run something: each is refused by the static reader and by the loader, for one stated reason, and runs nothing.

The payloads are made here, byte by byte where no pickler would write them, and could only create a marker file.
"""

from __future__ import annotations

import bz2
import copyreg
import gzip
import io
import lzma
import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import pytest

from modelport.errors import ModelportError, NeedsTrust, RefusedFile
from modelport.formats import pickled
from modelport.formats.base import Options

P2, P4 = b"\x80\x02", b"\x80\x04"


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def named(module: str, name: str) -> bytes:
    """GLOBAL, as protocols 0 to 3 write it."""
    return f"c{module}\n{name}\n".encode()


def stacked(module: str, name: str) -> bytes:
    """STACK_GLOBAL, as protocols 4 and 5 write it."""
    return text(module) + text(name) + b"\x93"


def call(target: bytes, *args: bytes) -> bytes:
    return target + b"(" + b"".join(args) + b"tR"


SYSTEM = ("posix", "system")
# Searches hold these for their parameters. Filling one compiles a template from its state, so none may be on the list.
SCIPY_FROZEN = ("scipy.stats._distn_infrastructure", "rv_continuous_frozen")
TREE = named("sklearn.tree._classes", "DecisionTreeClassifier")
LOGISTIC = named("sklearn.linear_model._logistic", "LogisticRegression")
DTYPE_O = call(named("numpy", "dtype"), text("O8"), b"\x89", b"\x88") + b"(K\x03" + text("|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb"


def _dtype(code: str, order: str = "<", fields: bytes = b"NNN", size: int = -1, flags: int = 0) -> bytes:
    numbers = struct.pack("<i", size), struct.pack("<i", flags)
    head = call(named("numpy", "dtype"), text(code), b"\x89", b"\x88")
    return head + b"(K\x03" + text(order) + fields + b"J" + numbers[0] + b"J\xff\xff\xff\xff" + b"J" + numbers[1] + b"tb"


def _wrapper(dtype: bytes, shape: bytes, order: str = "C") -> bytes:
    """The wrapper that joblib writes before the bytes of an array."""
    state = text("subclass") + named("numpy", "ndarray") + text("shape") + shape + text("order") + text(order) + text("dtype") + dtype
    return named("joblib.numpy_pickle", "NumpyArrayWrapper") + b")\x81}(" + state + text("allow_mmap") + b"\x89ub"


class Reduced:
    """Pickles to a call of os.system, by whatever protocol is asked for."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, ...]:
        import os

        return os.system, (self.command,)


def _in_array(command: str) -> bytes:
    buffer = io.BytesIO()
    joblib.dump({"a": np.array([Reduced(command)], dtype=object)}, buffer)
    return buffer.getvalue()


def _second(command: str) -> bytes:
    return pickle.dumps(1, 4) + pickle.dumps(Reduced(command), 4)


def _numpy_load(command: str) -> bytes:
    return P2 + call(named("numpy", "load"), text(command), b"N", b"\x88") + b"."


def _run(opcodes: Callable[[bytes, bytes], bytes]) -> Callable[[str], bytes]:
    """A pickle of a few opcodes around os.system and its command."""
    return lambda command: P4 + opcodes(named(*SYSTEM), text(command)) + b"."


CASES: dict[str, Callable[[str], bytes]] = {
    **{f"reduce, protocol {number}": (lambda command, number=number: pickle.dumps(Reduced(command), number)) for number in range(6)},
    "GLOBAL and REDUCE": _run(lambda system, command: call(system, command)),
    "STACK_GLOBAL and REDUCE": _run(lambda _, command: call(stacked(*SYSTEM), command)),
    "INST": lambda command: b"(" + text(command) + b"iposix\nsystem\n.",
    "INST of a listed class": lambda command: b"(" + text(command) + b"isklearn.dummy\nDummyClassifier\n.",
    "OBJ": _run(lambda system, command: b"(" + system + command + b"o"),
    "NEWOBJ": _run(lambda system, command: system + command + b"\x85\x81"),
    "NEWOBJ_EX": _run(lambda system, command: system + command + b"\x85}\x92"),
    "dangerous module, harmless name": _run(lambda _, command: call(named("subprocess", "Popen"), command, b"N")),
    "eval": lambda command: P2 + call(named("builtins", "eval"), text(f"__import__('os').system({command!r})")) + b".",
    "exec by its Python 2 name": lambda command: (
        P2 + call(named("__builtin__", "eval"), text(f"__import__('os').system({command!r})")) + b"."
    ),
    "compile": lambda command: P2 + call(named("builtins", "compile"), text(command), text("x"), text("exec")) + b".",
    "__import__": lambda _: P2 + call(named("builtins", "__import__"), text("os")) + b".",
    "getattr chain": _run(
        lambda _, command: call(
            call(named("builtins", "getattr"), call(named("builtins", "__import__"), text("os")), text("system")), command
        )
    ),
    "attrgetter": lambda _: P2 + call(call(named("operator", "attrgetter"), text("system")), named("os", "path")) + b".",
    "methodcaller": lambda command: (
        P2 + call(call(named("operator", "methodcaller"), text("system"), text(command)), named("posix", "stat")) + b"."
    ),
    "partial of os.system": _run(lambda system, command: call(call(named("functools", "partial"), system), command)),
    "partial of a listed function": lambda _: P2 + call(named("functools", "partial"), named("numpy", "log1p")) + b".",
    "partial refilled by BUILD": lambda command: (
        P2
        + call(named("functools", "partial"), named("sklearn.utils.validation", "check_array"))
        + b"("
        + named("numpy", "sum")
        + text(command)
        + b"\x85}Ntb."
    ),
    "map": _run(lambda system, command: call(named("builtins", "map"), system, b"]" + command + b"a")),
    "dotted name, STACK_GLOBAL": _run(lambda _, command: call(stacked("sklearn.utils", "os.system"), command)),
    "dotted name of a listed module": lambda command: P4 + call(stacked("numpy", "lib.npyio.load"), text(command)) + b".",
    "computed module name": _run(
        lambda _, command: call(call(named("_codecs", "encode"), text("posix"), text("latin1")) + text("system") + b"\x93", command)
    ),
    "name from a number": lambda _: P4 + b"K\x01K\x02\x93.",
    "memo: name put, popped, recalled": _run(lambda system, command: system + b"q\x000" + call(b"h\x00", command)),
    "memo: listed name overwritten": _run(lambda system, command: LOGISTIC + b"q\x000" + system + b"q\x000" + call(b"h\x00", command)),
    "memo far out": lambda _: P2 + b"N" + b"r\xff\xff\xff\x7f.",
    "called through DUP": _run(lambda system, command: call(system + b"2", command) + b"\x86"),
    "extension registry, 1 byte": lambda _: P2 + b"\x82\x07)R.",
    "extension registry, 2 bytes": lambda _: P2 + b"\x83\x07\x00)R.",
    "extension registry, 4 bytes": lambda _: P2 + b"\x84\x07\x00\x00\x00)R.",
    "persistent id, text": lambda command: b"P" + command.replace("\n", "").encode() + b"\n.",
    "persistent id, binary": lambda command: P2 + text(command) + b"Q.",
    "out-of-band buffer": lambda _: b"\x80\x05\x97.",
    "REDUCE of a function that is only a value": lambda _: P2 + call(named("numpy", "log1p"), b"K\x01") + b".",
    "NEWOBJ of a function that is only a value": lambda _: P2 + named("numpy", "log1p") + b")\x81.",
    "REDUCE of a class that is made otherwise": lambda command: (
        P2 + call(named("xgboost.core", "Booster"), b"N", b"N", text(command)) + b"."
    ),
    "REDUCE of a computed callable": _run(lambda _, command: call(LOGISTIC + b")\x81", command)),
    "REDUCE with arguments that are no tuple": _run(lambda _, command: named("builtins", "set") + b"]" + command + b"aR"),
    "BUILD on a class": lambda _: P2 + LOGISTIC + b"}" + text("predict") + named("numpy", "sum") + b"sb.",
    "BUILD on a function": lambda _: P2 + named("numpy", "log1p") + b"}" + text("a") + b"K\x01sb.",
    "BUILD on a list": lambda _: P2 + b"]}b.",
    "BUILD with __setstate__": lambda _: P2 + LOGISTIC + b")\x81}" + text("__setstate__") + named("numpy", "sum") + b"sbK\x01b.",
    "BUILD with __class__ in the slots": lambda _: P2 + LOGISTIC + b")\x81N}" + text("__class__") + TREE + b"s\x86b.",
    "BUILD twice": lambda _: P2 + LOGISTIC + b")\x81}b}b.",
    "items set on an estimator": lambda _: P2 + LOGISTIC + b")\x81K\x01K\x02s.",
    "append to an estimator": lambda _: P2 + LOGISTIC + b")\x81K\x01a.",
    "append to a class": lambda _: P2 + LOGISTIC + b"K\x01a.",
    "numpy.load": _numpy_load,
    "numpy.memmap": lambda command: P2 + call(named("numpy", "memmap"), text(command)) + b".",
    "numpy.fromfile": lambda command: P2 + call(named("numpy", "fromfile"), text(command)) + b".",
    "numpy runstring": lambda command: P2 + call(named("numpy.testing._private.utils", "runstring"), text(command), b"}") + b".",
    "numpy ufunc by name": lambda _: P2 + call(named("numpy.core", "_ufunc_reconstruct"), text("os"), text("system")) + b".",
    "joblib.load": lambda command: P2 + call(named("joblib", "load"), text(command)) + b".",
    "joblib.load where it lives": lambda command: P2 + call(named("joblib.numpy_pickle", "load"), text(command)) + b".",
    "joblib Memory": lambda command: P2 + call(named("joblib.memory", "Memory"), text(command)) + b".",
    "pandas.read_pickle": lambda command: P2 + call(named("pandas", "read_pickle"), text(command)) + b".",
    "pandas.eval": lambda command: P2 + call(named("pandas", "eval"), text(command)) + b".",
    "sklearn import_module": lambda _: P2 + call(named("sklearn.utils._testing", "import_module"), text("os")) + b".",
    "cloudpickle code": lambda _: P2 + call(named("cloudpickle.cloudpickle", "_make_function"), b"N") + b".",
    "generator with a constructor of its own": lambda _: (
        P2 + call(named("numpy.random._pickle", "__generator_ctor"), text("x"), LOGISTIC) + b"."
    ),
    "bit generator of another class": lambda _: P2 + call(named("numpy.random._pickle", "__bit_generator_ctor"), LOGISTIC) + b".",
    "other codec": lambda command: P2 + call(named("_codecs", "encode"), text(command), text("zip")) + b".",
    "reconstructor of a class that is made otherwise": lambda _: (
        P2 + call(named("copyreg", "_reconstructor"), named("numpy", "ndarray"), named("builtins", "object"), b"N") + b"."
    ),
    "array of a shape that reserves memory": lambda _: (
        P2 + call(named("numpy._core.multiarray", "_reconstruct"), named("numpy", "ndarray"), b"J\xff\xff\xff\x7f\x85", b"C\x01b") + b"."
    ),
    "bytearray of a size": lambda _: P2 + call(named("builtins", "bytearray"), b"J\xff\xff\xff\x7f") + b".",
    "dtype that denies its objects": lambda _: P2 + _dtype("O8", "|", flags=0) + b".",
    "dtype that claims objects": lambda _: P2 + _dtype("f8", flags=63) + b".",
    "dtype with objects inside": lambda _: (
        P2 + _dtype("V8", "|", b"N" + text("a") + b"\x85}" + text("a") + DTYPE_O + b"K\x00\x86s", 8, 16) + b"."
    ),
    "dtype with a field beyond its end": lambda _: (
        P2 + _dtype("V8", "|", b"N" + text("a") + b"\x85}" + text("a") + _dtype("f8") + b"K\x08\x86s", 8, 16) + b"."
    ),
    "scalar of objects from bytes": lambda _: P2 + call(named("numpy._core.multiarray", "scalar"), DTYPE_O, b"C\x08AAAAAAAA") + b".",
    "joblib array of no order": lambda _: P2 + _wrapper(_dtype("f8"), b"K\x01\x85", "K") + b"\x00" * 8 + b".",
    "joblib array of negative length": lambda _: P2 + _wrapper(_dtype("f8"), b"J\xff\xff\xff\xff\x85") + b".",
    "joblib array of objects, payload inside": _in_array,
    "nested tuples as a key": lambda _: P2 + b"K\x01" + b"2\x86" * 40 + b"q\x000}h\x00K\x01s.",
    "bytes after STOP": lambda command: pickle.dumps({"a": 1}, 4) + command.encode(),
    "second pickle in the stream": _second,
    "second protocol": lambda _: P4 + b"\x80\x02N.",
    "stack not empty": lambda _: P2 + b"NN.",
    "number of 5,000 digits": lambda _: b"L" + b"9" * 5000 + b"L\n.",
    "in zlib": lambda command: zlib.compress(pickle.dumps(Reduced(command), 4)),
    "in gzip": lambda command: gzip.compress(pickle.dumps(Reduced(command), 4)),
    "in bz2": lambda command: bz2.compress(pickle.dumps(Reduced(command), 4)),
    "in xz": lambda command: lzma.compress(pickle.dumps(Reduced(command), 4)),
    "in lzma": lambda command: lzma.compress(pickle.dumps(Reduced(command), 4), lzma.FORMAT_ALONE),
    "in joblib's compression": lambda command: zlib.compress(_in_array(command)),
}


@pytest.mark.parametrize("name", CASES)
def test_what_would_run_something_is_refused_and_runs_nothing(name: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    path = tmp_path / "model.pkl"
    path.write_bytes(CASES[name](f"touch {marker}"))
    report = pickled.inspect(path, Options())
    assert (report.verdict, report.plan) == ("refused", "none")
    with pytest.raises(RefusedFile) as caught:
        pickled.load_object(path, Options())
    assert report.problem in caught.value.message
    assert "\n" not in caught.value.message
    assert not marker.exists()


def test_the_corpus_is_large_enough() -> None:
    assert len(CASES) >= 40


@pytest.mark.parametrize(
    "name", ["reduce, protocol 4", "GLOBAL and REDUCE", "STACK_GLOBAL and REDUCE", "OBJ", "memo: listed name overwritten"]
)
def test_the_payloads_are_live(name: str, tmp_path: Path) -> None:
    """With Python's own unpickler the marker appears, so that its absence above means something."""
    marker = tmp_path / "marker"
    pickle.loads(CASES[name](f"touch {marker}"))
    assert marker.exists()


@pytest.mark.parametrize("name", ["posix.system", "os.system", "builtins.eval", "numpy.load", "joblib.load", "functools.partial"])
def test_no_trust_makes_a_dangerous_name_loadable(name: str, tmp_path: Path) -> None:
    marker, path = tmp_path / "marker", tmp_path / "model.pkl"
    module, _, attribute = name.rpartition(".")
    path.write_bytes(P2 + call(named(module, attribute), text(f"touch {marker}")) + b".")
    with pytest.raises(RefusedFile):
        pickled.load_object(path, Options(trust=frozenset([name])))
    assert not marker.exists()


def test_an_extension_code_that_is_registered_is_refused_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(P2 + b"\x82\xf0.")
    copyreg.add_extension("posix", "system", 240)
    try:
        with pytest.raises(RefusedFile, match="extension registry"):
            pickled.load_object(path, Options())
    finally:
        copyreg.remove_extension("posix", "system", 240)


@pytest.mark.parametrize(
    ("module", "name"),
    [("sklearn.tree", "DecisionTreeClassifier"), ("numpy", "no_such"), ("somebody.code", "Thing"), ("sklearn.utils", "os"), SCIPY_FROZEN],
)
def test_a_name_is_allowed_exactly_or_not_at_all(module: str, name: str, tmp_path: Path) -> None:
    """A module on the list does not carry its other names, nor a package its modules."""
    path = tmp_path / "model.pkl"
    path.write_bytes(P4 + stacked(module, name) + b")\x81.")
    report = pickled.inspect(path, Options())
    assert report.verdict == "needs_trust"
    assert f"{module}.{name}" in report.problem
    with pytest.raises(NeedsTrust, match=name):
        pickled.load_object(path, Options())


def test_the_reader_says_the_same_as_the_loader_about_every_case(tmp_path: Path) -> None:
    for number, make in enumerate(CASES.values()):
        path = tmp_path / f"{number}.pkl"
        path.write_bytes(make(f"touch {tmp_path}/marker"))
        with pytest.raises(ModelportError):
            pickled.load_object(path, Options())
    assert not (tmp_path / "marker").exists()
