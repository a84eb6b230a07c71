"""Configurations in Keras files that Keras would not write: programs and paths refused, nonsense called by name."""

from __future__ import annotations

import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from modelport.errors import LoadError, MissingExtra, ModelportError, RefusedFile, UnreadableFile
from modelport.formats import keras, keras_real
from modelport.formats.base import Options

FOLDER = Path(__file__).parents[1] / "artifacts" / "keras"
Config = dict[str, object]


def rewritten(tmp_path: Path, text: str, name: str = "sentiment.keras") -> Path:
    """Return a copy of a good file with another text as its configuration."""
    path = tmp_path / "changed.keras"
    with zipfile.ZipFile(FOLDER / name) as good, zipfile.ZipFile(path, "w") as out:
        for member in good.namelist():
            out.writestr(member, text if member == "config.json" else good.read(member))
    return path


def reconfigured(tmp_path: Path, change: Callable[[Config], None], name: str = "sentiment.keras") -> Path:
    """Return a copy of a good file with its configuration changed."""
    with zipfile.ZipFile(FOLDER / name) as good:
        config = json.loads(good.read("config.json"))
    change(config)
    return rewritten(tmp_path, json.dumps(config), name)


def layers(config: Config) -> list[dict]:
    return config["config"]["layers"]


def assert_refused(path: Path, message: str) -> None:
    """Loading refuses, inspecting says the same."""
    with pytest.raises(RefusedFile, match=message):
        keras.load(path, Options())
    report = keras.inspect(path, Options())
    assert (report.verdict, report.plan) == ("refused", "none")
    assert report.problem
    assert report.cure


def assert_unreadable(path: Path, message: str) -> None:
    for function in (keras.load, keras.inspect):
        with pytest.raises(UnreadableFile, match=message):
            function(path, Options())


@pytest.mark.parametrize("kind", ["Lambda", "TFSMLayer"])
def test_layers_that_hold_programs_are_refused_by_name(tmp_path: Path, kind: str) -> None:
    def change(config: Config) -> None:
        layers(config)[3] = {"class_name": kind, "config": {"name": "evil", "function": ["4wEAAA", None, None], "trainable": True}}

    assert_refused(reconfigured(tmp_path, change), rf'the {kind} layer "evil"')


@pytest.mark.parametrize("deep", ["activation", "kernel_initializer"])
def test_a_lambda_inside_a_layers_settings_is_refused(tmp_path: Path, deep: str) -> None:
    def change(config: Config) -> None:
        layers(config)[3]["config"][deep] = {"class_name": "__lambda__", "config": {"value": "4wEAAA"}}

    assert_refused(reconfigured(tmp_path, change), "byte code")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("vocabulary", "words.txt"),
        ("filepath", "saved_model"),
        ("note", "/etc/passwd"),
        ("note", "https://example.org/x"),
        ("note", "a/../../b"),
    ],
)
def test_settings_that_name_files_are_refused(tmp_path: Path, key: str, value: str) -> None:
    def change(config: Config) -> None:
        layers(config)[3]["config"][key] = value

    assert_refused(reconfigured(tmp_path, change), f'the field "{key}" "dense" (names a file|holds a path)')


def test_a_class_that_is_not_keras_s_own_is_named_with_the_way_to_serve_it(tmp_path: Path) -> None:
    def change(config: Config) -> None:
        layers(config)[3]["class_name"] = "MyAttention"

    path = reconfigured(tmp_path, change)
    with pytest.raises(LoadError, match=r'"dense" \(MyAttention\) is not converted, and the class .*; serve it through a "load" hook'):
        keras.load(path, Options())
    report = keras.inspect(path, Options())
    assert (report.verdict, report.plan) == ("loadable", "none")
    assert 'layer "dense" (MyAttention) is not converted' in report.problem
    assert report.problem.endswith("is not on the list of Keras's own that are data only")
    assert report.cure.startswith("serve it through")


@pytest.mark.parametrize("text", ["[]", "{", '"x"', "null", "[" * 100_000, '{"class_name": "Sequential"}'])
def test_a_configuration_that_is_none_is_unreadable(tmp_path: Path, text: str) -> None:
    assert_unreadable(rewritten(tmp_path, text), "damaged")


