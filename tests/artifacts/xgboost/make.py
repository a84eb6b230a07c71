"""Fits small XGBoost models, saves each as its day's users did, and records what that day's library answered.

    python make.py FOLDER       writes FOLDER/<version of XGBoost>/: models, and expected.npz with rows and answers

Syntax of Python 3.6. Made with: Python 3.6 XGBoost 0.90; 3.7 XGBoost 1.0.2, scikit-learn 0.22.2; 3.8 XGBoost 1.3.3, scikit-learn 0.24.2;
3.10 XGBoost 1.7.6, scikit-learn 1.2.2; 3.11 XGBoost 2.1.4, scikit-learn 1.5.2; 3.11 XGBoost 3.2.0, scikit-learn 1.9.1.
"""

import json
import os
import pickle
import sys
import warnings

import numpy as np
import xgboost as xgb
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

warnings.filterwarnings("ignore")
VERSION = tuple(int(part) for part in xgb.__version__.split(".")[:2])
RANDOM = np.random.RandomState(7)
X = RANDOM.normal(size=(120, 4)).astype(np.float32)
X[RANDOM.uniform(size=X.shape) < 0.1] = np.nan
FILLED = np.nan_to_num(X)
SIGNAL = FILLED[:, 0] + FILLED[:, 1] * FILLED[:, 2]
BINARY = (SIGNAL > 0).astype(int)
THREE = np.digitize(SIGNAL, [-0.5, 0.5])
COUNTS = RANDOM.poisson(np.exp(SIGNAL / 3))
NAMES = ["age", "income per year", "x,1", "größe"]
ROWS = X[:24]
EXPECTED = {"X": ROWS}


def natives():
    """Yield a name, parameters and a target for what ``xgboost.train`` fits."""
    yield "binary", {"objective": "binary:logistic"}, BINARY
    yield "hinge", {"objective": "binary:hinge"}, BINARY
    yield "raw", {"objective": "binary:logitraw"}, BINARY
    yield "logistic", {"objective": "reg:logistic"}, BINARY
    yield "three", {"objective": "multi:softprob", "num_class": 3}, THREE
    yield "softmax", {"objective": "multi:softmax", "num_class": 3}, THREE
    yield "squares", {"objective": "reg:squarederror", "base_score": 2.5}, SIGNAL
    yield "poisson", {"objective": "count:poisson"}, COUNTS
    yield "tweedie", {"objective": "reg:tweedie", "tweedie_variance_power": 1.3}, COUNTS
    yield "gamma", {"objective": "reg:gamma"}, COUNTS + 1.0
    yield "cox", {"objective": "survival:cox"}, COUNTS + 1.0
    yield "linear", {"booster": "gblinear", "objective": "multi:softprob", "num_class": 3}, THREE
    yield "dart", {"booster": "dart", "rate_drop": 0.5, "objective": "binary:logistic"}, BINARY
    yield "forest", {"objective": "reg:squarederror", "num_parallel_tree": 3, "subsample": 0.7, "eta": 1.0}, SIGNAL
    yield "stump", {"objective": "reg:squarederror", "max_depth": 0 if VERSION < (1, 0) else 1, "min_child_weight": 1e6}, SIGNAL


def save(folder):
    for name, parameters, target in natives():
        rows = FILLED if name == "linear" else X
        data = xgb.DMatrix(rows, np.asarray(target, np.float32), feature_names=NAMES)
        model = xgb.train(dict({"max_depth": 3, "seed": 1, "nthread": 1}, **parameters), data, 4)
        EXPECTED[name] = model.predict(xgb.DMatrix(rows[:24], feature_names=NAMES))
        suffix = ".model" if VERSION < (1, 0) else ".json" if VERSION < (1, 6) or name in ("three", "dart") else ".ubj"
        model.save_model(os.path.join(folder, name + suffix))
    ranking(folder)
    wrappers(folder)
    newer(folder)


def ranking(folder):
    data = xgb.DMatrix(X, np.minimum(COUNTS, 3))
    data.set_group([60, 60])
    model = xgb.train({"objective": "rank:pairwise", "max_depth": 2, "nthread": 1}, data, 3)
    EXPECTED["rank"] = model.predict(xgb.DMatrix(ROWS))
    model.save_model(os.path.join(folder, "rank" + (".json" if VERSION >= (1, 0) else ".model")))


def pickled(folder, name, model, answer):
    EXPECTED["pickled_" + name] = np.asarray(answer)
    with open(os.path.join(folder, name + ".pkl"), "wb") as file:
        pickle.dump(model, file, 2 if name == "regressor" else 4)


