"""What is answered: records as the task's table says, in the model's own precision."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modelport.columns import Columns, Shared, Slice, split
from modelport.schema import Field, Schema
from modelport.wire.base import Call
from modelport.wire.native import codec

TEXT = (Field("text", "string"),)


def classifier(classes, *, output="probabilities"):
    label = "string" if isinstance(classes[0], str) else "int64"
    return Schema(TEXT, (Field("label", label), Field(output, "float64", shape=(len(classes),))), task="classifier", classes=tuple(classes))


def answer(schema, arrays, *, keys=None, is_single=False):
    keys = keys or {}
    call = Call(Columns(keys), None, {}, tuple(keys), is_single)
    return codec(schema).encode(Columns(arrays), call)


def texts(*values):
    return np.array(values, object)


def test_a_classifier_answers_label_and_probabilities_by_class():
    schema = classifier(["no", "yes"])
    arrays = {"label": texts("yes", "no"), "probabilities": np.array([[0.25, 0.75], [1.0, 0.0]])}
    assert answer(schema, arrays) == (
        b'[{"label":"yes","probabilities":{"no":0.25,"yes":0.75}},{"label":"no","probabilities":{"no":1.0,"yes":0.0}}]'
    )


def test_one_record_is_answered_for_one_record():
    schema = classifier(["no", "yes"])
    arrays = {"label": texts("yes"), "probabilities": np.array([[0.25, 0.75]])}
    assert answer(schema, arrays, is_single=True) == b'{"label":"yes","probabilities":{"no":0.25,"yes":0.75}}'
    assert answer(schema, arrays) == b'[{"label":"yes","probabilities":{"no":0.25,"yes":0.75}}]'


@pytest.mark.parametrize(
    ("classes", "names"),
    [
        ((0, 1), ("0", "1")),
        ((False, True), ("false", "true")),
        ((0.5, 1e22), ("0.5", "1e+22")),
        (('a"b', "é\n"), ('a"b', "é\n")),
        ((None, "x"), ("null", "x")),
    ],
)
def test_class_names_become_keys(classes, names):
    schema = Schema(TEXT, (Field("probabilities", "float64", shape=(2,)),), task="classifier", classes=classes)
    [record] = json.loads(answer(schema, {"probabilities": np.array([[0.1, 0.9]])}))
    assert record == {"probabilities": dict(zip(names, (0.1, 0.9), strict=True))}


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        (np.array([1, 0]), b"1"),
        (np.array([True, False]), b"true"),
        (np.array([1.0, 2.0]), b"1.0"),
        (texts("ja", "nein"), b'"ja"'),
        (texts("known", None), b'"known"'),
        (np.array(["known", "x"]), b'"known"'),
    ],
)
def test_labels_keep_their_type(labels, shown):
    schema = Schema(TEXT, (Field("label", "string"),), task="classifier", classes=("known", "x"))
    assert answer(schema, {"label": labels}).startswith(b'[{"label":' + shown + b"}")


def test_scores_of_a_binary_decision_belong_to_the_positive_class():
    schema = classifier(["no", "yes"], output="scores")
    for scores in (np.array([[-1.5], [2.0]]), np.array([-1.5, 2.0])):
        assert json.loads(answer(schema, {"scores": scores})) == [{"scores": {"yes": -1.5}}, {"scores": {"yes": 2.0}}]


def test_scores_of_several_classes_are_keyed_by_class():
    schema = classifier(["a", "b", "c"], output="scores")
    assert json.loads(answer(schema, {"scores": np.array([[1, 2, 3]])})) == [{"scores": {"a": 1, "b": 2, "c": 3}}]


@pytest.mark.parametrize("array", [np.array([[0.1, 0.2]]), np.array([0.1]), np.array([[[0.1]]]), texts("x")])
def test_what_is_not_one_value_a_class_is_shown_as_it_is(array):
    schema = classifier(["a", "b", "c"])
    assert json.loads(answer(schema, {"probabilities": array})) == [{"probabilities": array.tolist()[0]}]


def test_a_classifier_without_known_classes_answers_lists():
    schema = Schema(TEXT, (Field("label", "int64"), Field("probabilities", "float64", shape=(2,))), task="classifier")
    assert answer(schema, {"label": np.array([1]), "probabilities": np.array([[0.5, 0.5]])}) == b'[{"label":1,"probabilities":[0.5,0.5]}]'


def test_what_follows_probabilities_stands_beside_them():
    schema = classifier(["a", "b"])
    arrays = {"probabilities": np.array([[0.5, 0.5]]), "scores": np.array([[1.0, 2.0]]), "margin": np.array([0.25])}
    assert answer(schema, arrays) == b'[{"probabilities":{"a":0.5,"b":0.5},"scores":{"a":1.0,"b":2.0},"margin":0.25}]'


@pytest.mark.parametrize(
    ("task", "name"), [("regressor", "prediction"), ("network", "prediction"), ("clusterer", "cluster"), ("transformer", "features")]
)
def test_the_one_output_is_named_by_the_task(task, name):
    schema = Schema(TEXT, (Field("dense_1", "float64"),), task=task)
    assert json.loads(answer(schema, {"dense_1": np.array([1, 2])})) == [{name: 1}, {name: 2}]


def test_several_outputs_keep_their_names():
    schema = Schema(TEXT, (Field("a", "float64"), Field("b", "float64", shape=(2,))), task="network")
    assert answer(schema, {"a": np.array([1.5]), "b": np.array([[1, 2]])}) == b'[{"a":1.5,"b":[1,2]}]'
    assert answer(schema, {"a": np.array([1.5])}) == b'[{"a":1.5}]'


def test_an_outlier_detector_answers_label_and_score():
    schema = Schema(TEXT, (Field("label", "int64"), Field("score", "float64")), task="outlier_detector")
    assert answer(schema, {"label": np.array([-1]), "score": np.array([0.5])}) == b'[{"label":-1,"score":0.5}]'


def test_a_frame_answers_whatever_columns_the_hook_returned():
    schema = Schema(TEXT, (Field("Sentiment_Score", "float64"),), task="frame")
    arrays = {"Sentiment_Score": np.array([0.71]), 'näme"': texts("ü😀")}
    assert answer(schema, arrays) == '[{"Sentiment_Score":0.71,"näme\\"":"ü😀"}]'.encode()


# --- keys -----------------------------------------------------------------------------------------------------------

KEYED = Schema((Field("ref", "int64", role="key"), Field("id", "string", role="key"), *TEXT), (Field("score", "float64"),), task="frame")


def test_keys_come_first():
    keys = {"ref": np.array([7, 2**60]), "id": texts("a", None)}
    assert answer(KEYED, {"score": np.array([0.5, 1])}, keys=keys) == (
        b'[{"ref":7,"id":"a","score":0.5},{"ref":1152921504606846976,"id":null,"score":1.0}]'
    )


def test_a_key_that_the_hook_returns_is_not_added_twice():
    arrays = {"ref": np.array([7]), "score": np.array([0.5])}
    assert answer(KEYED, arrays, keys={"ref": np.array([7])}) == b'[{"ref":7,"score":0.5}]'


def test_row_numbers_that_the_hook_returns_are_omitted():
    assert answer(KEYED, {"ref": np.array([0]), "score": np.array([0.5])}) == b'[{"score":0.5}]'
    assert answer(KEYED, {"ref": np.array([0, 1])}) == b"[{},{}]"
    assert answer(KEYED, {"ref": np.array([0])}, is_single=True) == b"{}"


def test_keys_given_in_a_request_come_back():
    made = codec(KEYED)
    call = made.decode(b'{"id": ["b", "a"], "text": ["x", "y"]}', None)
    assert made.encode(Columns({"score": np.array([1.0, 2.0])}), call) == b'[{"id":"b","score":1.0},{"id":"a","score":2.0}]'


# --- numbers and strings --------------------------------------------------------------------------------------------

VALUE = Schema(TEXT, (Field("prediction", "float64"),), task="regressor")


def test_numbers_keep_their_own_precision():
    assert answer(VALUE, {"prediction": np.array([0.1], "f4")}) == b'[{"prediction":0.1}]'
    assert answer(VALUE, {"prediction": np.array([1 / 3])}) == b'[{"prediction":0.3333333333333333}]'
    [half] = json.loads(answer(VALUE, {"prediction": np.array([0.1], "f2")}))
    assert np.float16(half["prediction"]) == np.float16(0.1)
    assert answer(VALUE, {"prediction": np.array([2**63 - 1])}) == b'[{"prediction":9223372036854775807}]'


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("rows", [1, 20])
def test_nan_and_infinities_become_null(dtype, rows):
    for shape in ((rows,), (rows, 2)):
        for bad in (np.nan, np.inf, -np.inf):
            found = json.loads(answer(VALUE, {"prediction": np.full(shape, bad, dtype)}))
            assert found == [{"prediction": None if len(shape) == 1 else [None, None]}] * rows


def test_arrays_of_any_order_and_byte_order_are_rendered():
    rows = np.arange(12.0).reshape(3, 4)
    for array in (rows[:, 1], rows.T[1], rows[::2], rows.astype(">f8"), rows.astype(">f4")[:, ::-1]):
        assert [record["prediction"] for record in json.loads(answer(VALUE, {"prediction": array}))] == array.tolist()


def test_lone_surrogates_in_an_answer_are_replaced():
    assert answer(VALUE, {"prediction": texts("a\ud800", "b")}) == b'[{"prediction":"a?"},{"prediction":"b"}]'
    nested = np.array([["a\ud800", None]], object)
    assert answer(VALUE, {"prediction": nested}) == b'[{"prediction":["a?",null]}]'


def test_no_rows_are_an_empty_list():
    assert answer(VALUE, {"prediction": np.zeros(0)}) == b"[]"


@given(
    hnp.arrays(
        st.sampled_from([np.dtype(kind) for kind in ("f8", "i8", "u8", "i1", "?")]),
        hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4),
        elements={"allow_nan": False, "allow_infinity": False},
    )
)
def test_any_array_is_answered_as_its_own_nested_lists(array):
    found = json.loads(answer(VALUE, {"prediction": array}))
    assert [record["prediction"] for record in found] == array.tolist()


@given(hnp.arrays(np.float32, st.integers(1, 20), elements={"allow_nan": False, "allow_infinity": False}))
def test_float32_is_the_shortest_form_that_reads_back_the_same(array):
    found = [record["prediction"] for record in json.loads(answer(VALUE, {"prediction": array}))]
    assert np.array(found, np.float32).tobytes() == array.tobytes()
    assert all(len(repr(value)) <= len(repr(float(str(number)))) for value, number in zip(found, array, strict=True))


@given(
    st.lists(
        st.tuples(st.integers(-(2**63), 2**63 - 1), st.text(max_size=8), st.floats(allow_nan=False, allow_infinity=False)),
        min_size=1,
        max_size=6,
    )
)
def test_what_is_answered_can_be_sent_again(rows):
    schema = Schema(
        (Field("i", "int64"), Field("s", "string"), Field("f", "float64")),
        (Field("i", "int64"), Field("s", "string"), Field("f", "float64")),
        task="frame",
    )
    made = codec(schema)
    refs, words, numbers = zip(*rows, strict=True)
    columns = Columns({"i": np.array(refs), "s": texts(*words), "f": np.array(numbers)})
    call = Call(columns, None, {}, (), False)
    body = made.encode(columns, call)
    again = made.decode(body, None).columns
    assert {name: again[name].tolist() for name in again} == {name: columns[name].tolist() for name in columns}
    assert made.encode(again, call) == body


def test_the_calls_of_a_batch_share_what_is_written_and_each_gets_its_own_rows():
    schema = Schema(
        (Field("ref", "int64", role="key"), *TEXT), (Field("ref", "int64"), Field("score", "float64")), task="frame", is_named=True
    )
    whole = Columns({"ref": np.arange(5), "score": np.array([0.5, 1.5, 2.5, 3.5, 4.5])})
    shared = Shared(whole)
    encode = codec(schema).encode
    keyed = Call(Columns({"ref": np.arange(2)}), None, {}, ("ref",), False)
    bare = Call(Columns({"ref": np.arange(2)}), None, {}, (), False)
    single = Call(Columns({"ref": np.arange(1)}), None, {}, (), True)
    for _ in range(2):
        assert encode(Slice(shared, 0, 2), keyed) == b'[{"ref":0,"score":0.5},{"ref":1,"score":1.5}]'
        assert encode(Slice(shared, 2, 4), bare) == b'[{"score":2.5},{"score":3.5}]'
        assert encode(Slice(shared, 4, 5), single) == b'{"score":4.5}'
    assert len(shared.memo) == 2
    elsewhere = Call(Columns({"ref": np.array([7, 8])}), None, {}, ("ref",), False)
    only = Shared(Columns({"score": np.array([0.5, 1.5])}))
    assert encode(Slice(only, 0, 2), elsewhere) == b'[{"ref":7,"score":0.5},{"ref":8,"score":1.5}]'


@pytest.mark.parametrize("lengths", [(1,), (3,), (1, 1, 1), (2, 1)])
@pytest.mark.parametrize("keys", [(), ("ref",)])
@pytest.mark.parametrize("singles", [(), (0,), (0, 1, 2)])
def test_a_batch_is_written_as_its_calls_are(lengths, keys, singles):
    schema = Schema(
        (Field("ref", "int64", role="key"), *TEXT), (Field("ref", "int64"), Field("50 %", "float64")), task="frame", is_named=True
    )
    count = sum(lengths)
    made, whole = codec(schema), Columns({"ref": np.arange(count), "50 %": np.arange(count) + 0.5})
    calls = [Call(Columns({"ref": np.arange(rows)}), None, {}, keys, at in singles and rows == 1) for at, rows in enumerate(lengths)]
    each = [made.encode(part, call) for part, call in zip(split(whole, lengths), calls, strict=True)]
    assert made.encode_batch(whole, calls) == each
    assert sum(body.count(b"50 %") for body in each) == count


def test_outputs_without_a_column_are_an_empty_record_for_each_call_of_a_batch():
    schema = Schema((Field("ref", "int64", role="key"), *TEXT), (Field("ref", "int64"),), task="frame", is_named=True)
    calls = [Call(Columns({"ref": np.arange(1)}), None, {}, (), False)] * 2
    assert codec(schema).encode_batch(Columns({"ref": np.arange(2)}), calls) == [b"[{}]", b"[{}]"]


def test_a_percent_sign_in_a_name_is_a_percent_sign():
    schema = classifier(["50 %", "%s"])
    shared = Shared(Columns({"label": texts("%s"), "probabilities": np.array([[0.25, 0.75]])}))
    call = Call(Columns({}), None, {}, (), False)
    assert codec(schema).encode(Slice(shared, 0, 1), call) == b'[{"label":"%s","probabilities":{"50 %":0.25,"%s":0.75}}]'
