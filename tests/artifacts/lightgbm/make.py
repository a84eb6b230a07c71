"""Fits small LightGBM models, saves each as its day's users did, and records what that day's library answered.

    python make.py FOLDER       writes FOLDER/<version of LightGBM>/: models, and expected.npz with rows and answers

Syntax of Python 3.6. Made with: Python 3.7 LightGBM 2.3.1, scikit-learn 0.22.2; 3.8 LightGBM 3.3.5, scikit-learn 0.24.2;
3.10 LightGBM 4.1.0, scikit-learn 1.2.2; 3.11 LightGBM 4.5.0, scikit-learn 1.5.2; 3.11 LightGBM 4.7.0, scikit-learn 1.9.1.
"""

import json
import os
import pickle
import sys
import warnings

import lightgbm as lgb
import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

warnings.filterwarnings("ignore")
VERSION = tuple(int(part) for part in lgb.__version__.split(".")[:2])
RANDOM = np.random.RandomState(7)
X = RANDOM.normal(size=(160, 4))
X[RANDOM.uniform(size=X.shape) < 0.1] = np.nan
FILLED = np.nan_to_num(X)
SIGNAL = FILLED[:, 0] + FILLED[:, 1] * FILLED[:, 2]
BINARY = (SIGNAL > 0).astype(int)
THREE = np.digitize(SIGNAL, [-0.5, 0.5])
COUNTS = RANDOM.poisson(np.exp(SIGNAL / 3))
WORDS = pd.Categorical(np.array(["ash", "élan", "oak", "pine"])[RANDOM.randint(0, 4, 160)])
NUMBERS = pd.Categorical(RANDOM.randint(0, 9, 160) * 10)
FRAME = pd.DataFrame({"tree": WORDS, "size": X[:, 0], "plot": NUMBERS})
ROWS = X[:24]
EXPECTED = {"X": ROWS, "tree": np.asarray(WORDS)[:24].astype(str), "size": X[:24, 0], "plot": np.asarray(NUMBERS)[:24]}
FIXED = {"verbose": -1, "num_leaves": 5, "min_data_in_leaf": 8, "num_threads": 1, "seed": 1}
SETTINGS = {"n_estimators": 4, "num_leaves": 5, "min_child_samples": 8, "n_jobs": 1, "random_state": 1}


