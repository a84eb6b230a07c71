"""Tables of mixed columns and texts as programs, each proven equal to the original."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    LogisticRegression,
    SGDClassifier,
)
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)
from sklearn.svm import LinearSVC
from sklearn.utils.murmurhash import murmurhash3_bytes_s32

from modelport.columns import Columns
from modelport.errors import LoadError
from modelport.forms.parity import TOLERANCE, Evidence
from modelport.forms.program.compiled import OPERATIONS, make_ready
from modelport.forms.program.hashing import murmur3
from modelport.forms.program.steps import Program, Step
from modelport.forms.program.undecided import Undecided

pytestmark = pytest.mark.filterwarnings("ignore")

X, Y = datasets.load_breast_cancer(return_X_y=True)
DIGITS, DIGIT = datasets.load_digits(return_X_y=True)
HOLES = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)


def table() -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "age": rng.normal(40, 10, 400),
            "fare": np.where(rng.random(400) < 0.1, np.nan, rng.normal(30, 5, 400)),
            "city": rng.choice(["Bern", "Rome", "Oslo"], 400),
            "sex": np.where(rng.random(400) < 0.1, None, rng.choice(["m", "f"], 400)),
            "kind": rng.integers(0, 4, 400),
            "flag": rng.random(400) < 0.5,
        }
    )
    return frame, np.where((frame["age"] + rng.normal(0, 5, 400)) > 40, "yes", "no")


def mixed(final: object, encoder: object | None = None) -> object:
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    words = make_pipeline(SimpleImputer(strategy="most_frequent"), encoder or OneHotEncoder(handle_unknown="ignore"))
    columns = ColumnTransformer(
        [("n", numbers, ["age", "fare"]), ("w", words, ["city", "sex"]), ("k", OneHotEncoder(drop="first"), ["kind"])]
    )
    return make_pipeline(columns, final).fit(*table())


WORDS = "good bad film great awful very not plot actor scene boring lovely dull the a it was really".split()  # noqa: SIM905
TEXTS = [" ".join(np.random.default_rng(at).choice(WORDS, 8)) for at in range(300)]
MOODS = np.array(["up" if text.count("o") > 4 else "down" for text in TEXTS])


MAKE: dict[str, Callable[[], object]] = {
    "table, logistic": lambda: mixed(LogisticRegression()),
    "table, forest": lambda: mixed(RandomForestClassifier(10, random_state=0)),
    "table, histograms": lambda: mixed(
        HistGradientBoostingClassifier(max_iter=10), OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-5)
    ),
    "table, columns by position": lambda: make_pipeline(
        make_column_transformer((StandardScaler(), slice(0, 3)), ("passthrough", [5, 4]), remainder="drop"), LogisticRegression()
    ).fit(X, Y),
    "table, strict encoders": lambda: make_pipeline(
        make_column_transformer((OneHotEncoder(), ["city"]), (OrdinalEncoder(), ["kind", "flag"]), remainder="drop"), LogisticRegression()
    ).fit(*table()),
    "texts, TF-IDF": lambda: make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression()).fit(TEXTS, MOODS),
    "texts, sublinear without norm": lambda: make_pipeline(TfidfVectorizer(sublinear_tf=True, norm=None), LinearSVC()).fit(TEXTS, MOODS),
    "texts, l1 without idf": lambda: make_pipeline(TfidfVectorizer(use_idf=False, norm="l1"), LogisticRegression()).fit(TEXTS, MOODS),
    "texts, counts": lambda: make_pipeline(CountVectorizer(stop_words="english", binary=True), MultinomialNB()).fit(TEXTS, MOODS),
    "texts, two steps": lambda: make_pipeline(CountVectorizer(), TfidfTransformer(), SGDClassifier(loss="log_loss")).fit(TEXTS, MOODS),
    "texts, characters": lambda: make_pipeline(CountVectorizer(analyzer="char", ngram_range=(2, 3)), ComplementNB()).fit(TEXTS, MOODS),
    "texts, padded": lambda: make_pipeline(
        TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), strip_accents="unicode"), LogisticRegression()
    ).fit(TEXTS, MOODS),
    "texts, accents": lambda: make_pipeline(
        CountVectorizer(strip_accents="ascii", lowercase=False, ngram_range=(2, 2)), LogisticRegression()
    ).fit([*TEXTS, "naïve Straße"], [*MOODS, "up"]),
    "texts, semantic": lambda: make_pipeline(
        TfidfVectorizer(), TruncatedSVD(4, random_state=0), StandardScaler(), LogisticRegression()
    ).fit(TEXTS, MOODS),
    "texts, forest": lambda: make_pipeline(TfidfVectorizer(), RandomForestClassifier(10, random_state=0)).fit(TEXTS, MOODS),
    "texts, hashed": lambda: make_pipeline(HashingVectorizer(), SGDClassifier(loss="log_loss", random_state=0)).fit(TEXTS, MOODS),
    "texts, hashed into few": lambda: make_pipeline(
        HashingVectorizer(n_features=7, norm=None, ngram_range=(1, 2), alternate_sign=False), MultinomialNB()
    ).fit(TEXTS, MOODS),
    "texts, hashed and binary": lambda: make_pipeline(HashingVectorizer(n_features=16, binary=True, norm="l1"), LinearSVC()).fit(
        TEXTS, MOODS
    ),
    "texts, hashed and weighed": lambda: make_pipeline(
        HashingVectorizer(n_features=256, analyzer="char", norm=None, alternate_sign=False), TfidfTransformer(), LogisticRegression()
    ).fit(TEXTS, MOODS),
    "texts beside numbers": lambda: make_pipeline(
        ColumnTransformer([("t", TfidfVectorizer(), "text"), ("n", StandardScaler(), ["stars"])]), LogisticRegression()
    ).fit(pd.DataFrame({"text": TEXTS, "stars": np.arange(300) % 5}), MOODS),
}


@pytest.mark.parametrize("name", MAKE)
def test_it_has_a_program_that_is_proven(name: str, proven: Callable[[object], Evidence]) -> None:
    evidence = proven(MAKE[name]())
    assert evidence.rows > 100
    assert evidence.difference <= TOLERANCE


def test_a_hash_is_the_librarys_whatever_the_length() -> None:
    for term in ("", "a", "ab", "abc", "abcd", "abcde", "größe", "你好", "x" * 301, "e\u0301", "\U0001f600"):
        assert murmur3(term.encode("utf-8")) == murmurhash3_bytes_s32(term.encode("utf-8"), 0)


def test_more_words_than_are_kept_are_counted_as_well() -> None:
    cut = {"analyzer": "word", "least": 1, "most": 1, "pattern": r"\S+", "stop_words": []}
    step = Step("hash_terms", (0,), {"column": "text", "width": 1 << 20, **cut})
    count = OPERATIONS["hash_terms"](step)
    many = np.array([" ".join(str(at) for at in range(70_000))], object)
    first, again = count(Columns({"text": many})), count(Columns({"text": many}))
    assert first.values.sum() == 70_000
    assert np.array_equal(first.columns, again.columns)


def test_hashing_into_nothing_is_refused() -> None:
    settings = {"column": "text", "width": 0, "analyzer": "char", "least": 1, "most": 1}
    with pytest.raises(LoadError, match="hash_terms"):
        make_ready(Program((Step("hash_terms", (0,), settings),), {}))


def test_half_a_character_is_left_to_the_original() -> None:
    count = OPERATIONS["hash_terms"](Step("hash_terms", (0,), {"column": "text", "width": 8, "analyzer": "char", "least": 1, "most": 1}))
    with pytest.raises(Undecided):
        count(Columns({"text": np.array(["a\ud800"], object)}))
