"""Files that would run something, read something, or exhaust the machine, and files that are damaged: written here, never shipped.

``python corpus.py FILE…`` inspects files in a process of its own and prints its peak memory and the slowest of them.
A payload can do no more than create ``marker`` in the folder it is written to.
"""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import pickle
import sys
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).resolve().parent
KERAS = HERE.parent / "artifacts" / "keras"
XGBOOST = HERE.parent / "artifacts" / "xgboost" / "3.2.0"
LIGHTGBM = HERE.parent / "artifacts" / "lightgbm" / "4.7.0"
FLOAT = 1
Write = Callable[[Path], Path]


def _pickles() -> dict[str, Write]:
    """Every case of the pickle reader's own tests, as a file."""
    spec = importlib.util.spec_from_file_location("scan_cases", HERE.parent / "formats" / "test_scan_hostile.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def writer(make: Callable[[str], bytes]) -> Write:
        return lambda folder: _write(folder / "model.pkl", make(f"touch {folder / 'marker'}"))

    cases = {name: writer(make) for name, make in module.CASES.items()}
    cases["a bomb in gzip"] = lambda folder: _write(folder / "model.pkl.gz.pkl", gzip.compress(bytes(200_000_000), 1))
    for name, opcodes in (("stacked", b"N"), ("memorized", b"]\x94"), ("dropped", b"N0"), ("nested", b"("), ("copied", b"2")):
        flood = b"\x80\x04]" + opcodes * (60_000_000 // len(opcodes))
        cases[f"sixty million opcodes in zlib, {name}"] = lambda folder, flood=flood: _write(
            folder / "model.joblib", zlib.compress(flood, 9)
        )
    return cases


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _keras_files() -> dict[str, Write]:  # noqa: C901  # a list of small changes
    import h5py
    import numpy as np

    def hdf5(change: Callable[[h5py.File, Path], None]) -> Write:
        def write(folder: Path) -> Path:
            path = _write(folder / "model.hdf5", (KERAS / "sentiment.hdf5").read_bytes())
            with h5py.File(path, "a") as file:
                change(file, folder)
            return path

        return write

    def outside(file: h5py.File, folder: Path) -> None:
        layer = next(iter(file["model_weights"]))
        del file["model_weights"][layer]
        file["model_weights"][layer] = h5py.ExternalLink("/etc/passwd", "/x")

    def storage(file: h5py.File, folder: Path) -> None:
        file["model_weights"].create_dataset("more", (4,), "u1", external=[("/etc/passwd", 0, 4)])

    def virtual(file: h5py.File, folder: Path) -> None:
        layout = h5py.VirtualLayout((4,), "u1")
        layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4,))
        file["model_weights"].create_virtual_dataset("more", layout)

    def soft(file: h5py.File, folder: Path) -> None:
        file["model_weights"]["more"] = h5py.SoftLink("/model_weights")

    def circle(file: h5py.File, folder: Path) -> None:
        file["model_weights"]["more"] = file["model_weights"]

    def claim(file: h5py.File, folder: Path) -> None:
        file["model_weights"].create_dataset("more", (1 << 40,), "u1", chunks=(1 << 20,))

    def layers(kind: str, **config: object) -> Callable[[h5py.File, Path], None]:
        def change(file: h5py.File, folder: Path) -> None:
            text = file.attrs["model_config"]
            model = json.loads(text.decode() if isinstance(text, bytes) else text)
            first = model["config"]["layers"] if isinstance(model["config"], dict) else model["config"]
            first[-1]["class_name"] = kind
            first[-1]["config"].update(config)
            file.attrs["model_config"] = np.bytes_(json.dumps(model))

        return change

    def archive(name: str, data: bytes) -> Write:
        def write(folder: Path) -> Path:
            path = folder / "model.keras"
            with zipfile.ZipFile(KERAS / "sentiment.keras") as good, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
                for member in good.namelist():
                    out.writestr(member, good.read(member))
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    out.writestr(name, data)
            return path

        return write

    changes = {
        "external link": outside,
        "external storage": storage,
        "virtual data": virtual,
        "soft link": soft,
        "group within itself": circle,
        "claim of a terabyte": claim,
        "Lambda": layers("Lambda", function=["4wEAAAA=", None, None]),
        "TFSMLayer": layers("TFSMLayer", filepath="/etc"),
        "class of somebody's": layers("Exploit"),
    }
    cases = {name: hdf5(change) for name, change in changes.items()}
    cases["archive that climbs"] = archive("../../marker", b"x")
    cases["archive with an absolute name"] = archive("/tmp/marker", b"x")
    cases["archive with a doubled member"] = archive("config.json", b"{}")
    cases["archive with a bomb"] = archive("assets/bomb", bytes(300_000_000))
    return cases


