"""A bundle at work: artifact and hooks joined in all ways, as one function from columns to columns."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from modelport.bundle.folder import Bundle, open_bundle
from modelport.bundle.manifest import HOOKS, Manifest
from modelport.bundle.model import Model, load_model
from modelport.errors import ManifestError, ModelError, SchemaError, UnreadableFile
from modelport.formats.base import Options
from modelport.schema import Field

INPUTS = """
[[inputs]]
name = "id"
type = "int64"
role = "key"
[[inputs]]
name = "x0"
type = "float64"
[[inputs]]
name = "x1"
type = "float64"
"""


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Model]]:
    """Load a bundle of hook code and manifest; with an artifact, y = x0 + 10 x1 from a pickle, unless told otherwise."""
    monkeypatch.setattr(sys, "path", [*sys.path])

    def load(code: str = "", toml: str = "", *, artifact: bool = True, inputs: str = INPUTS, digest: str = "") -> Model:
        code = dedent(code)
        hooks = [name for name in HOOKS if re.search(rf"^def {name}\(", code, re.MULTILINE)]
        (tmp_path / "h.py").write_text("import numpy as np\nimport pandas as pd\n" + code)
        text = "format = 1\n"
        if artifact:
            x = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
            joblib.dump(LinearRegression().fit(x, [0.0, 1.0, 10.0]), tmp_path / "a.joblib")
            text += f'[artifact]\npath = "a.joblib"\nsha256 = "{digest}"\n'
        text += "[hooks]\n" + "".join(f'{name} = "h.py:{name}"\n' for name in hooks) + inputs + toml
        (tmp_path / "model.toml").write_text(text)
        return load_model(open_bundle(tmp_path), Options())

    yield load
    sys.modules.pop("h", None)


def predict(model: Model, x0: list[float], x1: list[float], outputs: tuple[str, ...] | None = None, ids: list[int] | None = None) -> dict:
    columns = {"x0": np.array(x0), "x1": np.array(x1)} | ({} if ids is None else {"id": np.array(ids)})
    found = model.predict(model.schema.pack(columns), outputs)
    return {name: np.round(array, 9).tolist() if array.dtype.kind == "f" else array.tolist() for name, array in found.items()}


def test_an_artifact_alone_answers_as_it_is(load):
    model = load(inputs="")
    assert predict(model, [1, 2], [3, 4]) == {"prediction": [31, 42]}
    assert model.form != "hook"
    assert model.schema.task == "regressor"
    assert [rows.rows for rows in model.warm_up] == [1, 1]


def test_a_manifest_may_add_keys_and_other_types_to_the_artifacts_columns(load):
    model = load(inputs=INPUTS.replace('"x1"\ntype = "float64"', '"x1"\ntype = "float32"'))
    assert predict(model, [1, 2], [3, 4], ids=[5, 6]) == predict(model, [1, 2], [3, 4]) == {"prediction": [31, 42]}


def test_many_features_are_named_in_part(load):
    many = "".join(f'[[inputs]]\nname = "c{n}"\ntype = "float64"\n' for n in range(9))
    with pytest.raises(ManifestError, match=r"declares the features c0, c1, c2, c3, c4, c5, c6, c7, … \(9\), the artifact"):
        load(inputs=many)


@pytest.mark.parametrize("code", ["", "def postprocess(y, x): return y"])
def test_other_features_than_the_artifacts_need_a_hook(load, code):
    with pytest.raises(ManifestError, match="declares the features x0, z, the artifact has x0, x1; name the artifact's, in its order"):
        load(code, inputs=INPUTS.replace("x1", "z"))


def test_a_predict_hook_gets_the_native_object_and_a_frame_with_keys(load):
    code = """
        def predict(model, rows):
            assert list(rows.index) == list(range(len(rows)))
            return pd.DataFrame({"id": rows["id"], "y": model.predict(rows[["x0", "x1"]].to_numpy())}).set_index(rows.index + 7)
    """
    model = load(code)
    assert predict(model, [1, 2], [3, 4], ids=[8, 9]) == {"id": [8, 9], "y": [31, 42]}
    assert model.schema.task == "frame"
    assert model.form != "hook"


def test_preprocess_feeds_the_hook_what_it_returned_whatever_that_is(load):
    code = """
        def preprocess(x: np.ndarray): return {"anything": x}
        def predict(model, x): return model.predict(x["anything"] * 2)
    """
    assert predict(load(code, '[[outputs]]\nname = "y"\ntype = "float64"\n'), [1], [3]) == {"y": [62]}


@pytest.mark.parametrize(
    "body",
    [
        "return x[['x0', 'x1']] * 2",
        "return (x[['x1', 'x0']] * 2).set_index(x['x0'])",
        "return x[['x0', 'x1']].to_numpy() * 2",
        "return (x[['x0', 'x1']].to_numpy() * 2).astype('float32')",
        "return (x[['x0', 'x1']] * 2).assign(more='text')",
        "return {'x0': x['x0'] * 2, 'x1': list(x['x1'] * 2)}",
    ],
)
def test_preprocess_may_give_the_artifact_a_frame_a_matrix_or_a_dict(load, body):
    assert predict(load(f"def preprocess(x): {body}"), [1, 2], [3, 4]) == {"prediction": [62, 84]}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (
            "return x[['x0']].rename(columns={'x0': 'q'}).assign(r=1.0)",
            "the preprocess hook returned the columns q, r; the model takes x0, x1",
        ),
        ("return x[['x0', 'x1']].head(0)", "the preprocess hook returned 0 rows for 1"),
        ("return pd.DataFrame({'x0': ['a'] * len(x), 'x1': 'b'})", "the preprocess hook failed: ValueError"),
        ("return ['a'] * len(x)", "the preprocess hook failed: ValueError"),
        ("raise KeyError('q')", "the preprocess hook failed: KeyError: 'q'"),
    ],
)
def test_what_preprocess_cannot_give_is_its_failure(load, body, says):
    with pytest.raises(ModelError) as error:
        predict(load(f"def preprocess(x): {body}"), [1], [3])
    assert says in str(error.value)


def test_postprocess_gets_the_answer_and_the_rows(load):
    code = "def postprocess(y: np.ndarray, x): return pd.DataFrame({'is_high': y[:, 0] > 35, 'x0': x['x0']})"
    assert predict(load(code), [1, 2], [3, 4]) == {"is_high": [False, True], "x0": [1, 2]}


def test_all_three_hooks_work_together(load):
    code = """
        def preprocess(x: np.ndarray): return x + 1
        def predict(model, x): return {"p": model.predict(x)}
        def postprocess(y, x): return {"q": y["p"] * 2, "x": x["x0"]}
    """
    assert predict(load(code), [1], [3]) == {"q": [84], "x": [1]}


LOAD = """
    class Model:
        def predict(self, x): return x["x0"] - x["x1"]
    def load(folder):
        assert (folder / "model.toml").exists()
        return Model()