def test_a_configuration_of_endless_depth_is_unreadable(tmp_path: Path) -> None:
    config: Config = {"class_name": "Sequential", "config": {"name": "s", "layers": []}}
    for _ in range(80):
        config = {"class_name": "Sequential", "config": {"name": "s", "trainable": True, "layers": [config]}}
    assert_unreadable(rewritten(tmp_path, json.dumps(config)), "deep")


def test_weights_that_the_configuration_does_not_know_are_unreadable(tmp_path: Path) -> None:
    def without_bias(config: Config) -> None:
        layers(config)[3]["config"]["use_bias"] = False

    assert_unreadable(reconfigured(tmp_path, without_bias), 'layer "dense" has 2 weights in the file, expected 1')


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("units", -3, "whole number from 1"),
        ("units", "6", "whole number from 1"),
        ("units", 1 << 40, "whole number from 1"),
        ("use_bias", "yes", "true or false"),
    ],
)
def test_settings_of_the_wrong_type_are_unreadable(tmp_path: Path, key: str, value: object, message: str) -> None:
    def change(config: Config) -> None:
        layers(config)[3]["config"][key] = value

    assert_unreadable(reconfigured(tmp_path, change), message)


@pytest.mark.parametrize("what", ["stateful", "return_state"])
def test_state_kept_between_calls_is_not_converted(tmp_path: Path, what: str) -> None:
    def change(config: Config) -> None:
        layers(config)[2]["config"]["layer"]["config"][what] = True

    with pytest.raises((LoadError, MissingExtra), match=f'with "{what}" is not converted'):
        keras.load(reconfigured(tmp_path, change), Options())


@pytest.mark.parametrize("policy", ["mixed_float16", {"class_name": "DTypePolicy", "config": {"name": "float16"}}])
def test_other_precisions_are_not_converted(tmp_path: Path, policy: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras_real, "find_spec", lambda _: None)  # Keras itself, were it here, computes in any precision

    def change(config: Config) -> None:
        layers(config)[3]["config"]["dtype"] = policy

    with pytest.raises((LoadError, MissingExtra), match="instead of float32 is not converted"):
        keras.load(reconfigured(tmp_path, change), Options())


def test_a_layer_that_feeds_itself_is_unreadable(tmp_path: Path) -> None:
    def change(config: Config) -> None:
        for layer in layers(config):
            if layer["class_name"] == "Concatenate":
                layer["inbound_nodes"][0]["args"][0][0]["config"]["keras_history"] = [layer["name"], 0, 0]

    assert_unreadable(reconfigured(tmp_path, change, "merged_masks.keras"), "feeds itself")


VALUES: list[object] = [
    None,
    -1,
    0,
    1,
    7,
    1e9,
    10**12,
    "x",
    "",
    [],
    {},
    [1],
    [None],
    [[1, 2]],
    True,
    False,
    3.5,
    "same",
    [-1, -1],
    {"a": 1},
]


def _mutate(chance: random.Random, document: object) -> None:
    """Put another value in one place of a document."""
    places: list[tuple] = []
    stack = [document]
    while stack:
        value = stack.pop()
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, child in items:
            places.append((value, key))
            stack.append(child)
    parent, key = chance.choice(places)
    parent[key] = chance.choice(VALUES)


@pytest.mark.parametrize(
    "name", ["sentiment.keras", "nested.keras", "merged_masks.keras", "pooling.keras", "shapes.keras", "scalars.keras"]
)
def test_no_change_to_a_configuration_raises_anything_of_ours_but_an_error(tmp_path: Path, name: str) -> None:
    """Sixty seeded changes a file: each is read, or ends in one of our errors."""
    chance = random.Random(name)
    with zipfile.ZipFile(FOLDER / name) as good:
        text = good.read("config.json")
    ends = {"loaded": 0, "refused": 0}
    for _ in range(60):
        config = json.loads(text)
        _mutate(chance, config)
        try:
            keras.inspect(rewritten(tmp_path, json.dumps(config), name), Options())
            ends["loaded"] += 1
        except ModelportError as error:
            assert "\n" not in error.message
            ends["refused"] += 1
    assert min(ends.values()) > 0