def wrappers(folder):
    settings = {"n_estimators": 12, "max_depth": 2, "random_state": 1, "n_jobs": 1}
    model = xgb.XGBClassifier(objective="binary:logistic", **settings).fit(X, BINARY)
    pickled(folder, "classifier", model, model.predict_proba(ROWS))
    model = xgb.XGBClassifier(objective="multi:softprob", **settings).fit(X, THREE)
    pickled(folder, "classes", model, model.predict_proba(ROWS))
    if VERSION < (1, 6):
        words = np.array(["bad", "fair", "good"])[THREE]
        model = xgb.XGBClassifier(**settings).fit(X, words)
        pickled(folder, "words", model, model.predict_proba(ROWS))
        EXPECTED["labels_words"] = model.predict(ROWS)
        if VERSION >= (1, 0):
            EXPECTED["words"] = EXPECTED["pickled_words"]
            model.save_model(os.path.join(folder, "words.json"))
    model = xgb.XGBRegressor(objective="reg:squarederror", **settings).fit(X, SIGNAL)
    pickled(folder, "regressor", model, model.predict(ROWS))
    model = xgb.XGBRanker(objective="rank:pairwise", **settings).fit(X, np.minimum(COUNTS, 3), group=[60, 60])
    pickled(folder, "ranker", model, model.predict(ROWS))
    model = make_pipeline(StandardScaler(), xgb.XGBClassifier(**settings)).fit(FILLED, BINARY)
    pickled(folder, "pipeline", model, model.predict_proba(FILLED[:24]))
    early(folder, dict(settings, n_estimators=60, learning_rate=1.0))
    data = xgb.DMatrix(X, BINARY, feature_names=NAMES)
    model = xgb.train({"objective": "binary:logistic", "max_depth": 2, "nthread": 1}, data, 4)
    pickled(folder, "booster", model, model.predict(xgb.DMatrix(ROWS, feature_names=NAMES)))


def early(folder, settings):
    """Stopped early: the best round is not the last, and the wrapper answers with the best."""
    stop = {"early_stopping_rounds": 5}
    if VERSION >= (1, 6):
        settings, stop = dict(settings, eval_metric="logloss", **stop), {}
    else:
        stop["eval_metric"] = "logloss"
    model = xgb.XGBClassifier(**settings).fit(X[:60], BINARY[:60], eval_set=[(X[60:], BINARY[60:])], verbose=False, **stop)
    pickled(folder, "early", model, model.predict_proba(ROWS))
    if VERSION >= (1, 0):
        EXPECTED["stopped"] = model.predict_proba(ROWS)[:, 1]
        model.save_model(os.path.join(folder, "stopped.json"))
        booster = model.get_booster()
        EXPECTED["unstopped"] = booster.predict(xgb.DMatrix(ROWS))
        booster.save_model(os.path.join(folder, "unstopped.json"))


def newer(folder):
    """What came later: survival by intervals, categories, several targets, quantiles."""
    if VERSION >= (1, 3):
        data = xgb.DMatrix(X)
        data.set_float_info("label_lower_bound", COUNTS + 1.0)
        data.set_float_info("label_upper_bound", COUNTS + 3.0)
        model = xgb.train({"objective": "survival:aft", "max_depth": 2, "nthread": 1}, data, 4)
        EXPECTED["aft"] = model.predict(xgb.DMatrix(ROWS))
        model.save_model(os.path.join(folder, "aft.json"))
    if VERSION >= (1, 6):
        categories(folder)
        settings = {"n_estimators": 4, "max_depth": 2, "n_jobs": 1, "tree_method": "hist"}
        model = xgb.XGBRegressor(**settings).fit(X, np.c_[SIGNAL, SIGNAL * 2])
        EXPECTED["targets"] = model.predict(ROWS)
        model.save_model(os.path.join(folder, "targets.ubj"))
        model = xgb.XGBClassifier(**settings).fit(X, np.c_[BINARY, 1 - BINARY, X[:, 3] > 0].astype(int))
        EXPECTED["labels"] = np.asarray(model.predict_proba(ROWS))
        model.save_model(os.path.join(folder, "labels.ubj"))
    if VERSION >= (2, 0):
        model = xgb.XGBRegressor(multi_strategy="multi_output_tree", **settings).fit(X, np.c_[SIGNAL, SIGNAL * 2])
        EXPECTED["vectors"] = model.predict(ROWS)
        model.save_model(os.path.join(folder, "vectors.ubj"))
        model = xgb.XGBRegressor(objective="reg:quantileerror", quantile_alpha=np.array([0.1, 0.9]), **settings).fit(X, SIGNAL)
        EXPECTED["quantiles"] = model.predict(ROWS)
        model.save_model(os.path.join(folder, "quantiles.json"))


def categories(folder):
    import pandas as pd

    words = pd.Categorical(np.array(["ash", "elm", "oak", "pine"])[RANDOM.randint(0, 4, 120)])
    numbers = pd.Categorical(RANDOM.randint(0, 9, 120) * 10)
    frame = pd.DataFrame({"tree": words, "plot": numbers, "size": X[:, 0]})
    target = SIGNAL + (words.codes % 2) * 2 + (numbers.codes % 3)
    model = xgb.XGBRegressor(n_estimators=4, max_depth=4, n_jobs=1, tree_method="hist", enable_categorical=True, max_cat_to_onehot=2)
    model.fit(frame, target)
    EXPECTED["categories"] = model.predict(frame[:24])
    EXPECTED["tree"], EXPECTED["plot"], EXPECTED["size"] = np.asarray(words)[:24].astype(str), np.asarray(numbers)[:24], X[:24, 0]
    EXPECTED["codes"] = np.c_[words.codes, numbers.codes, X[:, 0]][:24]
    model.save_model(os.path.join(folder, "categories.ubj"))
    pickled(folder, "categories", model, EXPECTED["categories"])


def main():
    folder = os.path.join(sys.argv[1], xgb.__version__)
    os.makedirs(folder, exist_ok=True)
    save(folder)
    np.savez_compressed(os.path.join(folder, "expected.npz"), **EXPECTED)
    print(json.dumps({"version": xgb.__version__, "cases": len(EXPECTED)}))


if __name__ == "__main__":
    main()
