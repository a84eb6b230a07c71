"""The network behind a bundle's hooks has a form of its own: hooks call it as they call the one from the file, and see the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from modelport.bundle.compiling import adopt, compile_model, formed
from modelport.bundle.folder import open_bundle
from modelport.bundle.model import Model, load_model
from modelport.columns import Columns
from modelport.errors import LoadError, ModelError
from modelport.formats.base import Options, Predictor
from modelport.formats.keras_native import Standing
from modelport.formats.lowering.draft import NotLowered
from modelport.forms.facts import PART
from modelport.forms.program.form import Form, dump, load

EXAMPLE = Path(__file__).parents[2] / "examples" / "sentiment"
KERAS = Path(__file__).parents[1] / "artifacts" / "keras"
TEXTS = ["I am well", "", "word " * 500, "Überraschung 😀", None, "no no no", "a dreadful, dreadful film"] * 5


def rows(texts: list[str | None]) -> Columns:
    text = np.empty(len(texts), object)
    text[:] = texts
    return Columns({"ref": np.arange(len(texts)), "text": text})


def read(path: Path, instead: Predictor | None = None) -> Model:
    return load_model(open_bundle(path), Options(), instead=instead)


@pytest.fixture(scope="module")
def form() -> Form:
    return load(memoryview(dump(compile_model(read(EXAMPLE)))))


def test_hooks_around_the_form_answer_as_around_the_file(form: Form) -> None:
    assert form.is_part
    assert form.schema == form.own
    made = formed(form, lambda instead: read(EXAMPLE, instead))
    original = read(EXAMPLE)
    assert (made.form, made.schema, made.is_row_wise) == (original.form, original.schema, True)
    assert made.details["no_form"] == PART
    assert made.predictor is None
    for texts in ([], ["I am well"], TEXTS):
        got, want = (model.predict(rows(texts), None) for model in (made, original))
        assert list(got) == list(want) == ["ref", "Sentiment_Score"]
        # a score that lies next to the middle of two hundredths may fall on either side
        assert np.abs(got["Sentiment_Score"] - want["Sentiment_Score"]).max(initial=0) < 0.0101
    assert made.predict(rows(["I am well"]), None)["Sentiment_Score"].tolist() == [0.71]


def test_the_network_in_its_place_gives_the_probabilities_that_keras_recorded(form: Form) -> None:
    found: list[Standing] = []

    def take(instead: Predictor | None) -> Model:
        assert isinstance(instead, Standing)
        found.append(instead)
        return read(EXAMPLE, instead)

    formed(form, take)
    network, original = found[0].native, read(EXAMPLE).network
    assert original is not None
    tokens = np.random.default_rng(3).integers(2, 20_000, (40, 56)) * (np.arange(56) < np.arange(40)[:, None])
    want = original.native.predict(tokens)  # type: ignore[attr-defined]  # what hooks call
    assert np.abs(network.predict(tokens, batch_size=40, verbose=0) - want).max() < 1e-6
    assert network.input_shape == (None, 56)
    assert network.output_shape == (None, 10)
    with pytest.raises(ModelError, match="expected 0 to 26990"):
        network.predict(np.full((1, 56), 26_991))
    with pytest.raises(ModelError, match="shape"):
        network.predict(np.zeros((1, 55)))


def test_neither_the_file_nor_its_library_is_needed(form: Form, tmp_path: Path) -> None:
    (tmp_path / "form").write_bytes(dump(form))
    script = """
import json, sys
from pathlib import Path
import numpy as np
from modelport.bundle.compiling import formed
from modelport.bundle.folder import open_bundle
from modelport.bundle.model import load_model
from modelport.columns import Columns
from modelport.formats.base import Options
from modelport.forms.program.form import load
bundle = open_bundle(Path(sys.argv[1]))
read = lambda instead: load_model(bundle, Options(), is_checked=True, instead=instead)
model = formed(load(Path(sys.argv[2]).read_bytes()), read)
answer = model.predict(Columns({"ref": np.array([7]), "text": np.array(["I am well"], object)}), None)
print(json.dumps([answer["Sentiment_Score"].tolist(), "h5py" in sys.modules, "modelport.formats.keras" in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", script, EXAMPLE, tmp_path / "form"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[0.71], False, False]


def test_several_inputs_go_to_the_form_as_they_go_to_the_file(tmp_path: Path) -> None:
    """Scalars of one type travel as one matrix, which the hook's network does not see."""
    (tmp_path / "scalars.keras").write_bytes((KERAS / "scalars.keras").read_bytes())
    inputs = read(KERAS / "scalars.keras").schema.inputs
    (tmp_path / "hook.py").write_text("def answer(network, x: 'Columns'):\n    return network.predict(dict(x))\n")
    fields = "".join(f'[[inputs]]\nname = "{item.name}"\ntype = "{item.type}"\nshape = {list(item.shape)}\n' for item in inputs)
    (tmp_path / "model.toml").write_text(
        f'format = 1\nname = "n"\n[artifact]\npath = "scalars.keras"\n[hooks]\npredict = "hook.py:answer"\n{fields}'
    )
    original = read(tmp_path)
    form = compile_model(original)
    made = formed(form, lambda instead: read(tmp_path, instead))
    given = original.schema.pack(
        {
            item.name: (3 * np.random.default_rng(at).random((9, *item.shape))).astype(item.dtype)
            for at, item in enumerate(original.schema.inputs)
        }
    )
    got, want = (model.predict(given, None) for model in (made, original))
    assert list(got) == list(want)
    for name in want:
        np.testing.assert_allclose(got[name], want[name], atol=1e-6)


def test_a_form_that_no_longer_gives_its_answers_is_refused(form: Form) -> None:
    shifted = Columns({name: array + 0.01 for name, array in form.expected.items()})
    with pytest.raises(LoadError, match="no longer answers as the model did"):
        formed(Form(form.schema, form.own, form.program, form.trial, shifted, {}, is_part=True), lambda instead: read(EXAMPLE, instead))


def test_hooks_around_anything_else_have_no_form(tmp_path: Path) -> None:
    (tmp_path / "hook.py").write_text(
        "class Same:\n    def predict(self, x):\n        return x\n\ndef load(folder):\n    return Same()\n", encoding="utf-8"
    )
    (tmp_path / "model.toml").write_text(
        'format = 1\nname = "n"\n[hooks]\nload = "hook.py:load"\n[[inputs]]\nname = "a"\ntype = "float64"\n', encoding="utf-8"
    )
    model = read(tmp_path)
    with pytest.raises(NotLowered, match=PART):
        compile_model(model)
    kept = adopt(model)
    assert kept.predict is model.predict
    assert kept.details["no_form"] == PART
