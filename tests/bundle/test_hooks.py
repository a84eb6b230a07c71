"""Hooks: how arguments are bound, what each annotation gets, and what is said where something is missing."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import numpy as np
import pandas as pd
import pytest

from modelport.bundle.folder import Bundle, open_bundle
from modelport.bundle.hooks import Hook, bind
from modelport.columns import Columns
from modelport.errors import LoadError, ManifestError
from modelport.schema import Field, Schema

SCHEMA = Schema((Field("id", "int64", role="key"), Field("a", "float64"), Field("b", "float64")))
ROWS = Columns({"id": np.array([7, 8]), "a": np.array([1.0, 2.0]), "b": np.array([3.0, 4.0])})


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Bundle]]:
    """Write a bundle with hook code, hooks and resources; afterwards the interpreter is as before."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    modules = dict(sys.modules)

    def make(code: str, hooks: dict[str, str], resources: dict[str, bytes] | None = None) -> Bundle:
        (tmp_path / "h.py").write_text(dedent(code))
        (tmp_path / "a.bin").write_bytes(b"")
        toml = 'format = 1\n[artifact]\npath = "a.bin"\n[hooks]\n' + "".join(f'{name} = "h.py:{spec}"\n' for name, spec in hooks.items())
        toml += "[resources]\n"
        for name, content in (resources or {}).items():
            (tmp_path / name).write_bytes(content)
            toml += f'{name.split(".")[0]} = "{name}"\n'
        (tmp_path / "model.toml").write_text(toml)
        return open_bundle(tmp_path)

    yield make
    for name in set(sys.modules) - set(modules):
        del sys.modules[name]


def bind_one(
    bundle: Callable[..., Bundle], signature: str, hook: str = "predict", body: str = "return locals()", **resources: bytes
) -> Hook:
    code = f"import numpy, numpy as np, numpy.typing as npt\nfrom modelport.columns import Columns\ndef f({signature}): {body}\n"
    return bind(bundle(code, {hook: "f"}, {name + ".json": content for name, content in resources.items()}))[hook]


def test_a_bundle_without_hooks_binds_none_and_reads_no_resource(bundle):
    assert bind(bundle("", {}, {"broken.json": b"{"})) == {}


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        ("", pd.DataFrame),
        (": 'pandas.DataFrame'", pd.DataFrame),
        (": object", pd.DataFrame),
        (": list[np.ndarray]", pd.DataFrame),
        (": np.ndarray", np.ndarray),
        (": numpy.ndarray", np.ndarray),
        (": 'np.ndarray'", np.ndarray),
        (": 'ndarray'", np.ndarray),
        (": npt.NDArray[np.float64]", np.ndarray),
        (": 'npt.NDArray[np.float64]'", np.ndarray),
        (": np.ndarray | None", np.ndarray),
        (": 'np.ndarray | None'", np.ndarray),
        (": '\"np.ndarray\"'", np.ndarray),
        (": 'np.NeverHeardOf'", pd.DataFrame),
        (": Columns", Columns),
        (": 'columns.Columns'", Columns),
    ],
)
def test_the_annotation_of_the_rows_says_in_which_form_they_come(bundle, annotation, kind):
    rows = bind_one(bundle, f"model, x{annotation}").rows(ROWS, SCHEMA)
    assert type(rows) is kind
    if kind is np.ndarray:
        assert rows.tolist() == [[1.0, 3.0], [2.0, 4.0]]  # the features, without the key
    else:
        assert list(rows) == ["id", "a", "b"]


def test_a_postponed_annotation_is_read_without_running_it(bundle):
    code = "from __future__ import annotations\ndef f(model, x: nowhere.ndarray): ...\n"
    assert bind(bundle(code, {"predict": "f"}))["predict"].forms == ("frame", "matrix")


