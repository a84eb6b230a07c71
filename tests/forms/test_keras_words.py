"""Words to numbers: the hashes that TensorFlow computes, and what of a vocabulary is converted, damaged or not in the file."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from modelport.columns import Array
from modelport.errors import LoadError, ModelError, UnreadableFile
from modelport.forms.keras_onnx.convert import Converted, convert
from modelport.forms.keras_onnx.hashes import bucket, fingerprint
from modelport.forms.keras_onnx.network import Version
from modelport.forms.keras_onnx.parse import parse

KERAS_3, KERAS_2 = Version(3, 15), Version(2, 15, is_tf=True)
Spec = dict[str, object]


@pytest.mark.parametrize(
    ("length", "number"),
    [
        (0, 0x9AE16A3B2F90404F),
        (3, 0x94A13D22E9EBA49A),
        (5, 0xB4BFA9E87732C149),
        (12, 0x9FD5DF33AEFC3D7D),
        (20, 0x8DD7E7F1BF16A0E9),
        (40, 0x8F45B937B49468C),
        (64, 0xF58504BB53DECC4B),
        (65, 0xC6A3282C3E793DBE),
        (200, 0x74C7FCC26D66FB3),
    ],
)
def test_the_fingerprint_of_any_length_is_that_of_farmhash(length: int, number: int) -> None:
    """Recorded when buckets were compared with TensorFlow's ``to_hash_bucket_fast`` for 900 words of 0 to 299 bytes."""
    assert fingerprint(bytes(range(length))) == number


def test_the_salted_hash_is_siphash() -> None:
    """The vector of the paper: key 00 … 0f, message 00 … 0e."""
    salt = int.from_bytes(bytes(range(8)), "little"), int.from_bytes(bytes(range(8, 16)), "little")
    assert bucket(bytes(range(15)), 1 << 64, salt) == 0xA129CA6149BE45E5


def layer(
    kind: str, dtype: str = "string", shape: tuple[int | None, ...] = (None, 1), version: Version = KERAS_3, **settings: object
) -> Converted:
    """Convert a network of one layer over one input."""
    specs = [
        {"class_name": "InputLayer", "config": {"batch_shape": list(shape), "dtype": dtype, "name": "x"}},
        {"class_name": kind, "config": {"name": "words", "trainable": True, **settings}},
    ]
    return convert(parse({"class_name": "Sequential", "config": {"layers": specs}}, version), {})


def run(converted: Converted, x: object) -> Array:
    dtype = converted.inputs[0].dtype
    given = np.asarray(x, object if dtype == "string" else dtype)
    feed = {item.port.name: item.run(given) for item in converted.prepared} | ({} if dtype == "string" else {"x": given})
    return np.asarray(onnxruntime.InferenceSession(converted.model).run(None, feed)[0])


def test_unknown_words_are_refused_where_the_layer_has_no_place_for_them() -> None:
    known = layer("StringLookup", vocabulary=["a", "b"], num_oov_indices=0)
    np.testing.assert_array_equal(run(known, [["b"], ["a"]]), [[1], [0]])
    with pytest.raises(ModelError, match=r'"words" \(StringLookup\) has no place for \'c\''):
        run(known, [["c"]])
    numbers = layer("IntegerLookup", "int64", vocabulary=[7], num_oov_indices=0)
    with pytest.raises(ModelError, match="no place for '8'"):
        run(numbers, [[8]])


def test_special_words_may_be_listed_in_front_or_not() -> None:
    for vocabulary in (["a", "b"], ["", "[UNK]", "a", "b"]):
        found = run(layer("StringLookup", vocabulary=vocabulary, mask_token=""), [[""], ["[UNK]"], ["a"], ["b"], ["z"]])
        np.testing.assert_array_equal(found, [[0], [1], [2], [3], [1]])


def test_numpy_arrays_in_a_configuration_are_lists() -> None:
    def array(value: object) -> Spec:
        return {"class_name": "__numpy__", "config": {"value": value, "dtype": "float32"}}

    found = run(layer("StringLookup", vocabulary=array(["a", "b"]), idf_weights=array([0.5, 1.5]), output_mode="tf_idf"), [["a"], ["z"]])
    np.testing.assert_allclose(found, [[0, 0.5, 0], [1, 0, 0]])


def test_several_places_for_unknown_numbers_go_by_the_remainder_or_the_hash() -> None:
    plain = layer("IntegerLookup", "int64", vocabulary=[4], num_oov_indices=3)
    np.testing.assert_array_equal(run(plain, [[4], [5], [-1]]), [[3], [2], [2]])
    hashed = layer("IntegerLookup", "int64", vocabulary=[4], num_oov_indices=3, oov_method="farmhash", salt=5)
    assert run(hashed, [[77]]).item() == bucket(b"77", 3, (5, 5))


def test_hashing_keeps_a_place_for_the_masked_value() -> None:
    words = run(layer("Hashing", num_bins=5, mask_value=""), [[""], ["a"]])
    np.testing.assert_array_equal(words, [[0], [1 + bucket(b"a", 4)]])
    numbers = run(layer("Hashing", "int64", num_bins=5, mask_value=3, salt=[1, 2]), [[3], [4]])
    np.testing.assert_array_equal(numbers, [[0], [1 + bucket(b"4", 4, (1, 2))]])
    counts = run(layer("Hashing", shape=(None, 3), num_bins=4, output_mode="count"), [["a", "a", "b"]])
    assert counts.sum() == 3
    assert counts[0, bucket(b"a", 4)] >= 2