def _graphs() -> dict[str, Write]:
    from onnx import TensorProto, helper

    def graph(operator: str, domain: str = "", location: str | None = None, length: str = "24") -> Write:
        def write(folder: Path) -> Path:
            kernel = TensorProto(name="w", data_type=FLOAT, dims=[3, 2])
            if location is None:
                kernel.raw_data = bytes(24)
            else:
                kernel.data_location = TensorProto.EXTERNAL
                for key, value in {"location": location, "length": length}.items():
                    kernel.external_data.add(key=key, value=value)
            ports = [helper.make_tensor_value_info(name, FLOAT, ["n", width]) for name, width in (("x", 3), ("y", 2))]
            node = helper.make_node(operator, ["x", "w"], ["y"], domain=domain)
            made = helper.make_graph([node], "g", ports[:1], ports[1:], [kernel])
            sets = [helper.make_opsetid("", 18), *([helper.make_opsetid(domain, 1)] if domain else [])]
            (folder / "link.bin").symlink_to("/etc/passwd")
            (folder / "short.bin").write_bytes(b"12")
            return _write(folder / "model.onnx", helper.make_model(made, opset_imports=sets, ir_version=8).SerializeToString())

        return write

    return {
        "operator of a library": graph("Run", "com.somebody"),
        "Python operator": graph("PyOp", "ai.onnx.contrib"),
        "data at an absolute path": graph("MatMul", location="/etc/passwd"),
        "data above": graph("MatMul", location="../secret.bin"),
        "data far above": graph("MatMul", location="../../../../../../etc/passwd"),
        "data in a folder": graph("MatMul", location="a/b.bin"),
        "data at an address": graph("MatMul", location="http://127.0.0.1/x"),
        "data through a link": graph("MatMul", location="link.bin"),
        "data that is short": graph("MatMul", location="short.bin"),
    }