def test_each_argument_of_postprocess_has_its_own_form_and_y_holds_the_answers_columns(bundle):
    hook = bind_one(bundle, "y: np.ndarray, x", hook="postprocess")
    answer = Columns({"p": np.array([0.1, 0.2]), "q": np.array([0.9, 0.8])})
    assert hook.answer(answer).tolist() == [[0.1, 0.9], [0.2, 0.8]]
    assert isinstance(hook.rows(ROWS, SCHEMA), pd.DataFrame)
    other = bind_one(bundle, "y, x: Columns", hook="postprocess")
    assert list(other.answer(answer).columns) == ["p", "q"]
    assert other.rows(ROWS, SCHEMA) is ROWS


@pytest.mark.parametrize(
    ("signature", "bound"),
    [
        ("model, x, words", {"words": {"a": 1}}),
        ("m, text_data, words, more=3", {"words": {"a": 1}, "more": 3}),
        ("model, x, words=None", {"words": {"a": 1}}),
        ("model, x, *, words", {"words": {"a": 1}}),
        ("model, x, *rest, words", {"words": {"a": 1}, "rest": ()}),
        ("model, x, **rest", {"rest": {}}),
        ("model, /, x, words", {"words": {"a": 1}}),
        ("model, x", {}),
    ],
)
def test_further_arguments_bind_by_name_to_resources_and_keep_their_defaults(bundle, signature, bound):
    found = bind_one(bundle, signature, words=b'{"a": 1}').call("M", "X")
    leading = list(found)[:2]
    assert [found.pop(name) for name in leading] == ["M", "X"]
    assert found == bound


def test_arguments_of_any_number_take_the_leading_ones(bundle):
    hook = bind_one(bundle, "*arguments, words=None, **rest", words=b"3")
    assert hook.call("M", "X") == {"arguments": ("M", "X"), "words": 3, "rest": {}}
    assert hook.forms == ("frame", "frame")
    assert bind_one(bundle, "model, *rest").call("M", "X") == {"model": "M", "rest": ("X",)}


@pytest.mark.parametrize(
    ("hook", "signature", "says"),
    [
        ("predict", "model", "hook predict takes the arguments (model); expected (predictor, x, …)"),
        ("predict", "", "hook predict takes the arguments (none); expected"),
        ("predict", "model, *, x", "hook predict takes the arguments (model, x); expected"),
        ("predict", "**rest", "expected (predictor, x, …)"),
        ("load", "", "hook load takes the arguments (none); expected (folder, …)"),
        ("preprocess", "", "expected (x, …)"),
        ("postprocess", "y", "hook postprocess takes the arguments (y); expected (y, x, …)"),
        ("predict", "model, x, words", 'hook predict wants "words", which cannot be bound by name to one of [resources] (they are: none)'),
        ("preprocess", "x, words", 'hook preprocess wants "words"'),
    ],
)
def test_a_signature_that_cannot_be_called_is_named_with_what_was_expected(bundle, hook, signature, says):
    with pytest.raises(ManifestError) as error:
        bind_one(bundle, signature, hook=hook)
    assert says in str(error.value)


def test_a_resource_is_bound_by_name_only(bundle):
    with pytest.raises(ManifestError, match=r'wants "words", which cannot be bound by name .* \(they are: words\)'):
        bind_one(bundle, "model, x, words, /", words=b"3")


def array_bytes(tmp_path: Path, name: str, **arrays: np.ndarray) -> bytes:
    path = tmp_path / ("saved" + name)
    np.savez(path, **arrays) if name == ".npz" else np.save(path, arrays["a"])
    content = path.read_bytes()
    path.unlink()
    return content


def test_resources_come_as_what_their_suffix_says(bundle, tmp_path):
    resources = {
        "words.json": '{"é": [1]}'.encode(),
        "table.npy": array_bytes(tmp_path, ".npy", a=np.arange(3)),
        "many.npz": array_bytes(tmp_path, ".npz", a=np.arange(2), b=np.ones(1)),
        "LOUD.JSON": b"[1]",
        "notes.txt": b"x",
    }
    found = bind(bundle("def f(m, x, words, table, many, LOUD, notes): return locals()", {"predict": "f"}, resources))["predict"].call(1, 2)
    assert found["words"] == {"é": [1]}
    assert found["table"].tolist() == [0, 1, 2]
    assert {name: array.tolist() for name, array in found["many"].items()} == {"a": [0, 1], "b": [1.0]}
    assert found["LOUD"] == [1]
    assert found["notes"] == (tmp_path / "notes.txt").resolve()


