"""The estimators that make.py fits, saves and records, in the syntax of Python 3.6 and with what scikit-learn 0.18 to 1.7 share.

Each entry is a name, the kind of its rows ("numbers", "counts", "texts", "frame"), its target ("two", "three", "words",
"real" or None) and a function without arguments that makes it. An era that lacks a class or a parameter leaves the entry out.
"""

from sklearn import (
    cluster,
    decomposition,
    discriminant_analysis,
    ensemble,
    feature_selection,
    linear_model,
    naive_bayes,
    neighbors,
    neural_network,
    pipeline,
    preprocessing,
    svm,
    tree,
)
from sklearn.feature_extraction import text

logistic = linear_model.LogisticRegression


def linear():
    """Yield linear models."""
    yield "logistic_binary", "numbers", "words", lambda: logistic()
    yield "logistic_default", "numbers", "three", lambda: logistic()
    yield "logistic_ovr", "numbers", "words", lambda: logistic(multi_class="ovr", solver="lbfgs")
    yield "logistic_ovr_three", "numbers", "three", lambda: logistic(multi_class="ovr", solver="lbfgs")
    yield "logistic_multinomial", "numbers", "three", lambda: logistic(multi_class="multinomial", solver="lbfgs")
    yield "logistic_multinomial_binary", "numbers", "two", lambda: logistic(multi_class="multinomial", solver="lbfgs")
    yield "logistic_liblinear", "numbers", "three", lambda: logistic(solver="liblinear")
    yield "logistic_liblinear_binary", "numbers", "two", lambda: logistic(solver="liblinear")
    yield "logistic_cv", "numbers", "three", lambda: linear_model.LogisticRegressionCV(Cs=2, cv=3)
    yield "linear_svc", "numbers", "three", lambda: svm.LinearSVC(random_state=0)
    yield "sgd_log", "numbers", "three", lambda: linear_model.SGDClassifier(loss=_log(), random_state=0)
    yield "sgd_hinge", "numbers", "two", lambda: linear_model.SGDClassifier(random_state=0)
    yield "sgd_huber", "numbers", "three", lambda: linear_model.SGDClassifier(loss="modified_huber", random_state=0)
    yield "sgd_regressor", "numbers", "real", lambda: linear_model.SGDRegressor(random_state=0)
    yield "perceptron", "numbers", "three", lambda: linear_model.Perceptron(random_state=0)
    yield "linear", "numbers", "real", lambda: linear_model.LinearRegression()
    yield "ridge", "numbers", "real", lambda: linear_model.Ridge()
    yield "ridge_classifier", "numbers", "three", lambda: linear_model.RidgeClassifier()
    yield "lasso", "numbers", "real", lambda: linear_model.Lasso(0.01)
    yield "lda", "numbers", "three", lambda: discriminant_analysis.LinearDiscriminantAnalysis()
    yield "qda", "numbers", "three", lambda: discriminant_analysis.QuadraticDiscriminantAnalysis()


def _log():
    try:
        linear_model.SGDClassifier(loss="log").fit([[0.0], [1.0]], [0, 1])
    except ValueError:
        return "log_loss"
    return "log"