def natives():
    """Yield a name, parameters and a target for what ``lightgbm.train`` fits."""
    yield "binary", {"objective": "binary"}, BINARY
    yield "entropy", {"objective": "cross_entropy"}, BINARY
    yield "lambda", {"objective": "cross_entropy_lambda"}, BINARY
    yield "three", {"objective": "multiclass", "num_class": 3}, THREE
    yield "against", {"objective": "multiclassova", "num_class": 3}, THREE
    yield "squares", {"objective": "regression"}, SIGNAL
    yield "roots", {"objective": "regression", "reg_sqrt": True}, SIGNAL
    yield "absolute", {"objective": "regression_l1"}, SIGNAL
    yield "huber", {"objective": "huber"}, SIGNAL
    yield "fair", {"objective": "fair"}, SIGNAL
    yield "quantile", {"objective": "quantile", "alpha": 0.8}, SIGNAL
    yield "mape", {"objective": "mape"}, SIGNAL
    yield "poisson", {"objective": "poisson"}, COUNTS
    yield "gamma", {"objective": "gamma"}, COUNTS + 1.0
    yield "tweedie", {"objective": "tweedie"}, COUNTS
    yield "forest", {"objective": "binary", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, BINARY
    yield "dart", {"objective": "regression", "boosting": "dart", "drop_rate": 0.5}, SIGNAL
    yield "zeros", {"objective": "regression", "zero_as_missing": True}, SIGNAL
    yield "whole", {"objective": "regression", "use_missing": False}, SIGNAL
    yield "stump", {"objective": "regression", "min_data_in_leaf": 150}, SIGNAL
    if VERSION >= (3, 2):
        yield "slopes", {"objective": "regression", "linear_tree": True}, SIGNAL


def save(folder):
    for name, parameters, target in natives():
        names = ["age", "income", "größe" if VERSION >= (3, 0) else "size", "w.h"]
        model = lgb.train(dict(FIXED, **parameters), lgb.Dataset(X, target, feature_name=names), 4)
        EXPECTED[name] = model.predict(ROWS)
        model.save_model(os.path.join(folder, name + (".txt" if name != "binary" else ".lgb")))
    model = lgb.train(dict(FIXED, objective="lambdarank"), lgb.Dataset(X, np.minimum(COUNTS, 3), group=[80, 80]), 3)
    EXPECTED["rank"] = model.predict(ROWS)
    model.save_model(os.path.join(folder, "rank.txt"))
    target = SIGNAL + (WORDS.codes % 2) * 2 + (NUMBERS.codes % 3)
    settings = dict(FIXED, objective="regression", min_data_per_group=5, cat_smooth=1, max_cat_to_onehot=2)
    model = lgb.train(settings, lgb.Dataset(FRAME, target), 5)
    EXPECTED["categories"] = model.predict(FRAME[:24])
    model.save_model(os.path.join(folder, "categories.txt"))
    codes = np.c_[WORDS.codes, X[:, 0], NUMBERS.codes].astype(float)
    model = lgb.train(settings, lgb.Dataset(codes, target, categorical_feature=[0, 2]), 5)
    EXPECTED["coded"], EXPECTED["codes"] = model.predict(codes[:24]), codes[:24]
    model.save_model(os.path.join(folder, "coded.txt"))
    wrappers(folder)


def pickled(folder, name, model, answer):
    EXPECTED["pickled_" + name] = np.asarray(answer)
    with open(os.path.join(folder, name + ".pkl"), "wb") as file:
        pickle.dump(model, file, 2 if name == "regressor" else 4)


def wrappers(folder):
    model = lgb.LGBMClassifier(**SETTINGS).fit(X, BINARY)
    pickled(folder, "classifier", model, model.predict_proba(ROWS))
    model = lgb.LGBMClassifier(**SETTINGS).fit(X, np.array(["bad", "fair", "good"])[THREE])
    pickled(folder, "words", model, model.predict_proba(ROWS))
    EXPECTED["labels_words"] = model.predict(ROWS)
    model = lgb.LGBMRegressor(**SETTINGS).fit(X, SIGNAL)
    pickled(folder, "regressor", model, model.predict(ROWS))
    model = lgb.LGBMRanker(**SETTINGS).fit(X, np.minimum(COUNTS, 3), group=[80, 80])
    pickled(folder, "ranker", model, model.predict(ROWS))
    model = make_pipeline(StandardScaler(), lgb.LGBMClassifier(**SETTINGS)).fit(FILLED, BINARY)
    pickled(folder, "pipeline", model, model.predict_proba(FILLED[:24]))
    model = lgb.LGBMRegressor(**SETTINGS).fit(FRAME, SIGNAL + (WORDS.codes % 2) * 2)
    pickled(folder, "categories", model, model.predict(FRAME[:24]))
    settings = dict(SETTINGS, n_estimators=80, learning_rate=1.0)
    if VERSION >= (4, 0):
        stop = {"callbacks": [lgb.early_stopping(3, verbose=False)]}
    else:
        stop = {"early_stopping_rounds": 3, "verbose": False}
    model = lgb.LGBMClassifier(**settings).fit(X[:80], BINARY[:80], eval_set=[(X[80:], BINARY[80:])], **stop)
    pickled(folder, "early", model, model.predict_proba(ROWS))
    EXPECTED["stopped"] = model.predict_proba(ROWS)[:, 1]
    model.booster_.save_model(os.path.join(folder, "stopped.txt"))
    model = lgb.train(dict(FIXED, objective="binary"), lgb.Dataset(X, BINARY), 4)
    pickled(folder, "booster", model, model.predict(ROWS))


def main():
    folder = os.path.join(sys.argv[1], lgb.__version__)
    os.makedirs(folder, exist_ok=True)
    save(folder)
    np.savez_compressed(os.path.join(folder, "expected.npz"), **EXPECTED)
    print(json.dumps({"version": lgb.__version__, "cases": len(EXPECTED)}))


if __name__ == "__main__":
    main()