def _formats_tests(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, HERE.parent / "formats" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _xgboost_files() -> dict[str, Write]:
    """Every edit of the format's own tests, as a file; and what would take the machine's memory."""
    from modelport.formats import ubjson

    edited = _formats_tests("edited_xgboost")
    groups = {"three.json": edited.TREES, "categories.ubj": edited.CATEGORIES, "vectors.ubj": edited.VECTORS, "dart.json": edited.DART}

    def writer(file: str, edit: Callable[[dict[str, object]], object]) -> Write:
        def write(folder: Path) -> Path:
            data = (XGBOOST / file).read_bytes()
            document = json.loads(data) if file.endswith(".json") else _plain(ubjson.read(data))
            edit(document)
            return _write(folder / "model.json", json.dumps(document).encode())

        return write

    cases = {f"{file}, {name}": writer(file, edit) for file, edits in groups.items() for name, _, edit in edits}
    head = b"{L" + (7).to_bytes(8, "big") + b"learner"
    huge = (1 << 60).to_bytes(8, "big")
    bombs = {
        "an array of a quintillion": head + b"[$d#L" + huge,
        "a list of a quintillion": head + b"[#L" + huge,
        "a text of a quintillion": head + b"SL" + huge,
        "lists without end": head + b"[" * 1_000_000,
        "lists without end, JSON": b'{"learner": ' + b"[" * 1_000_000,
        "a number without end": b'{"learner": ' + b"9" * 1_000_000 + b"}",
        "a hundred thousand empty trees": b'{"learner": {"gradient_booster": {"model": {"trees": [' + b"{}," * 100_000 + b"{}]}}}}",
    }
    return cases | {name: lambda folder, data=data: _write(folder / "model", data) for name, data in bombs.items()}


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value


def _lightgbm_files() -> dict[str, Write]:
    edited = _formats_tests("edited_lightgbm")

    def writer(file: str, edit: Callable[[str], str]) -> Write:
        return lambda folder: _write(folder / "model.txt", edit((LIGHTGBM / file).read_text()).encode())

    groups = {"three.txt": edited.TREES, "categories.txt": edited.CATEGORIES}
    cases = {f"{file}, {name}": writer(file, edit) for file, edits in groups.items() for name, _, edit in edits}
    start = b"tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=0\nobjective=regression\n"
    start += b"feature_names=a\nfeature_infos=[0:1]\n\n"
    cases["a million trees of nothing"] = lambda folder: _write(folder / "model.txt", start + b"Tree=0\n" * 1_000_000)
    cases["a line without end"] = lambda folder: _write(folder / "model.txt", start + b"Tree=0\nleft_child=" + b"1 " * 5_000_000)
    return cases


def _boosters() -> dict[str, Write]:
    """Pickles whose booster, a model file of its own, was edited."""
    import numpy as np

    def xgboost(folder: Path) -> Path:
        data = (XGBOOST / "booster.pkl").read_bytes()
        array = b"left_children[$l#L"
        at = data.index(array) + len(array) + 8
        return _write(folder / "model.pkl", data[:at] + np.array([1 << 30], ">i4").tobytes() + data[at + 4 :])

    def lightgbm(folder: Path) -> Path:
        data = (LIGHTGBM / "booster.pkl").read_bytes()
        at = data.index(b"left_child=") + len(b"left_child=")
        return _write(folder / "model.pkl", data[:at] + b"9" + data[at + 1 :])

    return {"a child far away, XGBoost": xgboost, "a child far away, LightGBM": lightgbm}


def _skops() -> dict[str, Write]:  # noqa: C901  # a list of small changes
    import numpy as np
    from skops.io import dumps

    def changed(change: Callable[[dict, dict], None], *, packed: int = zipfile.ZIP_STORED) -> Write:
        def write(folder: Path) -> Path:
            path = folder / "model.skops"
            with zipfile.ZipFile(io.BytesIO(dumps(_linear()))) as good:
                members = {name: good.read(name) for name in good.namelist()}
            schema = json.loads(members["schema.json"])
            change(schema, members)
            members["schema.json"] = json.dumps(schema).encode()
            with zipfile.ZipFile(path, "w", packed) as out:
                for name, data in members.items():
                    out.writestr(name, data.replace(b"MARKER", str(folder / "marker").encode()) if name == "schema.json" else data)
            return path

        return write

    def attribute(schema: dict, name: str, node: dict) -> None:
        schema["content"]["content"][name] = node

    def call(module: str, name: str, loader: str = "ConstructorFromReduceNode", text: str = "touch MARKER") -> Callable[[dict, dict], None]:
        argument = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": json.dumps(text), "is_json": True}
        args = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "content": [argument]}
        node = {"__class__": name, "__module__": module, "__loader__": loader, "content": args, "attrs": args}
        return lambda schema, members: attribute(schema, "coef_", node)

    def held(module: str, name: str) -> Callable[[dict, dict], None]:
        return lambda schema, members: attribute(schema, "coef_", {"__class__": name, "__module__": module, "__loader__": "FunctionNode"})

    def keys(schema: dict, members: dict) -> None:
        types = schema["content"]["key_types"]["content"]
        types[0] = {"__class__": "system", "__module__": "posix", "__loader__": "TypeNode"}

    def disguised(schema: dict, members: dict) -> None:
        """The node of a known name, and another one of the same number that comes first."""
        call("posix", "system")(schema, members)
        schema["content"]["content"]["coef_"]["__id__"] = 4711
        attribute(
            schema, "intercept_", {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": [], "__id__": 4711}
        )

    def dunder(schema: dict, members: dict) -> None:
        attribute(schema, "__class__", schema["content"]["content"]["coef_"])
        types = schema["content"]["key_types"]["content"]
        types.append(types[0])

    def method(schema: dict, members: dict) -> None:
        node = {"__class__": "LinearRegression", "__module__": "sklearn.linear_model._base", "__loader__": "MethodNode"}
        attribute(schema, "coef_", node | {"content": {"func": "__reduce__", "obj": json.loads(json.dumps(schema))}})

    def partial(schema: dict, members: dict) -> None:
        empty = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "content": []}
        none = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": "null", "is_json": True}
        function = {"__class__": "system", "__module__": "posix", "__loader__": "FunctionNode"}
        node = {"__class__": "partial", "__module__": "functools", "__loader__": "PartialNode"}
        attribute(schema, "coef_", node | {"content": {"func": function, "args": empty, "kwds": none, "namespace": none}})

    def array(data: bytes) -> Callable[[dict, dict], None]:
        def change(schema: dict, members: dict) -> None:
            members[next(name for name in members if name.endswith(".npy"))] = data

        return change

    def bomb(schema: dict, members: dict) -> None:
        members["bomb.npy"] = bytes(200 << 20)

    def objects() -> bytes:
        out = io.BytesIO()
        np.save(out, np.asarray([_Command()], object), allow_pickle=True)
        return out.getvalue()

    def claim() -> bytes:
        out = io.BytesIO()
        np.lib.format.write_array_header_1_0(out, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40,)})
        return out.getvalue()

    nested = io.BytesIO()
    with zipfile.ZipFile(nested, "w") as inner:
        inner.writestr("data.npy", objects())
    return {
        "constructor that runs a command": changed(call("posix", "system")),
        "object that is a command": changed(call("subprocess", "Popen", "ObjectNode")),
        "loss that is a command": changed(call("posix", "system", "LossNode")),
        "function of the system": changed(held("posix", "system")),
        "function of numpy that opens files": changed(held("numpy", "load")),
        "function of joblib": changed(held("joblib", "load")),
        "getter of operator": changed(call("operator", "attrgetter", "OperatorFuncNode")),
        "method of an object": changed(method),
        "partial of a command": changed(partial),
        "key type that is a command": changed(keys),
        "two nodes of one number": changed(disguised),
        "node of an unknown kind": changed(call("builtins", "dict", "QuantileForestNode")),
        "older protocol": changed(lambda schema, members: schema.update(protocol=0)),
        "dunder attribute": changed(dunder),
        "array of pickled objects": changed(array(objects())),
        "array that is an archive": changed(array(nested.getvalue())),
        "array that claims terabytes": changed(array(claim())),
        "200 MiB out of 200 kB": changed(bomb, packed=zipfile.ZIP_DEFLATED),
    }


