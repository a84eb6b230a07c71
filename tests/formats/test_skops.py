"""skops files: read under the allow-list for pickles, loaded by skops with what it approved, equal to the model that was saved."""

from __future__ import annotations

import importlib
import io
import json
import sys
import zipfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from modelport import formats
from modelport.bundle.folder import open_bundle
from modelport.config import resolve
from modelport.errors import LoadError, MissingExtra, ModelportError, NeedsTrust, RefusedFile, UnreadableFile
from modelport.formats import skops, versions
from modelport.formats.base import Options
from modelport.formats.estimator import from_estimator
from modelport.server import once

sio = pytest.importorskip("skops.io")
pytest.importorskip("sklearn")

from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier  # noqa: E402
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer  # noqa: E402
from sklearn.linear_model import LinearRegression, LogisticRegression  # noqa: E402
from sklearn.neighbors import KNeighborsClassifier  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.svm import SVC  # noqa: E402

TOOLS = Path(__file__).parent.parent.parent / "tools"
NONE = Options()
RNG = np.random.default_rng(0)
X = RNG.random((30, 3))
Y = np.asarray(["no", "yes", "never"])[np.arange(30) % 3]
SCALAR = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "is_json": True}
LIST = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode"}

TWICE = """
class Twice:
    def __init__(self):
        self.n_features_in_ = 1

    def predict(self, X):
        return X[:, 0] * 2
"""
MODELS: dict[str, Callable[[], object]] = {
    "linear": lambda: LinearRegression().fit(X, X[:, 0]),
    "forest": lambda: RandomForestClassifier(3).fit(X, Y),
    "histograms": lambda: HistGradientBoostingClassifier(max_iter=2).fit(X, Y),
    "neighbours": lambda: KNeighborsClassifier(3, algorithm="kd_tree").fit(X, Y),
    "vectors": lambda: SVC().fit(X, Y),
    "texts": lambda: make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["good", "bad"] * 5, [1, 0] * 5),
}


def save(path: Path, model: object, *, packed: int = zipfile.ZIP_STORED) -> Path:
    path.write_bytes(sio.dumps(model, compression=packed))
    return path


def edit(path: Path, change: Callable[[dict, dict], None], model: object | None = None) -> Path:
    """Save a model with its schema and members changed."""
    with zipfile.ZipFile(io.BytesIO(sio.dumps(model if model is not None else MODELS["linear"]()))) as good:
        members = {name: good.read(name) for name in good.namelist()}
    schema = json.loads(members["schema.json"])
    change(schema, members)
    members.setdefault("schema.json", b"")
    members["schema.json"] = json.dumps(schema).encode()
    with zipfile.ZipFile(path, "w") as out:
        for name, data in members.items():
            out.writestr(name, data)
    return path


def attributes(schema: dict) -> dict:
    return schema["content"]["content"]


def put(name: str, node: dict) -> Callable[[dict, dict], None]:
    def change(schema: dict, members: dict) -> None:
        attributes(schema)[name] = node

    return change


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("packed", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_model_answers_as_the_one_that_was_saved(name: str, packed: int, tmp_path: Path) -> None:
    model = MODELS[name]()
    path = save(tmp_path / "model.skops", model, packed=packed)
    report = formats.inspect(path, NONE)
    assert (report.format, report.library, report.verdict, report.plan) == ("skops", "scikit-learn", "loadable", "native")
    assert report.library_version == versions.installed()
    assert report.model == type(model).__name__
    assert report.size_bytes == path.stat().st_size
    assert {item.kind for item in report.globals} == {"known"}
    wanted, loaded = from_estimator(model, NONE), formats.load(path, NONE)
    assert repr(report.schema) == repr(wanted.schema) == repr(loaded.schema)
    rows = wanted.schema.sample(4)
    expected, got = wanted.predict(rows, None), loaded.predict(rows, None)
    for output in expected:
        np.testing.assert_array_equal(got[output], expected[output])


@pytest.mark.slow
def test_it_is_served_by_a_sandboxed_worker(tmp_path: Path) -> None:
    path = save(tmp_path / "model.skops", MODELS["forest"]())
    schema = once.describe(open_bundle(path), resolve({}, environment={}))
    assert schema.classes == ("never", "no", "yes")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_every_model_that_skops_writes_and_scikit_learn_answers_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TOOLS))
    fitted, served, told = importlib.import_module("fitted"), 0, 0
    for sample in fitted.samples():
        if type(sample.model).__module__.partition(".")[0] != "sklearn" or sample.name.startswith(("scorer", "splitter")):
            continue
        try:
            path = save(tmp_path / "model.skops", sample.model)
            wanted = from_estimator(sample.model, NONE)
        except Exception:  # what skops does not write, and what nobody can serve
            continue
        report, loaded = formats.inspect(path, NONE), formats.load(path, NONE)
        assert (report.verdict, report.problem) == ("loadable", ""), sample.name
        assert repr(loaded.schema) == repr(wanted.schema)
        if report.schema is not None:
            assert repr(report.schema) == repr(wanted.schema), sample.name
            told += 1
        served += 1
    assert served > 250
    assert told / served > 0.9


