"""The functions that the sentiment example's training and serving share."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sentiment import BANDS, PADDING, TOKENS, UNKNOWN, bands_of, encode, expected_values, get_sentiment_DL, scores, words

WORD_IDX = {word: number for number, word in enumerate(["the", "good", "bad", "film", "été", "i", "am", "well"], start=2)}
TEXT = st.text(st.sampled_from("goodbadfilm étéİß_ \n.,'9漢字😀"), max_size=300)


class Softmax:
    """A real little network: each word votes for the bands, and the votes go through a softmax."""

    def __init__(self) -> None:
        self.votes = np.random.default_rng(7).normal(size=(FIRST_FREE, BANDS)).astype(np.float32)
        self.votes[PADDING] = 0
        self.calls: list[dict[str, int]] = []

    def predict(self, x: np.ndarray, *, batch_size: int, verbose: int) -> np.ndarray:
        self.calls.append({"rows": len(x), "batch_size": batch_size, "verbose": verbose})
        sums = self.votes[x].sum(axis=1)
        powers = np.exp(sums - sums.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)


FIRST_FREE = max(WORD_IDX.values()) + 1


@pytest.fixture
def network() -> Softmax:
    return Softmax()


def one_by_one(network: Softmax, texts: list[object]) -> list[float]:
    """Score texts in frames of one row."""
    frames = [pd.DataFrame({"ref": [0], "text": [text]}) for text in texts]
    return [float(get_sentiment_DL(network, frame, WORD_IDX)["Sentiment_Score"].iloc[0]) for frame in frames]


def literal_words(text: str) -> list[str]:
    return [word.lower() for word in re.findall(r"\w+", text)][:TOKENS]


def literal_encoding(text: str) -> list[int]:
    found = [WORD_IDX.get(word, 1) for word in literal_words(text)]
    return found + [0] * (56 - len(found))


def literal_score(row: list[float]) -> float:
    best = sorted(range(10), key=lambda band: (row[band], band))[-3:]
    total = row[best[0]] + row[best[1]] + row[best[2]]
    weighted = [band * (row[band] / total) for band in best]
    return round((weighted[0] + weighted[1] + weighted[2]) / 10, 2)


INDEXES = {
    "default": [0, 1, 2, 3],
    "shifted": [7, 8, 9, 10],
    "reversed": [3, 2, 1, 0],
    "repeated": [5, 5, 0, 5],
    "strings": ["b", "a", "c", "a"],
    "dates": pd.to_datetime(["2020-01-02", "2020-01-01", "2020-01-01", "2019-05-05"]),
    "levels": pd.MultiIndex.from_tuples([(1, 1), (0, 1), (1, 1), (2, 0)]),
}


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES.keys())
def test_scores_stay_with_their_rows_under_any_index(network: Softmax, index: object) -> None:
    texts = ["good film", "bad bad film", "the", "I am well"]
    frame = pd.DataFrame({"ref": [4, 3, 3, 9], "text": texts}, index=index)
    result = get_sentiment_DL(network, frame, WORD_IDX)
    assert list(result.columns) == ["ref", "Sentiment_Score"]
    assert result["ref"].tolist() == [4, 3, 3, 9]
    assert result["Sentiment_Score"].tolist() == one_by_one(network, texts)
    assert result["Sentiment_Score"].dtype == np.float64
    assert result.index.equals(frame.index)


def test_a_filtered_frame_keeps_its_rows(network: Softmax) -> None:
    frame = pd.DataFrame({"ref": range(6), "text": ["good", "bad", "film", "the", "well", "été"]})
    kept = frame[frame["ref"] % 2 == 1].sort_values("ref", ascending=False)
    result = get_sentiment_DL(network, kept, WORD_IDX)
    assert result["ref"].tolist() == [5, 3, 1]
    assert result["Sentiment_Score"].tolist() == one_by_one(network, ["été", "the", "bad"])


def test_the_whole_frame_is_one_quiet_call_of_the_network(network: Softmax) -> None:
    frame = pd.DataFrame({"ref": range(300), "text": ["good film"] * 300})
    get_sentiment_DL(network, frame, WORD_IDX)
    assert network.calls == [{"rows": 300, "batch_size": 300, "verbose": 0}]


def test_no_rows_need_no_network(network: Softmax) -> None:
    frame = pd.DataFrame({"ref": np.empty(0, dtype=np.int64), "text": np.empty(0, dtype=object)})
    result = get_sentiment_DL(network, frame, WORD_IDX)
    assert result.shape == (0, 2)
    assert list(result.columns) == ["ref", "Sentiment_Score"]
    assert result["ref"].dtype == np.int64
    assert result["Sentiment_Score"].dtype == np.float64
    assert network.calls == []


def test_the_callers_frame_is_neither_changed_nor_shared(network: Softmax) -> None:
    frame = pd.DataFrame({"ref": [1, 2], "text": ["good", None], "more": [0.5, 1.5]})
    before = frame.copy(deep=True)
    result = get_sentiment_DL(network, frame, WORD_IDX)
    result["ref"] = 0
    result.iloc[0, 0] = 99
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize("missing", [None, float("nan"), np.nan, pd.NA, pd.NaT])
def test_a_missing_text_counts_as_empty(network: Softmax, missing: object) -> None:
    frame = pd.DataFrame({"ref": [1, 2], "text": pd.Series([missing, "good"], dtype=object)})
    result = get_sentiment_DL(network, frame, WORD_IDX)
    assert result["Sentiment_Score"].tolist() == one_by_one(network, ["", "good"])


@pytest.mark.parametrize("dtype", [object, "str", "string", "category"])
def test_every_kind_of_text_column_is_read(network: Softmax, dtype: object) -> None:
    frame = pd.DataFrame({"ref": [1, 2, 3], "text": pd.Series(["good", None, "bad film"], dtype=dtype)})
    assert get_sentiment_DL(network, frame, WORD_IDX)["Sentiment_Score"].tolist() == one_by_one(network, ["good", "", "bad film"])


@pytest.mark.parametrize("refs", [["a", "b"], [1.5, float("nan")], [None, {"x": 1}], [2**62, -1]])
def test_refs_come_back_unchanged(network: Softmax, refs: list[object]) -> None:
    frame = pd.DataFrame({"ref": refs, "text": ["good", "bad"]})
    result = get_sentiment_DL(network, frame, WORD_IDX)
    pd.testing.assert_series_equal(result["ref"], frame["ref"])


def test_words_are_lower_cased_runs() -> None:
    assert words("Don't STOP: 3 d'Été_x, 漢字!") == ["don", "t", "stop", "3", "d", "été_x", "漢字"]


@pytest.mark.parametrize("text", ["", " ", "!?…", "😀", "\n\t"])
def test_a_text_without_words_is_all_padding(text: str) -> None:
    assert encode([text], WORD_IDX).tolist() == [[PADDING] * TOKENS]


def test_padding_is_at_the_right_and_unknown_words_are_kept() -> None:
    assert encode(["good zzz film"], WORD_IDX)[0, :5].tolist() == [WORD_IDX["good"], UNKNOWN, WORD_IDX["film"], PADDING, PADDING]


@pytest.mark.parametrize("count", [55, 56, 57, 400, 5_000])
def test_only_the_first_56_words_count(network: Softmax, count: int) -> None:
    text = " ".join(["good", "bad", "film"][number % 3] for number in range(count))
    first = " ".join(text.split()[:TOKENS])
    assert words(text) == first.split()
    assert one_by_one(network, [text]) == one_by_one(network, [first])


def test_one_endless_word_is_one_unknown_word() -> None:
    assert encode(["x" * 20_000], WORD_IDX)[0, :2].tolist() == [UNKNOWN, PADDING]


def test_no_texts_encode_to_no_rows() -> None:
    assert encode([], WORD_IDX).shape == (0, TOKENS)


@settings(deadline=None)
@given(st.lists(TEXT | st.text(max_size=80), max_size=8))
def test_encoding_equals_its_literal_definition(texts: list[str]) -> None:
    encoded = encode(texts, WORD_IDX)
    assert encoded.dtype == np.int32
    assert encoded.tolist() == [literal_encoding(text) for text in texts]


@settings(deadline=None)
@given(st.integers(501, 700), TEXT)
def test_long_texts_are_cut_into_the_same_words(repeats: int, text: str) -> None:
    long = (text + " ö") * repeats
    assert words(long) == literal_words(long)


@settings(deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=12))
def test_a_batch_equals_its_rows_one_by_one(texts: list[str]) -> None:
    network = Softmax()
    frame = pd.DataFrame({"ref": range(len(texts)), "text": texts})
    assert get_sentiment_DL(network, frame, WORD_IDX)["Sentiment_Score"].tolist() == one_by_one(network, list(texts))


PROBABILITIES = st.floats(0.0078125, 1.0, width=32)


@settings(deadline=None)
@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 20), st.just(10)), elements=PROBABILITIES))
def test_scores_equal_the_definition_row_by_row(table: np.ndarray) -> None:
    assert scores(table).tolist() == [literal_score([float(p) for p in row]) for row in table]


@settings(deadline=None)
@given(hnp.arrays(np.int64, (10, 10), elements=st.integers(1, 20)))
def test_scores_equal_the_definition_near_ties(counts: np.ndarray) -> None:
    """Small ratios often land exactly on, or one unit beside, a half of the second decimal."""
    table = counts / 40.0
    assert scores(table).tolist() == [literal_score([float(p) for p in row]) for row in table]


def test_rounding_follows_the_exact_double() -> None:
    """0.145 is stored a little below, 0.185 a little below, 0.375 exactly: each rounds as Python says."""
    rows = []
    for low, high, share in [(1, 2, 0.45), (1, 2, 0.85), (3, 4, 0.75), (2, 3, 0.35), (0, 1, 0.35)]:
        row = [0.0] * 10
        row[low], row[high] = 1 - share, share
        rows.append(row)
    assert scores(rows).tolist() == [literal_score(row) for row in rows]


def test_scores_lie_between_0_and_0_9() -> None:
    assert scores(np.eye(10)).tolist() == [band / 10 for band in range(10)]


def test_bands_hold_a_tenth_each_and_1_joins_the_last() -> None:
    assert bands_of([0.0, 0.05, 0.1, 0.5, 0.8999, 0.9, 0.99, 1.0]).tolist() == [0, 0, 1, 5, 8, 9, 9, 9]


def test_expected_value_weighs_the_band_middles() -> None:
    assert expected_values(np.eye(10)) == pytest.approx([band / 10 + 0.05 for band in range(10)])
    assert expected_values(np.full((1, 10), 0.1)) == pytest.approx([0.5])