"""


def test_a_load_hook_alone_is_a_model(load):
    model = load(LOAD, artifact=False)
    assert predict(model, [5, 6], [1, 1]) == {"prediction": [4, 5]}
    assert (model.form, model.schema.task) == ("hook", "frame")


def test_a_load_hook_comes_before_the_artifact_whose_digest_still_counts(load):
    assert predict(load(LOAD), [5], [1]) == {"prediction": [4]}
    with pytest.raises(UnreadableFile, match="SHA-256"):
        load(LOAD, digest="0" * 64)


def test_what_load_returned_works_with_preprocess_and_predict_hooks(load):
    before = dedent(LOAD) + "def preprocess(x): return x * 2\n"
    assert predict(load(before, artifact=False), [5], [1]) == {"prediction": [8]}
    own = "def load(folder): return 3\ndef predict(number, x): return x['x0'] * number\n"
    assert predict(load(own, artifact=False), [5], [1]) == {"prediction": [15]}


def test_what_cannot_predict_is_refused_when_it_is_loaded(load):
    with pytest.raises(ManifestError, match='"load" hook returned has no predict'):
        load("def load(folder): return 3", artifact=False)
    with pytest.raises(ManifestError, match="nothing declares its columns"):
        load(LOAD, artifact=False, inputs="")
    with pytest.raises(ModelError, match="the load hook failed: ZeroDivisionError"):
        load("def load(folder): 1 / 0", artifact=False)


def test_a_bundle_of_neither_artifact_nor_load_is_refused(tmp_path):
    with pytest.raises(ManifestError, match="neither an"):
        load_model(Bundle(tmp_path, Manifest("m", inputs=(Field("a", "float64"),)), is_folder=True), Options())


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("def predict(m, x): raise ValueError('see /srv/secret/a.pkl')", "the predict hook failed: ValueError: see "),
        ("def predict(m, x): return [1.0] * (len(x) + 1)", "the predict hook returned 2 rows for 1"),
        ("def postprocess(y, x): return None", "the postprocess hook returned one NoneType"),
        ("def postprocess(y, x): raise TypeError", "the postprocess hook failed: TypeError"),
        ("class M:\n    def predict(self, x): raise OSError('disk')\ndef load(folder): return M()", "the model failed: OSError: disk"),
    ],
)
def test_a_failure_names_whose_it_was(load, code, says):
    with pytest.raises(ModelError) as error:
        predict(load(code), [1], [3])
    assert says in str(error.value)
    assert "/" not in str(error.value)


def test_a_hook_may_raise_the_projects_own_errors(load):
    with pytest.raises(SchemaError, match="mine"):
        predict(load("from modelport.errors import SchemaError\ndef predict(m, x): raise SchemaError('mine')"), [1], [3])


def test_outputs_asked_for_are_those_of_the_last_hook(load):
    model = load("def postprocess(y, x): return {'a': y['prediction'], 'b': x['x0']}")
    assert predict(model, [1], [3], ("b",)) == {"b": [1]}
    assert list(predict(model, [1], [3], ("b", "a"))) == ["b", "a"]
    with pytest.raises(SchemaError, match='there is no output "z"; the model answers a, b'):
        predict(model, [1], [3], ("z",))


def test_the_sample_is_the_warm_up_and_absent_keys_are_row_numbers(load):
    (rows,) = load(toml="[sample]\nx0 = [1, 2]\nx1 = [3.5, 4]\n").warm_up
    assert {name: array.tolist() for name, array in rows.items()} == {"id": [0, 1], "#float64": [[1, 3.5], [2, 4]]}
    (rows,) = load(toml="[sample]\nx0 = 1\nx1 = 2\nid = 9\n").warm_up
    assert rows["id"].tolist() == [9]


TEXTS = """
[[inputs]]
name = "id"
type = "string"
role = "key"
[[inputs]]
name = "t"
type = "string"
[[inputs]]
name = "v"
type = "int8"
shape = [2]
"""


def test_samples_may_be_texts_and_vectors(load):
    (rows,) = load(LOAD, '[sample]\nt = ["a"]\nv = [[1, 2]]\n', artifact=False, inputs=TEXTS).warm_up
    assert {name: array.tolist() for name, array in rows.items()} == {"id": ["0"], "t": ["a"], "v": [[1, 2]]}


@pytest.mark.parametrize(
    ("sample", "says"),
    [
        ('t = ["a"]', '[sample] has no "v"; give a list of values for every feature'),
        ('t = ["a"]\nv = [[1, 2]]\nz = [1]', '[sample] has a column "z"; known are id, t, v'),
        ('t = ["a", "b"]\nv = [[1, 2]]', '[sample] "v" has 1 values and another column 2'),
        ("t = []\nv = []", '[sample] "id" has 0 values and another column 0'),
        ('t = ["a"]\nv = [["x", "y"]]', '[sample] "v": invalid literal for int()'),
        ('t = ["a"]\nv = [[1, 200]]', '[sample] "v": Python integer 200 out of bounds for int8; expected int8'),
        ('t = ["a"]\nv = [[1, 2, 3]]', '[sample] "v": its values have the shape [3]; expected [2]'),
        ('t = ["a"]\nv = [1]', '[sample] "v": its values have the shape []; expected [2]'),
        ("t = [3]\nv = [[1, 2]]", '[sample] "t": expected strings'),
    ],
)
def test_a_sample_that_does_not_fit_is_named(load, sample, says):
    with pytest.raises(ManifestError) as error:
        load(LOAD, f"[sample]\n{sample}\n", artifact=False, inputs=TEXTS)
    assert says in str(error.value)


def test_names_trusted_by_the_manifest_are_added_to_those_of_the_command_line(tmp_path, monkeypatch):
    seen = []

    def stop(path: Path, options: Options) -> None:
        seen.append((path, options.trust))
        raise UnreadableFile("enough")

    monkeypatch.setattr("modelport.formats.load", stop)
    (tmp_path / "a.pkl").write_bytes(b"")
    (tmp_path / "model.toml").write_text('format = 1\n[artifact]\npath = "a.pkl"\ntrust = ["a.b"]\n')
    with pytest.raises(UnreadableFile, match="enough"):
        load_model(open_bundle(tmp_path), Options(trust=frozenset({"c.d"})))
    assert seen == [(tmp_path / "a.pkl", {"a.b", "c.d"})]