def trees():
    """Yield trees and what is made of them."""
    few = {"n_estimators": 4, "random_state": 0}
    small = dict(few, max_depth=3)
    yield "tree_classifier", "numbers", "words", lambda: tree.DecisionTreeClassifier(max_depth=3, random_state=0)
    yield "tree_regressor", "numbers", "real", lambda: tree.DecisionTreeRegressor(max_depth=3, random_state=0)
    yield "forest_classifier", "numbers", "three", lambda: ensemble.RandomForestClassifier(**small)
    yield "forest_regressor", "numbers", "real", lambda: ensemble.RandomForestRegressor(**small)
    yield "extra_trees", "numbers", "three", lambda: ensemble.ExtraTreesClassifier(**small)
    yield "extra_trees_regressor", "numbers", "real", lambda: ensemble.ExtraTreesRegressor(**small)
    yield "gradient_binary", "numbers", "two", lambda: ensemble.GradientBoostingClassifier(**few)
    yield "gradient_exponential", "numbers", "two", lambda: ensemble.GradientBoostingClassifier(loss="exponential", **few)
    yield "gradient_multiclass", "numbers", "three", lambda: ensemble.GradientBoostingClassifier(**few)
    yield "gradient_regressor", "numbers", "real", lambda: ensemble.GradientBoostingRegressor(**few)
    yield "gradient_huber", "numbers", "real", lambda: ensemble.GradientBoostingRegressor(loss="huber", **few)
    yield "gradient_quantile", "numbers", "real", lambda: ensemble.GradientBoostingRegressor(loss="quantile", **few)
    yield "gradient_zero", "numbers", "three", lambda: ensemble.GradientBoostingClassifier(init="zero", **few)
    yield "ada", "numbers", "three", lambda: ensemble.AdaBoostClassifier(**few)
    yield "ada_binary", "numbers", "words", lambda: ensemble.AdaBoostClassifier(**few)
    yield "ada_samme", "numbers", "three", lambda: ensemble.AdaBoostClassifier(algorithm="SAMME", **few)
    yield "ada_regressor", "numbers", "real", lambda: ensemble.AdaBoostRegressor(**few)
    yield "bagging", "numbers", "three", lambda: ensemble.BaggingClassifier(**few)
    yield "isolation", "numbers", None, lambda: ensemble.IsolationForest(max_samples=16, **few)
    yield "hist_binary", "numbers", "two", lambda: _hist("Classifier")
    yield "hist_multiclass", "numbers", "three", lambda: _hist("Classifier")
    yield "hist_regressor", "numbers", "real", lambda: _hist("Regressor")


def _hist(kind):
    try:
        from sklearn.experimental import enable_hist_gradient_boosting  # noqa: F401
    except ImportError:  # later they need no enabling
        return getattr(ensemble, "HistGradientBoosting" + kind)(max_iter=3, min_samples_leaf=5, random_state=0)
    return getattr(ensemble, "HistGradientBoosting" + kind)(max_iter=3, min_samples_leaf=5, random_state=0)


def near():
    """Yield naive Bayes, support vectors, neighbours and clusters."""
    knn = neighbors.KNeighborsClassifier
    yield "gaussian_nb", "numbers", "words", lambda: naive_bayes.GaussianNB()
    yield "multinomial_nb", "counts", "three", lambda: naive_bayes.MultinomialNB()
    yield "bernoulli_nb", "counts", "three", lambda: naive_bayes.BernoulliNB()
    yield "svc", "numbers", "three", lambda: svm.SVC(gamma=0.5)
    yield "svc_binary", "numbers", "words", lambda: svm.SVC(gamma=0.5)
    yield "svc_proba", "numbers", "three", lambda: svm.SVC(gamma=0.5, probability=True, random_state=0)
    yield "svc_linear", "numbers", "words", lambda: svm.SVC(kernel="linear", probability=True, random_state=0)
    yield "svc_ovo", "numbers", "three", lambda: svm.SVC(gamma=0.5, decision_function_shape="ovo")
    yield "nu_svc", "numbers", "three", lambda: svm.NuSVC(gamma=0.5)
    yield "svr", "numbers", "real", lambda: svm.SVR(gamma=0.5)
    yield "one_class", "numbers", None, lambda: svm.OneClassSVM(gamma=0.5, nu=0.3)
    yield "knn_kd", "numbers", "words", lambda: knn(3, algorithm="kd_tree")
    yield "knn_ball", "numbers", "three", lambda: knn(3, algorithm="ball_tree", weights="distance")
    yield "knn_brute", "numbers", "three", lambda: knn(3, algorithm="brute", metric="cosine")
    yield "knn_auto", "numbers", "three", lambda: knn(4, p=1)
    yield "knn_regressor", "numbers", "real", lambda: neighbors.KNeighborsRegressor(3, algorithm="ball_tree")
    yield "knn_regressor_kd", "numbers", "real", lambda: neighbors.KNeighborsRegressor(3, algorithm="kd_tree", p=3)
    yield "centroid", "numbers", "three", lambda: neighbors.NearestCentroid()
    yield "kmeans", "numbers", None, lambda: cluster.KMeans(3, n_init=2, random_state=0)
    yield "mlp_classifier", "numbers", "three", lambda: neural_network.MLPClassifier((5,), max_iter=30, random_state=0)
    yield "mlp_regressor", "numbers", "real", lambda: neural_network.MLPRegressor(hidden_layer_sizes=(5,), max_iter=30, random_state=0)
    yield "scaler", "numbers", None, lambda: preprocessing.StandardScaler()
    yield "pca", "numbers", None, lambda: decomposition.PCA(2)


