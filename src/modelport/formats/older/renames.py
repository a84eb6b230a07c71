"""Where scikit-learn's modules and names have moved since 0.18, as data: a pickle names them as they were called on its day.

A name that moved is judged under its present one, so that the allow-list stays the only gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

MODULES: Mapping[str, str] = MappingProxyType(
    {
        "sklearn.cluster.affinity_propagation_": "sklearn.cluster._affinity_propagation",
        "sklearn.cluster.bicluster": "sklearn.cluster._bicluster",
        "sklearn.cluster.birch": "sklearn.cluster._birch",
        "sklearn.cluster.dbscan_": "sklearn.cluster._dbscan",
        "sklearn.cluster.hierarchical": "sklearn.cluster._agglomerative",
        "sklearn.cluster.k_means_": "sklearn.cluster._kmeans",
        "sklearn.cluster.mean_shift_": "sklearn.cluster._mean_shift",
        "sklearn.cluster.optics_": "sklearn.cluster._optics",
        "sklearn.cluster.spectral": "sklearn.cluster._spectral",
        "sklearn.covariance.elliptic_envelope": "sklearn.covariance._elliptic_envelope",
        "sklearn.covariance.empirical_covariance_": "sklearn.covariance._empirical_covariance",
        "sklearn.covariance.graph_lasso_": "sklearn.covariance._graph_lasso",
        "sklearn.covariance.outlier_detection": "sklearn.covariance._elliptic_envelope",
        "sklearn.covariance.robust_covariance": "sklearn.covariance._robust_covariance",
        "sklearn.covariance.shrunk_covariance_": "sklearn.covariance._shrunk_covariance",
        "sklearn.cross_decomposition._cca": "sklearn.cross_decomposition._pls",
        "sklearn.cross_decomposition.cca_": "sklearn.cross_decomposition._pls",
        "sklearn.cross_decomposition.pls_": "sklearn.cross_decomposition._pls",
        "sklearn.decomposition.dict_learning": "sklearn.decomposition._dict_learning",
        "sklearn.decomposition.factor_analysis": "sklearn.decomposition._factor_analysis",
        "sklearn.decomposition.fastica_": "sklearn.decomposition._fastica",
        "sklearn.decomposition.incremental_pca": "sklearn.decomposition._incremental_pca",
        "sklearn.decomposition.kernel_pca": "sklearn.decomposition._kernel_pca",
        "sklearn.decomposition.nmf": "sklearn.decomposition._nmf",
        "sklearn.decomposition.online_lda": "sklearn.decomposition._lda",
        "sklearn.decomposition.pca": "sklearn.decomposition._pca",
        "sklearn.decomposition.sparse_pca": "sklearn.decomposition._sparse_pca",
        "sklearn.decomposition.truncated_svd": "sklearn.decomposition._truncated_svd",
        "sklearn.ensemble.bagging": "sklearn.ensemble._bagging",
        "sklearn.ensemble.forest": "sklearn.ensemble._forest",
        "sklearn.ensemble.gradient_boosting": "sklearn.ensemble._gb",
        "sklearn.ensemble.iforest": "sklearn.ensemble._iforest",
        "sklearn.ensemble.voting": "sklearn.ensemble._voting",
        "sklearn.ensemble.voting_classifier": "sklearn.ensemble._voting",
        "sklearn.ensemble.weight_boosting": "sklearn.ensemble._weight_boosting",
        "sklearn.feature_extraction.dict_vectorizer": "sklearn.feature_extraction._dict_vectorizer",
        "sklearn.feature_extraction.hashing": "sklearn.feature_extraction._hash",
        "sklearn.feature_selection.from_model": "sklearn.feature_selection._from_model",
        "sklearn.feature_selection.mutual_info_": "sklearn.feature_selection._mutual_info",
        "sklearn.feature_selection.rfe": "sklearn.feature_selection._rfe",
        "sklearn.feature_selection.univariate_selection": "sklearn.feature_selection._univariate_selection",
        "sklearn.feature_selection.variance_threshold": "sklearn.feature_selection._variance_threshold",
        "sklearn.gaussian_process.gpc": "sklearn.gaussian_process._gpc",
        "sklearn.gaussian_process.gpr": "sklearn.gaussian_process._gpr",
        "sklearn.linear_model.base": "sklearn.linear_model._base",
        "sklearn.linear_model.bayes": "sklearn.linear_model._bayes",
        "sklearn.linear_model.coordinate_descent": "sklearn.linear_model._coordinate_descent",
        "sklearn.linear_model.huber": "sklearn.linear_model._huber",
        "sklearn.linear_model.least_angle": "sklearn.linear_model._least_angle",
        "sklearn.linear_model.logistic": "sklearn.linear_model._logistic",
        "sklearn.linear_model.omp": "sklearn.linear_model._omp",
        "sklearn.linear_model.passive_aggressive": "sklearn.linear_model._passive_aggressive",
        "sklearn.linear_model.perceptron": "sklearn.linear_model._perceptron",
        "sklearn.linear_model.ransac": "sklearn.linear_model._ransac",
        "sklearn.linear_model.ridge": "sklearn.linear_model._ridge",
        "sklearn.linear_model.sgd_fast": "sklearn.linear_model._sgd_fast",
        "sklearn.linear_model.stochastic_gradient": "sklearn.linear_model._stochastic_gradient",
        "sklearn.linear_model.theil_sen": "sklearn.linear_model._theil_sen",
        "sklearn.manifold.isomap": "sklearn.manifold._isomap",
        "sklearn.manifold.locally_linear": "sklearn.manifold._locally_linear",
        "sklearn.manifold.mds": "sklearn.manifold._mds",
        "sklearn.manifold.spectral_embedding_": "sklearn.manifold._spectral_embedding",
        "sklearn.manifold.t_sne": "sklearn.manifold._t_sne",
        "sklearn.metrics.classification": "sklearn.metrics._classification",
        "sklearn.metrics.cluster.bicluster": "sklearn.metrics.cluster._bicluster",
        "sklearn.metrics.cluster.supervised": "sklearn.metrics.cluster._supervised",
        "sklearn.metrics.cluster.unsupervised": "sklearn.metrics.cluster._unsupervised",
        "sklearn.metrics.ranking": "sklearn.metrics._ranking",
        "sklearn.metrics.regression": "sklearn.metrics._regression",
        "sklearn.metrics.scorer": "sklearn.metrics._scorer",
        "sklearn.mixture.bayesian_mixture": "sklearn.mixture._bayesian_mixture",
        "sklearn.mixture.gaussian_mixture": "sklearn.mixture._gaussian_mixture",
        "sklearn.neighbors._dist_metrics": "sklearn.metrics._dist_metrics",
        "sklearn.neighbors.ball_tree": "sklearn.neighbors._ball_tree",
        "sklearn.neighbors.classification": "sklearn.neighbors._classification",
        "sklearn.neighbors.dist_metrics": "sklearn.metrics._dist_metrics",
        "sklearn.neighbors.kd_tree": "sklearn.neighbors._kd_tree",
        "sklearn.neighbors.kde": "sklearn.neighbors._kde",
        "sklearn.neighbors.lof": "sklearn.neighbors._lof",
        "sklearn.neighbors.nca": "sklearn.neighbors._nca",
        "sklearn.neighbors.nearest_centroid": "sklearn.neighbors._nearest_centroid",
        "sklearn.neighbors.regression": "sklearn.neighbors._regression",
        "sklearn.neighbors.unsupervised": "sklearn.neighbors._unsupervised",
        "sklearn.neural_network.multilayer_perceptron": "sklearn.neural_network._multilayer_perceptron",
        "sklearn.neural_network.rbm": "sklearn.neural_network._rbm",
        "sklearn.preprocessing.data": "sklearn.preprocessing._data",
        "sklearn.preprocessing.label": "sklearn.preprocessing._label",
        "sklearn.semi_supervised.label_propagation": "sklearn.semi_supervised._label_propagation",
        "sklearn.svm.classes": "sklearn.svm._classes",
        "sklearn.tree.tree": "sklearn.tree._classes",
        "sklearn.utils.bunch": "sklearn.utils._bunch",
    }
)
"""Module then to module now."""

_JOBLIB = "sklearn.externals.joblib"
_BOOSTING = ("sklearn.ensemble.gradient_boosting", "sklearn.ensemble._gb")
_LOSSES = (
    "BinomialDeviance",
    "ExponentialLoss",
    "HuberLossFunction",
    "LeastAbsoluteError",
    "LeastSquaresError",
    "MultinomialDeviance",
    "QuantileLossFunction",
)
_BUNCH = ("sklearn.utils._bunch", "Bunch")
NAMES: Mapping[tuple[str, str], tuple[str, str]] = MappingProxyType(
    {
        **{(module, name): ("sklearn.ensemble._gb_losses", name) for module in _BOOSTING for name in _LOSSES},
        ("sklearn.utils", "Bunch"): _BUNCH,
        ("sklearn.datasets.base", "Bunch"): _BUNCH,
        ("sklearn.utils.deprecation", "DeprecationDict"): _BUNCH,  # a dictionary that only warned about keys to come
        ("xgboost.compat", "XGBoostLabelEncoder"): ("sklearn.preprocessing._label", "LabelEncoder"),  # until XGBoost 1.5, with JSON beside
        ("exceptions", "FutureWarning"): ("builtins", "FutureWarning"),
        ("exceptions", "DeprecationWarning"): ("builtins", "DeprecationWarning"),
        ("sklearn.impute", "SimpleImputer"): ("sklearn.impute._base", "SimpleImputer"),
        ("sklearn.impute", "MissingIndicator"): ("sklearn.impute._base", "MissingIndicator"),
        ("sklearn.preprocessing.imputation", "Imputer"): ("sklearn.impute._base", "SimpleImputer"),
        ("sklearn.preprocessing._data", "PolynomialFeatures"): ("sklearn.preprocessing._polynomial", "PolynomialFeatures"),
        ("sklearn.preprocessing.data", "PolynomialFeatures"): ("sklearn.preprocessing._polynomial", "PolynomialFeatures"),
        ("sklearn.preprocessing.data", "OneHotEncoder"): ("sklearn.preprocessing._encoders", "OneHotEncoder"),
    }
)
"""Single names that left their module for another one."""


def moved(module: str, name: str) -> tuple[str, str]:
    """Return where a global of an older scikit-learn lives today; the same where it has not moved."""
    if module == _JOBLIB or module.startswith(_JOBLIB + "."):
        return "joblib" + module[len(_JOBLIB) :], name
    if (module, name) in NAMES:
        return NAMES[module, name]
    return MODULES.get(module, module), name