def test_bounds_belong_to_the_bin_above_and_are_float32() -> None:
    found = run(layer("Discretization", "float32", (None, 2), bin_boundaries=[0.1, 1.0]), np.asarray([[0.1, 1.0], [-5, 0.5]], np.float32))
    np.testing.assert_array_equal(found, [[1, 2], [0, 1]])
    coded = run(layer("Discretization", "float32", (None, 2), bin_boundaries=[0.1, 1.0], output_mode="count"), [[0.1, 1.0]])
    np.testing.assert_array_equal(coded, [[0, 1, 1]])


def test_a_category_of_a_flat_input_is_marked() -> None:
    np.testing.assert_array_equal(
        run(layer("CategoryEncoding", "int64", (None,), num_tokens=3, output_mode="one_hot"), [2, 0]), [[0, 0, 1], [1, 0, 0]]
    )


def test_categories_that_keras_2_refuses_are_out_of_bounds_here() -> None:
    assert layer("CategoryEncoding", "int64", (None, 2), KERAS_2, num_tokens=3).words == {"x": 3}
    assert layer("CategoryEncoding", "int64", (None, 2), num_tokens=3).words == {}


TEXTS = {"vocabulary": ["a"]}


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("StringLookup", {**TEXTS, "invert": True}, "invert"),
        ("StringLookup", {**TEXTS, "encoding": "utf-16"}, "encoding"),
        ("StringLookup", {**TEXTS, "output_mode": "count", "sparse": True}, "sparse"),
        ("StringLookup", {**TEXTS, "shape": (None,), "output_mode": "count"}, '"count" over an input of the shape'),
        ("StringLookup", {**TEXTS, "shape": (None, 2), "output_mode": "one_hot"}, '"one_hot" over an input of the shape'),
        ("StringLookup", {"vocabulary": None}, "its vocabulary is not in the file"),
        ("IntegerLookup", {"vocabulary": [1], "dtype": "int64", "vocabulary_dtype": "string"}, "of string"),
        ("TextVectorization", {**TEXTS, "standardize": {"class_name": "function"}}, "function of its own"),
        ("TextVectorization", {**TEXTS, "split": None, "ngrams": 2}, "ngrams"),
        ("TextVectorization", {**TEXTS, "shape": (None, 2)}, "over an input of the shape"),
        ("TextVectorization", {**TEXTS, "shape": (None,), "split": None}, "over an input of the shape"),
        ("TextVectorization", {**TEXTS, "output_mode": "one_hot"}, "one_hot"),
        ("Hashing", {"num_bins": 4, "mask_value": 3}, "mask_value"),
        ("Hashing", {"num_bins": 4, "dtype": "int64", "mask_value": "a"}, "mask_value"),
        ("Discretization", {"num_bins": 4, "dtype": "float32"}, "were learnt"),
        ("CategoryEncoding", {"num_tokens": 4, "dtype": "int64", "shape": (None, 2, 2)}, "over an input of the shape"),
        ("Embedding", {"input_dim": 4, "output_dim": 2}, "over strings"),
        ("Identity", {}, "over strings"),
    ],
)
def test_what_is_not_converted_is_named(kind: str, settings: Spec, message: str) -> None:
    with pytest.raises(LoadError, match=message):
        layer(kind, **settings)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("StringLookup", {"vocabulary": ["a", "a"]}),
        ("StringLookup", {"vocabulary": ["a", ""], "mask_token": ""}),
        ("StringLookup", {"vocabulary": [1]}),
        ("StringLookup", {"vocabulary": []}),
        ("StringLookup", {**TEXTS, "dtype": "float32"}),
        ("StringLookup", {**TEXTS, "output_mode": "all"}),
        ("StringLookup", {**TEXTS, "num_oov_indices": 2, "salt": [1, 2, 3]}),
        ("StringLookup", {**TEXTS, "output_mode": "tf_idf", "idf_weights": [[1]]}),
        ("StringLookup", {**TEXTS, "output_mode": "tf_idf", "idf_weights": None}),
        ("IntegerLookup", {"vocabulary": ["a"], "dtype": "int64"}),
        ("IntegerLookup", {"vocabulary": [1]}),
        ("TextVectorization", {**TEXTS, "standardize": "upper"}),
        ("TextVectorization", {**TEXTS, "ngrams": [0]}),
        ("TextVectorization", {**TEXTS, "split": "comma"}),
        ("TextVectorization", {**TEXTS, "dtype": "int64"}),
        ("Discretization", {"bin_boundaries": [2.0, 1.0], "dtype": "float32"}),
        ("CategoryEncoding", {"num_tokens": 4}),
    ],
)
def test_settings_that_keras_refuses_are_called_damage(kind: str, settings: Spec) -> None:
    with pytest.raises(UnreadableFile, match="damaged"):
        layer(kind, **settings)


def test_a_lookup_over_something_computed_is_not_converted() -> None:
    specs = [
        {"class_name": "InputLayer", "config": {"batch_shape": [None, 2], "dtype": "float32", "name": "x"}},
        {"class_name": "ReLU", "config": {"name": "relu", "trainable": True}},
        {"class_name": "IntegerLookup", "config": {"name": "words", "trainable": True, "vocabulary": [1]}},
    ]
    with pytest.raises(LoadError, match="over something else than an input"):
        convert(parse({"class_name": "Sequential", "config": {"layers": specs}}, KERAS_3), {})


def test_a_text_network_without_an_input_layer_takes_strings() -> None:
    config = {"name": "words", "trainable": True, "vocabulary": ["a"], "output_sequence_length": 2}
    document = {
        "class_name": "Sequential",
        "config": {"layers": [{"class_name": "TextVectorization", "config": config}], "build_input_shape": [None, 1]},
    }
    converted = convert(parse(document, KERAS_3), {})
    assert [(port.dtype, port.shape) for port in converted.inputs] == [("string", (None, 1))]
    np.testing.assert_array_equal(run(converted, [["a b c"]]), [[2, 1]])
