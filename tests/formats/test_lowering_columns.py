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
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
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

from modelport.forms.parity import TOLERANCE, Evidence

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
    "texts beside numbers": lambda: make_pipeline(
        ColumnTransformer([("t", TfidfVectorizer(), "text"), ("n", StandardScaler(), ["stars"])]), LogisticRegression()
    ).fit(pd.DataFrame({"text": TEXTS, "stars": np.arange(300) % 5}), MOODS),
}


@pytest.mark.parametrize("name", MAKE)
def test_it_has_a_program_that_is_proven(name: str, proven: Callable[[object], Evidence]) -> None:
    evidence = proven(MAKE[name]())
    assert evidence.rows > 100
    assert evidence.difference <= TOLERANCE