def test_the_users_own_classes_need_code_or_trust(tmp_path: Path) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    name = f"own_{tmp_path.name}".replace("-", "_")
    (folder / f"{name}.py").write_text(TWICE)
    sys.path.insert(0, str(folder))
    try:
        path = save(tmp_path / "model.skops", importlib.import_module(name).Twice())
    finally:
        sys.path.remove(str(folder))
        del sys.modules[name]
    report = formats.inspect(path, NONE)
    assert report.verdict == "needs_trust"
    assert f"{name}.Twice" in report.problem
    assert "--code PATH" in report.cure
    with pytest.raises(NeedsTrust, match="--code PATH"):
        formats.load(path, NONE)
    given = Options(code=(folder,))
    assert formats.inspect(path, given).verdict == "loadable"
    assert skops.load(path, given).native.predict(np.ones((2, 1))).tolist() == [2.0, 2.0]


def test_what_a_script_defined_is_not_found_by_skops(tmp_path: Path) -> None:
    code = tmp_path / "script.py"
    code.write_text("class Own:\n    pass\n")
    node = {"__class__": "Own", "__module__": "__main__", "__loader__": "ObjectNode"}
    path = edit(tmp_path / "model.skops", put("coef_", node))
    with pytest.raises(LoadError, match="put it in a module"):
        formats.load(path, Options(code=(code,)))


def aged(path: Path, model: object, version: str) -> Path:
    """Save a model as if another scikit-learn had written it."""
    save(path, model)
    with zipfile.ZipFile(path) as good:
        members = {name: good.read(name) for name in good.namelist()}
    members["schema.json"] = members["schema.json"].replace(f'\\"{versions.installed()}\\"'.encode(), f'\\"{version}\\"'.encode())
    with zipfile.ZipFile(path, "w") as out:
        for name, data in members.items():
            out.writestr(name, data)
    return path


def test_a_file_of_an_older_version_that_needs_repairs_is_not_served(tmp_path: Path) -> None:
    path = aged(tmp_path / "model.skops", MODELS["forest"](), "1.2.2")
    report = formats.inspect(path, NONE)
    assert (report.plan, report.library_version) == ("none", "1.2.2")
    assert "save it there with joblib" in report.problem
    with pytest.raises(LoadError, match="needs repairs"):
        formats.load(path, NONE)


def test_a_file_of_an_older_version_that_needs_none_is_served(tmp_path: Path) -> None:
    path = aged(tmp_path / "model.skops", MODELS["linear"](), "1.7.2")
    assert formats.inspect(path, NONE).plan == "native"
    loaded = formats.load(path, NONE)
    assert loaded.predict(loaded.schema.sample(2), None).rows == 2


def test_a_file_of_a_newer_version_is_not_served(tmp_path: Path) -> None:
    path = aged(tmp_path / "model.skops", MODELS["linear"](), "99.0")
    assert "an older library cannot know" in formats.inspect(path, NONE).problem
    with pytest.raises(LoadError, match="load it with the version that wrote it"):
        formats.load(path, NONE)


def _tuple(*items: dict) -> dict:
    return {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "content": list(items)}


def _scalar(value: object) -> dict:
    return SCALAR | {"content": json.dumps(value)}


def _alias(schema: dict, members: dict) -> None:
    """Two lists of one number: skops would take the first of them for both."""
    attributes(schema)["coef_"] = LIST | {"content": [], "__id__": 1}
    attributes(schema)["intercept_"] = LIST | {"content": [_scalar(1)], "__id__": 1}


def _keys_that_are_an_alias(schema: dict, members: dict) -> None:
    held = {"__class__": "check_array", "__module__": "sklearn.utils.validation", "__loader__": "FunctionNode", "__id__": 77}
    attributes(schema)["coef_"] = held
    attributes(schema)["intercept_"] = {
        "__class__": "dict",
        "__module__": "builtins",
        "__loader__": "DictNode",
        "key_types": LIST | {"content": [{"__class__": "str", "__module__": "builtins", "__loader__": "TypeNode", "__id__": 77}]},
        "content": {"a": _scalar(1)},
    }