class _Command:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, ("exit 1",)


def _linear() -> object:
    import numpy as np
    from sklearn.linear_model import LinearRegression

    return LinearRegression().fit(np.eye(8), np.arange(8.0))


def _bundles() -> dict[str, Write]:
    def bundle(text: str, artifact: bytes | None = None) -> Write:
        def write(folder: Path) -> Path:
            root = folder / "bundle"
            root.mkdir()
            (folder / "outside.py").write_text(f"open({str(folder / 'marker')!r}, 'w')\n")
            (folder / "outside.json").write_text("{}")
            (root / "hook.py").write_text("def load(folder): pass\n")
            (root / "link.json").symlink_to("/etc/passwd")
            (root / "link.pkl").symlink_to("/etc/passwd")
            command = f"touch {folder / 'marker'}"
            (root / "model.pkl").write_bytes(artifact or b"cposix\nsystem\n(V" + command.encode() + b"\ntR.")
            (root / "model.toml").write_text("format = 1\n" + text)
            return root

        return write

    model = '[artifact]\npath = "model.pkl"\n'
    return {
        "artifact above": bundle('[artifact]\npath = "../outside.py"\n'),
        "artifact at an absolute path": bundle('[artifact]\npath = "/etc/passwd"\n'),
        "artifact through a link": bundle('[artifact]\npath = "link.pkl"\n'),
        "resource above": bundle(model + '[resources]\nx = "../outside.json"\n'),
        "resource through a link": bundle(model + '[resources]\nx = "link.json"\n'),
        "hook above": bundle(model + '[hooks]\npredict = "../outside.py:x"\n'),
        "hook at an absolute path": bundle(model + '[hooks]\npredict = "/etc/passwd:x"\n'),
        "hook without a function": bundle(model + '[hooks]\npredict = "hook.py"\n'),
        "trust for what is never trusted": bundle(model + 'trust = ["posix.system"]\n'),
        "trust that is no list": bundle(model + "trust = [1]\n"),
        "another digest": bundle(model + f'sha256 = "{"0" * 64}"\n'),
        "name with a path": bundle('name = "../x"\n' + model),
        "route that climbs": bundle(model + '[api]\nroute = "/../admin?x"\n'),
        "unknown key": bundle(model + '[exec]\nrun = "touch marker"\n'),
        "sandbox opened by something else": bundle(model + "[sandbox]\nnetwork = 1\n"),
        "another format": lambda folder: bundle("")(folder) / "none",
    }


