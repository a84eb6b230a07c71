"""Batches of words that the pickle reader steps over: what is in them is read as soon as it matters, and counts all the same."""

from __future__ import annotations

import io
import pickle
import random

import joblib
import numpy as np
import pytest

from modelport.formats import arrays, pickled
from modelport.formats.allow import judge
from modelport.formats.base import Options
from modelport.formats.batches import SIZE, Table
from modelport.formats.scan import Scan, scan
from modelport.formats.symbols import Group, Node

JUDGE = judge(frozenset({"mylib.Thing"}), ())
RANDOM = random.Random(0)


def read(data: bytes) -> Scan:
    return scan(data, JUDGE)


def dumped(value: object, how: str) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(value, buffer) if how == "joblib" else pickle.dump(value, buffer, int(how))
    return buffer.getvalue()


def words(count: int) -> list[str]:
    """Words of one to eighty letters, and now and then one that is too long for a batch, or of several bytes a letter."""
    found = {"ö" * (at % 9 + 1) + str(at) if at % 5 == 0 else "x" * RANDOM.randint(0, 80) + str(at) for at in range(count)}
    return sorted(found)


VALUES = {
    "whole numbers": lambda at: at * 37,
    "negative numbers": lambda at: -at * 40_000,
    "fractions": lambda at: at / 7,
    "nothing and truth": lambda at: (None, True, False)[at % 3],
    "numpy's whole numbers": np.int64,
    "numpy's fractions": np.float64,
}
COUNTS = (SIZE - 1, SIZE, SIZE + 1, 4 * SIZE + 7)


@pytest.mark.parametrize("how", ["4", "5", "joblib"])
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("kind", VALUES)
def test_an_object_is_filled_with_every_word_of_its_state(how: str, count: int, kind: str) -> None:
    """An attribute hidden in a batch would not be looked at, so the state of an object is read in full."""
    state = {word: VALUES[kind](at) for at, word in enumerate(words(count))}
    made = b"\x80\x04cmylib\nThing\n)\x81" + dumped(state, how)[2:-1] + b"b."
    found = read(made)
    assert found.refusal == ""
    assert isinstance(found.root, Node)
    assert isinstance(found.root.state, dict)
    assert {key: arrays.scalar_value(made, value) for key, value in found.root.state.items()} == {
        key: value.item() if isinstance(value, np.generic) else value for key, value in state.items()
    }


@pytest.mark.parametrize("how", ["2", "3", "4", "5", "joblib"])
@pytest.mark.parametrize("kind", VALUES)
def test_a_vocabulary_counts_its_words(how: str, kind: str) -> None:
    vocabulary = {word: VALUES[kind](at) for at, word in enumerate(words(3 * SIZE + 5))}
    found = read(dumped([vocabulary, 7], how))
    assert found.refusal == ""
    table = found.root[0]
    assert isinstance(table, Table)
    assert table.total == len(vocabulary)
    assert bool(table.later) == (how not in ("2", "3"))


@pytest.mark.parametrize("how", ["4", "5", "joblib"])
@pytest.mark.parametrize("kind", ["whole numbers", "numpy's whole numbers"])
def test_what_is_recalled_from_a_batch_is_what_was_stored(how: str, kind: str) -> None:
    vocabulary = {word: VALUES[kind](at) for at, word in enumerate(words(3 * SIZE + 5))}
    again = list(vocabulary)[1::97]
    values = list(vocabulary.values())[1::97] if kind.startswith("numpy") else []
    data = dumped([vocabulary, again, values], how)
    found = read(data)
    assert found.refusal == ""
    assert found.root[1] == again
    assert [arrays.scalar_value(data, item) for item in found.root[2]] == [item.item() for item in values]


@pytest.mark.parametrize("how", ["4", "5", "joblib"])
def test_words_of_a_set_are_stepped_over_too(how: str) -> None:
    stop = set(words(2 * SIZE + 1))
    first = next(iter(stop))
    found = read(dumped([stop, first], how))
    assert found.refusal == ""
    assert isinstance(found.root[0], Group)
    assert len(found.root[0].members) < 2 * SIZE
    assert found.root[1] == first


@pytest.mark.parametrize("how", ["4", "5", "joblib"])
@pytest.mark.parametrize("kind", VALUES)
def test_a_file_with_batches_loads_as_pickle_loads_it(how: str, kind: str) -> None:
    held = {"words": {word: VALUES[kind](at) for at, word in enumerate(words(3 * SIZE + 5))}, "stop": set(words(2 * SIZE))}
    data = dumped(held, how)
    found = read(data)
    assert _loaded(data, found) == held


def _loaded(data: bytes, found: Scan) -> object:
    return pickled._Loader(data, found.names, found.blocks, Options().code).run(found.stream)


def test_a_special_name_hidden_in_a_batch_is_refused() -> None:
    state = {f"word{at}": at for at in range(SIZE - 1)} | {"__class__": 1}
    body = pickle.dumps(state, 4)
    found = read(b"\x80\x04csklearn.linear_model._logistic\nLogisticRegression\n)\x81" + body[2:-1] + b"b.")
    assert "__class__" in found.refusal


def test_a_batch_of_scalars_of_another_maker_is_walked() -> None:
    """What looks like a batch of numpy's scalars and calls something else goes the long way, where each call is checked."""
    body = pickle.dumps({f"word{at}": np.int64(at) for at in range(3 * SIZE)}, 4)
    changed = body.replace(b"\x8c\x06scalar\x94", b"\x8c\x06system\x94")
    assert read(body).root.later
    assert not read(changed).root.later
    assert [ref.dotted for ref in read(changed).refs if ref.kind == "unknown"] == ["numpy._core.multiarray.system"]


@pytest.mark.parametrize("at", [0.2, 0.5, 0.9])
def test_a_file_that_ends_within_a_batch_is_cut_off(at: float) -> None:
    data = pickle.dumps(dict.fromkeys(words(2 * SIZE), 1), 4)
    with pytest.raises(Exception, match=r"cut off|does not fit"):
        read(data[: int(len(data) * at)])


def test_frames_that_do_not_follow_each_other_are_not_stepped_over() -> None:
    data = pickle.dumps(dict.fromkeys(words(4 * SIZE), 1), 4)
    second = data.index(b"\x95", 12)
    with pytest.raises(Exception, match=r"frame|cut off"):
        read(data[:second] + b"\x95" + (1 << 40).to_bytes(8, "little") + data[second + 9 :])