def _defaults(factory: dict) -> dict:
    empty = {"__class__": "dict", "__module__": "builtins", "__loader__": "DictNode", "key_types": LIST | {"content": []}, "content": {}}
    content = {"main": empty, "default_factory": factory}
    return {"__class__": "defaultdict", "__module__": "collections", "__loader__": "DefaultDictNode", "content": content}


def _type(dotted: str) -> dict:
    module, _, name = dotted.rpartition(".")
    return {"__class__": name, "__module__": module, "__loader__": "TypeNode"}


def _generator(name: str) -> dict:
    types = LIST | {"content": [_type("builtins.str")]}
    state = {"__class__": "dict", "__module__": "builtins", "__loader__": "DictNode", "key_types": types}
    state["content"] = {"bit_generator": _scalar(name)}
    content = {"bit_generator": state}
    return {"__class__": "Generator", "__module__": "numpy.random._generator", "__loader__": "RandomGeneratorNode", "content": content}


def _array(**facts: object) -> dict:
    return {"__class__": "ndarray", "__module__": "numpy", "__loader__": "NdArrayNode", **facts}


REFUSED: dict[str, tuple[Callable[[dict, dict], None], str]] = {
    "alias": (_alias, "say different things"),
    "alias of a key's type": (_keys_that_are_an_alias, "say different things"),
    "number that is none": (put("coef_", LIST | {"content": [], "__id__": 1.0}), "no number for its name"),
    "list that is a Popen": (
        put("coef_", LIST | {"__class__": "Popen", "__module__": "subprocess", "content": []}),
        "expected builtins.list",
    ),
    "factory that is called": (put("coef_", _defaults(_type("sklearn.linear_model._base.LinearRegression"))), "DefaultDictNode|expected"),
    "factory that is no type": (put("coef_", _defaults(LIST | {"content": []})), "something else than a built-in type"),
    "generator that is a function": (put("coef_", _generator("seed")), "not one of numpy's"),
    "object array without its members": (put("coef_", _array(type="json", content=[], shape=_tuple(_scalar(3)))), "0 members"),
    "object array without a shape": (put("coef_", _array(type="json", content=[], shape=_scalar(3))), "no proper shape"),
    "array of another kind": (put("coef_", _array(type="pickle", file="x")), "expected numpy or json"),
    "name that no module can have": (put("coef_", _type("os..system")), "no Python module can have"),
    "known name in another role": (
        put("coef_", {"__class__": "log1p", "__module__": "numpy", "__loader__": "ConstructorFromReduceNode", "content": _tuple()}),
        "in another way than any model",
    ),
    "date of a list": (
        put(
            "coef_",
            {"__class__": "date", "__module__": "datetime", "__loader__": "ConstructorFromReduceNode", "content": LIST | {"content": []}},
        ),
        "arguments that are no tuple",
    ),
    "tree of texts": (
        put(
            "coef_",
            {
                "__class__": "Tree",
                "__module__": "sklearn.tree._tree",
                "__loader__": "TreeNode",
                "__reduce__": {"args": _tuple(_scalar("x"))},
                "content": _scalar(None),
            },
        ),
        "something else than numbers",
    ),
    "slice of nodes": (
        put("coef_", {"__class__": "slice", "__module__": "builtins", "__loader__": "SliceNode", "content": {"start": {}}}),
        "neither numbers nor names",
    ),
    "keys without types": (lambda schema, members: schema["content"]["key_types"].update(content=[]), "another number of keys"),
    "keys of another kind": (lambda schema, members: schema["content"].update(key_types=_tuple()), "no list of the types"),
    "protocol that is true": (lambda schema, members: schema.update(protocol=True), "the protocol True"),
    "random state of another class": (
        put("coef_", {"__class__": "Popen", "__module__": "subprocess", "__loader__": "RandomStateNode", "content": _scalar(1)}),
        "expected numpy.random",
    ),
    "data type of a text": (
        put("coef_", {"__class__": "dtype", "__module__": "numpy", "__loader__": "DTypeNode", "content": _scalar("f8")}),
        "something else than an array",
    ),
    "key that is no type": (
        lambda schema, members: schema["content"]["key_types"]["content"].__setitem__(0, _scalar("x")),
        "something else than a type",
    ),
    "date of a function": (
        put(
            "coef_",
            {
                "__class__": "date",
                "__module__": "datetime",
                "__loader__": "ConstructorFromReduceNode",
                "content": _tuple({"__class__": "log1p", "__module__": "numpy", "__loader__": "FunctionNode"}),
            },
        ),
        "with a function as an argument",
    ),
    "loss of another module": (
        put("coef_", {"__class__": "Popen", "__module__": "subprocess", "__loader__": "LossNode"}),
        "expected one of scikit-learn's",
    ),
    "partial of something": (
        put(
            "coef_",
            {
                "__class__": "partial",
                "__module__": "functools",
                "__loader__": "PartialNode",
                "content": {
                    "func": {"__class__": "log1p", "__module__": "numpy", "__loader__": "FunctionNode"},
                    "args": _tuple(),
                    "kwds": _scalar(None),
                    "namespace": _scalar(None),
                },
            },
        ),
        "anything but scikit-learn's check_array",
    ),
    "sparse matrix that is none": (
        put(
            "coef_",
            {"__class__": "csr_matrix", "__module__": "scipy.sparse._csr", "__loader__": "SparseMatrixNode", "type": "x", "file": "y"},
        ),
        "none of scipy's",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_skops_does_not_write_is_refused(name: str, tmp_path: Path) -> None:
    change, words = REFUSED[name]
    path = edit(tmp_path / "model.skops", change)
    report = formats.inspect(path, NONE)
    assert report.verdict == "refused"
    with pytest.raises(RefusedFile, match=words):
        formats.load(path, NONE)


def _no_member(schema: dict, members: dict) -> None:
    del members[attributes(schema)["coef_"]["file"]]


def _header(text: bytes) -> Callable[[dict, dict], None]:
    def change(schema: dict, members: dict) -> None:
        members[attributes(schema)["coef_"]["file"]] = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text

    return change


def _wrong_key(schema: dict, members: dict) -> None:
    attributes(schema)["coef_"] = {
        "__class__": "dict",
        "__module__": "builtins",
        "__loader__": "DictNode",
        "key_types": LIST | {"content": [_type("builtins.int")]},
        "content": {"one": _scalar(1)},
    }


DAMAGED: dict[str, Callable[[dict, dict], None]] = {
    "key that is no number": _wrong_key,
    "member that is not there": _no_member,
    "header that does not parse": _header(b"{'descr': "),
    "header that is deep": _header(b"(" * 9000),
    "header that is too long": lambda schema, members: members.update({attributes(schema)["coef_"]["file"]: b"\x93NUMPY\x01\x00\xff\xff"}),
    "node that is none": put("coef_", [1]),
    "list that is none": put("coef_", LIST | {"content": {}}),
    "node without its parts": put("coef_", LIST),
    "value that is none": put("coef_", SCALAR | {"content": "[1]"}),
    "value that does not parse": put("coef_", SCALAR | {"content": "1x"}),
    "object array that is none": put("coef_", _array(type="json", content={}, shape=_tuple(_scalar(1)))),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_damaged_is_unreadable(name: str, tmp_path: Path) -> None:
    path = edit(tmp_path / "model.skops", DAMAGED[name])
    for look in (formats.inspect, formats.load):
        with pytest.raises(UnreadableFile, match=r"damaged|copy"):
            look(path, NONE)


def test_plain_values_beyond_the_standard_are_read(tmp_path: Path) -> None:
    def change(schema: dict, members: dict) -> None:
        attributes(schema)["coef_"] = LIST | {
            "content": [SCALAR | {"content": text} for text in ("NaN", "-Infinity", "Infinity", "1" * 40)]
        }

    path = edit(tmp_path / "model.skops", change)
    assert formats.inspect(path, NONE).verdict == "loadable"


def test_sets_defaults_slices_and_large_arrays_are_read(tmp_path: Path) -> None:
    model = MODELS["linear"]()
    model.held = [{1, 2}, slice(1, 2), defaultdict(int, {"a": 1}), np.zeros((2, 200_000)), np.dtype("f4"), b"x", 10**30, {1: "a", 2.5: "b"}]
    path = save(tmp_path / "model.skops", model)
    report = formats.inspect(path, NONE)
    assert (report.verdict, report.problem) == ("loadable", "")
    assert formats.load(path, NONE).native.held[2] == {"a": 1}


def test_a_member_whose_bytes_were_changed_is_unreadable(tmp_path: Path) -> None:
    path = save(tmp_path / "model.skops", MODELS["linear"]())
    data = path.read_bytes()
    at = data.index(b"\x93NUMPY") + 130
    path.write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
    with pytest.raises(UnreadableFile, match="is damaged"):
        formats.inspect(path, NONE)


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    def change(schema: dict, members: dict) -> None:
        node: dict = LIST | {"content": []}
        for _ in range(400):
            node = LIST | {"content": [node]}
        attributes(schema)["coef_"] = node

    path = edit(tmp_path / "model.skops", change)
    assert "nests deeper" in formats.inspect(path, NONE).problem


def test_a_schema_that_is_no_json_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("schema.json", "{")
    with pytest.raises(UnreadableFile, match="no JSON"):
        formats.inspect(path, NONE)


def test_an_archive_of_too_many_members_or_of_none_is_refused(tmp_path: Path) -> None:
    from modelport.formats.skops_archive import open_archive

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("other.json", "{}")
    with pytest.raises(RefusedFile, match=r"no schema\.json"):
        open_archive(out.getvalue())
    with pytest.raises(UnreadableFile, match="no whole zip archive"):
        open_archive(b"PK")


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"shape.npy": b"x", "format.npy": b"x", "more.pkl": b"x"}, RefusedFile),
        ({"format.npy": b"x"}, RefusedFile),
        ({"shape.npy": b"x", "format.npy": b"x"}, RefusedFile),
        (None, UnreadableFile),
    ],
)
def test_a_sparse_matrix_holds_its_arrays_only(tmp_path: Path, members: dict | None, error: type[ModelportError]) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as out:
        for name, data in (members or {}).items():
            out.writestr(name, data)

    def change(schema: dict, files: dict) -> None:
        files["m.npz"] = inner.getvalue() if members is not None else b"nothing"
        attributes(schema)["coef_"] = {
            "__class__": "csr_matrix",
            "__module__": "scipy.sparse._csr",
            "__loader__": "SparseMatrixNode",
            "type": "scipy",
            "file": "m.npz",
        }

    path = edit(tmp_path / "model.skops", change)
    with pytest.raises(error):
        formats.load(path, NONE)