HOSTILE: dict[str, Callable[[], dict[str, Write]]] = {
    "pickle": _pickles,
    "keras": _keras_files,
    "onnx": _graphs,
    "xgboost": _xgboost_files,
    "lightgbm": _lightgbm_files,
    "booster": _boosters,
    "skops": _skops,
    "bundle": _bundles,
}


def _good() -> dict[str, bytes]:
    import joblib
    from onnx import helper
    from skops.io import dumps

    model = _linear()
    packed = io.BytesIO()
    joblib.dump(model, packed, compress=3)
    ports = [helper.make_tensor_value_info(name, FLOAT, ["n", 3]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", ports[:1], ports[1:])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return {
        ".pkl": pickle.dumps(model, 4),
        ".joblib": packed.getvalue(),
        ".hdf5": (KERAS / "sentiment.hdf5").read_bytes(),
        ".keras": (KERAS / "sentiment.keras").read_bytes(),
        ".onnx": made.SerializeToString(),
        ".skops": dumps(model),
        ".ubj": (XGBOOST / "binary.ubj").read_bytes(),
        ".json": (XGBOOST / "three.json").read_bytes(),
        ".txt": (LIGHTGBM / "three.txt").read_bytes().rstrip(),
    }


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "its first byte": lambda data: data[:1],
    "a quarter": lambda data: data[: len(data) // 4],
    "half": lambda data: data[: len(data) // 2],
    "three quarters": lambda data: data[: len(data) * 3 // 4],
    "without its last byte": lambda data: data[:-1],
    "zeros": lambda data: bytes(len(data)),
    "another beginning": lambda data: b"\xff\xfe\xfd\xfc" + data[4:],
    "backwards": lambda data: data[::-1],
}


def corrupt() -> dict[str, Write]:
    """Return every kind of damage to a good file of every format."""

    def writer(suffix: str, data: bytes) -> Write:
        return lambda folder: _write(folder / f"model{suffix}", data)

    cases = {f"{suffix}: {name}": writer(suffix, damage(data)) for suffix, data in _good().items() for name, damage in DAMAGE.items()}
    cases["text"] = writer(".pkl", b"<html>not found</html>")
    cases["a pickle named .onnx"] = writer(".onnx", _good()[".pkl"])
    cases["an archive named .pkl"] = writer(".pkl", _good()[".keras"])
    return cases


def verdict(path: Path) -> tuple[int, str]:
    """Return the exit code and the sentence that ``modelport inspect`` ends with for a file."""
    from modelport.config import resolve
    from modelport.errors import ModelportError
    from modelport.server.look import look

    try:
        seen = look(path, resolve({}, environment={}))
    except ModelportError as error:
        return error.exit_code, f"{error.code}: {error.message}"
    return seen.exit_code, "" if seen.report is None else f"{seen.report.verdict}: {seen.report.problem}"


def _measure(paths: list[str]) -> None:
    slowest, name = 0.0, ""
    for path in paths:
        started = time.perf_counter()
        verdict(Path(path))
        seconds = time.perf_counter() - started
        if seconds > slowest:
            slowest, name = seconds, path
    # Not getrusage: its peak is that of whoever started this process, too.
    peak_mib = next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")) / 1024
    print(json.dumps({"files": len(paths), "peak_mib": round(peak_mib), "slowest_s": round(slowest, 3), "slowest": name}))


if __name__ == "__main__":
    _measure(sys.argv[1:])