def _imputer():
    try:
        from sklearn.impute import SimpleImputer
    except ImportError:
        return preprocessing.Imputer()
    return SimpleImputer()


def _columns(numbers, words):
    from sklearn.compose import ColumnTransformer

    return ColumnTransformer(
        [
            ("numbers", pipeline.make_pipeline(_imputer(), preprocessing.StandardScaler()), numbers),
            ("words", preprocessing.OneHotEncoder(handle_unknown="ignore"), words),
        ]
    )


def made():
    """Yield pipelines and other estimators made of estimators."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.cross_decomposition import PLSRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.multiclass import OneVsRestClassifier

    join = pipeline.make_pipeline
    forest = {"n_estimators": 3, "max_depth": 2, "random_state": 0}
    yield "pca_logistic", "numbers", "two", lambda: join(decomposition.PCA(2), logistic())
    yield "imputed", "gaps", "two", lambda: join(_imputer(), preprocessing.StandardScaler(), logistic())
    yield "imputed_forest", "gaps", "words", lambda: join(_imputer(), ensemble.RandomForestClassifier(**forest))
    yield "selected", "numbers", "three", lambda: join(feature_selection.SelectKBest(k=2), naive_bayes.GaussianNB())
    yield "union", "numbers", "two", lambda: join(pipeline.make_union(preprocessing.MinMaxScaler(), decomposition.PCA(2)), logistic())
    yield "array_columns", "numbers", "two", lambda: join(_columns([0, 1], [3]), logistic())
    yield "frame_columns", "frame", "words", lambda: join(_columns(["age", "size"], ["town"]), logistic())
    yield "frame_forest", "frame", "three", lambda: join(_columns(["age", "size"], ["town"]), ensemble.RandomForestClassifier(**forest))
    yield "tfidf_logistic", "texts", "two", lambda: join(text.TfidfVectorizer(), logistic())
    yield (
        "tfidf_sublinear",
        "texts",
        "three",
        lambda: join(text.CountVectorizer(), text.TfidfTransformer(sublinear_tf=True), svm.LinearSVC()),
    )
    yield "count_nb", "texts", "three", lambda: join(text.CountVectorizer(ngram_range=(1, 2)), naive_bayes.MultinomialNB())
    yield "tfidf_sgd", "texts", "two", lambda: join(text.TfidfVectorizer(), linear_model.SGDClassifier(loss=_log(), random_state=0))
    yield (
        "voting_soft",
        "numbers",
        "words",
        lambda: ensemble.VotingClassifier([("a", logistic()), ("b", tree.DecisionTreeClassifier(max_depth=2))], voting="soft"),
    )
    yield (
        "voting_hard",
        "numbers",
        "three",
        lambda: ensemble.VotingClassifier([("a", logistic()), ("b", naive_bayes.GaussianNB()), ("c", neighbors.KNeighborsClassifier(3))]),
    )
    yield "grid_search", "numbers", "two", lambda: GridSearchCV(logistic(), {"C": [0.1, 1.0]}, cv=3)
    yield "grid_forest", "numbers", "three", lambda: GridSearchCV(ensemble.RandomForestClassifier(**forest), {"max_depth": [1, 2]}, cv=3)
    yield "calibrated", "numbers", "three", lambda: CalibratedClassifierCV(naive_bayes.GaussianNB(), cv=2)
    yield "calibrated_isotonic", "numbers", "two", lambda: CalibratedClassifierCV(svm.LinearSVC(random_state=0), method="isotonic", cv=2)
    yield "one_vs_rest", "numbers", "three", lambda: OneVsRestClassifier(logistic())
    yield "pls", "numbers", "real", lambda: PLSRegression(2)


def less_usual():
    """Yield transformers and estimators that are met less often."""
    from sklearn import kernel_ridge, mixture, model_selection, multiclass

    join, prep, nb = pipeline.make_pipeline, preprocessing, naive_bayes.GaussianNB
    forest = {"n_estimators": 3, "max_depth": 2, "random_state": 0}
    yield "polynomial", "numbers", "two", lambda: join(prep.PolynomialFeatures(), prep.RobustScaler(), logistic(solver="lbfgs"))
    yield "quantile", "numbers", None, lambda: prep.QuantileTransformer(n_quantiles=9)
    yield "power", "numbers", None, lambda: prep.PowerTransformer()
    yield "bins", "numbers", None, lambda: prep.KBinsDiscretizer(3, encode="ordinal", strategy="uniform")
    yield "scalers", "numbers", "two", lambda: join(prep.MaxAbsScaler(), prep.Normalizer(), prep.Binarizer(threshold=0.1), nb())
    yield "ordinal", "counts", None, lambda: prep.OrdinalEncoder(categories=[[0.0, 1.0, 2.0, 3.0, 4.0]] * 4)
    yield "function", "counts", "two", lambda: join(prep.FunctionTransformer(_log1p(), validate=True), nb())
    yield "svd_text", "texts", "two", lambda: join(text.TfidfVectorizer(), decomposition.TruncatedSVD(3, random_state=0), nb())
    yield "hashing", "texts", "two", lambda: join(text.HashingVectorizer(n_features=32), linear_model.SGDClassifier(random_state=0))
    yield "from_model", "numbers", "three", lambda: join(feature_selection.SelectFromModel(ensemble.RandomForestClassifier(**forest)), nb())
    yield "rfe", "numbers", "three", lambda: feature_selection.RFE(logistic(solver="lbfgs"), n_features_to_select=2)
    yield "percentile", "counts", "three", lambda: join(feature_selection.SelectPercentile(feature_selection.chi2, percentile=50), nb())
    yield "variance", "numbers", "two", lambda: join(feature_selection.VarianceThreshold(0.3), nb())
    yield "elastic_net", "numbers", "real", lambda: linear_model.ElasticNet(0.01)
    yield "lasso_cv", "numbers", "real", lambda: linear_model.LassoCV(cv=3)
    yield "ridge_cv", "numbers", "real", lambda: linear_model.RidgeCV()
    yield "bayesian_ridge", "numbers", "real", lambda: linear_model.BayesianRidge()
    yield "huber", "numbers", "real", lambda: linear_model.HuberRegressor()
    yield "passive", "numbers", "three", lambda: linear_model.PassiveAggressiveClassifier(random_state=0)
    yield "linear_svr", "numbers", "real", lambda: svm.LinearSVR(random_state=0)
    yield "complement_nb", "counts", "three", lambda: naive_bayes.ComplementNB()
    yield "random_search", "numbers", "two", lambda: model_selection.RandomizedSearchCV(nb(), {"priors": [None]}, n_iter=1, cv=3)
    yield "stacking", "numbers", "three", lambda: ensemble.StackingClassifier([("a", nb())], logistic(), cv=2)
    yield "voting_regressor", "numbers", "real", lambda: ensemble.VotingRegressor([("a", linear_model.Ridge())])
    yield "bagging_regressor", "numbers", "real", lambda: ensemble.BaggingRegressor(n_estimators=3, random_state=0)
    yield "extra_tree", "numbers", "three", lambda: tree.ExtraTreeClassifier(max_depth=3, random_state=0)
    yield "mixture", "numbers", None, lambda: mixture.GaussianMixture(2, random_state=0)
    yield "outlier_factor", "numbers", None, lambda: neighbors.LocalOutlierFactor(5, novelty=True)
    yield "one_vs_one", "numbers", "three", lambda: multiclass.OneVsOneClassifier(logistic(solver="liblinear"))
    yield "kernel_ridge", "numbers", "real", lambda: kernel_ridge.KernelRidge(kernel="rbf", gamma=0.3)
    yield "target", "numbers", "real", lambda: _target()(linear_model.Ridge(), transformer=prep.StandardScaler())
    yield "mini_batch", "numbers", None, lambda: cluster.MiniBatchKMeans(2, n_init=2, random_state=0)
    yield "radius", "numbers", "real", lambda: neighbors.RadiusNeighborsRegressor(9.0)
    yield "poisson", "counts", "counts", lambda: linear_model.PoissonRegressor()


def _target():
    from sklearn.compose import TransformedTargetRegressor

    return TransformedTargetRegressor


def _log1p():
    import numpy

    return numpy.log1p


def every():
    """Yield all of them."""
    for group in (linear, trees, near, made, less_usual):
        yield from group()