def test_a_vectorizer_of_file_names_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("some words")
    path = save(tmp_path / "model.skops", CountVectorizer(input="filename").fit([str(tmp_path / "a.txt")]))
    assert formats.inspect(path, NONE).verdict == "refused"
    with pytest.raises(RefusedFile, match="file names"):
        formats.load(path, NONE)


def test_boosters_are_refused_with_the_way_out(tmp_path: Path) -> None:
    xgboost = pytest.importorskip("xgboost")
    path = save(tmp_path / "model.skops", xgboost.XGBClassifier(n_estimators=2).fit(X, np.arange(30) % 2))
    assert "save it in xgboost's own format" in formats.inspect(path, NONE).problem


def test_an_edited_tree_is_refused(tmp_path: Path) -> None:
    model = MODELS["forest"]()
    tree = model.estimators_[0].tree_

    def change(schema: dict, members: dict) -> None:
        for name, data in members.items():
            if name.endswith(".npy") and b"left_child" in data[:400] and len(data) > 300:
                start = data.index(b"\n") + 1
                nodes = np.frombuffer(data[start:], tree.__getstate__()["nodes"].dtype).copy()
                nodes["left_child"][0] = 1 << 40
                members[name] = data[:start] + nodes.tobytes()

    path = edit(tmp_path / "model.skops", change, model)
    with pytest.raises(RefusedFile, match="not what fitting makes"):
        formats.load(path, NONE)


def test_what_is_no_estimator_is_not_served(tmp_path: Path) -> None:
    path = save(tmp_path / "model.skops", {"a": 1})
    assert formats.inspect(path, NONE).model == "dict"
    with pytest.raises(LoadError, match="an estimator with predict or transform was expected"):
        formats.load(path, NONE)


def test_what_skops_cannot_build_is_one_sentence(tmp_path: Path) -> None:
    def change(schema: dict, members: dict) -> None:
        schema["content"] = _tuple()

    path = edit(tmp_path / "model.skops", change)
    with pytest.raises(LoadError, match="cannot be built with the libraries installed here"):
        formats.load(path, NONE)


def test_without_skops_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "model.skops", MODELS["linear"]())
    monkeypatch.setitem(sys.modules, "skops.io", None)
    assert formats.inspect(path, NONE).verdict == "loadable"
    with pytest.raises(MissingExtra, match=r"modelport\[skops\]"):
        formats.load(path, NONE)


def test_an_old_skops_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "model.skops", MODELS["linear"]())
    monkeypatch.setattr(skops.metadata, "version", lambda name: "0.12.0")
    with pytest.raises(MissingExtra, match=r"0\.13 or later"):
        skops._made(path.read_bytes(), [])