def objects() -> bytes:
    import io

    out = io.BytesIO()
    np.save(out, np.array([print], object), allow_pickle=True)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.json", b"{"),
        ("r.json", b"\xff"),
        ("r.json", b"[" * 100_000),
        ("r.npy", b""),
        ("r.npy", b"text"),
        ("r.npy", b"\x93NUMPY\x01\x00v\x00{"),
        ("r.npy", objects()),
        ("r.npz", b"PK\x03\x04 cut short"),
        ("r.npz", b""),
    ],
)
def test_a_damaged_resource_is_named_and_no_pickle_in_one_is_read(bundle, name, content):
    with pytest.raises(LoadError, match=f'resource "{name}" cannot be read as {name[2:]}: '):
        bind(bundle("def f(m, x): ...", {"predict": "f"}, {name: content}))


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        ("def g(): ...", ManifestError, 'hook predict = "h.py:f": the file has no function "f"; define it or correct model.toml'),
        ("f = 3", ManifestError, 'the file has no function "f"'),
        ("f = dict", ManifestError, "its arguments cannot be read"),
        ("import nowhere", LoadError, 'hook file "h.py" failed on import: ModuleNotFoundError: No module named'),
        ("def f(:", LoadError, "failed on import: SyntaxError"),
        ("raise SystemExit(3)", LoadError, "failed on import: SystemExit: 3"),
    ],
)
def test_a_hook_file_that_cannot_be_used_is_named_with_the_reason(bundle, code, kind, says):
    with pytest.raises(kind) as error:
        bind(bundle(code, {"predict": "f"}))
    assert says in str(error.value)
    if kind is LoadError:
        assert "h" not in sys.modules


def test_a_file_of_another_kind_is_no_hook_file(bundle, tmp_path):
    made = bundle("def f(m, x): ...", {"predict": "f"})
    (tmp_path / "f.txt").write_text("")
    (tmp_path / "model.toml").write_text((tmp_path / "model.toml").read_text().replace("h.py", "f.txt"))
    with pytest.raises(ManifestError, match=r'"f.txt" is not a Python file'):
        bind(open_bundle(made.root))


def test_a_hook_may_be_a_class_or_any_callable_and_a_file_is_imported_once(bundle):
    code = """
        import sys
        count = []
        count.append(1)
        class Load:
            def __init__(self, folder): self.folder = folder
        class Predict:
            def __call__(self, model, x): return len(count)
        predict = Predict()
    """
    hooks = bind(bundle(code, {"load": "Load", "predict": "predict"}))
    assert hooks["load"].call("F").folder == "F"
    assert hooks["predict"].call(1, 2) == 1


def test_a_hook_sees_its_neighbours_and_its_module_can_be_found_by_pickles(bundle, tmp_path):
    (tmp_path / "neighbour_of_hooks.py").write_text("VALUE = 5")
    hook = bind(bundle("import neighbour_of_hooks\ndef f(m, x): return neighbour_of_hooks.VALUE", {"predict": "f"}))["predict"]
    assert hook.call(1, 2) == 5
    assert sys.modules["h"].f is not None


def test_a_hook_file_named_like_a_library_does_not_replace_it(bundle, tmp_path):
    made = bundle("def f(m, x): ...", {"predict": "f"})
    (tmp_path / "h.py").rename(tmp_path / "json.py")
    (tmp_path / "model.toml").write_text((tmp_path / "model.toml").read_text().replace("h.py", "json.py"))
    assert "predict" in bind(open_bundle(made.root))
    assert sys.modules["json"] is json
