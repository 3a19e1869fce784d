"""Reference points and classical models, all from scikit-learn."""

from typing import Any

from sklearn.base import ClassifierMixin

from tabbench.models import Limits, Needs, model
from tabbench.models.space import Choice, Range

ORDINAL = Needs(categories="ordinal", scaled=False, complete=True)
BY_THREADS = 1e-12  # several threads add up the trees in the order in which they end, which rounds otherwise every time
FOREST = {"max_features": Range(0.1, 1.0), "min_samples_leaf": Range(1, 10, log=True, whole=True)}


@model("dummy", family="simple", needs=ORDINAL, imports=("sklearn.dummy",))
def dummy(seed: int, threads: int) -> ClassifierMixin:
    """Class shares of the training rows, whatever the features."""
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="prior")


@model(
    "logreg",
    aliases=("LinearModel",),
    family="simple",
    imports=("sklearn.linear_model",),
    space={"C": Range(1e-4, 1e3, log=True)},
)
def logreg(seed: int, threads: int, C: float = 1.0, max_iter: int = 1000) -> ClassifierMixin:
    """Logistic regression, multinomial, with an L2 penalty (Cox 1958)."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=C, max_iter=max_iter, random_state=seed)


@model(
    "knn",
    aliases=("KNN",),
    family="simple",
    imports=("sklearn.neighbors",),
    limits=Limits(rows=100_000),
    space={"n_neighbors": Range(1, 100, log=True, whole=True), "weights": Choice(("uniform", "distance"))},
)
def knn(seed: int, threads: int, n_neighbors: int = 5, weights: str = "uniform") -> ClassifierMixin:
    """Nearest neighbours on scaled columns (Cover and Hart 1967)."""
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(n_neighbors=n_neighbors, weights=weights, n_jobs=threads)


@model(
    "svm",
    aliases=("SVM",),
    family="simple",
    imports=("sklearn.calibration", "sklearn.svm"),
    limits=Limits(rows=10_000),
    space={"C": Range(1e-2, 1e3, log=True), "gamma": Choice(("scale", 0.001, 0.003, 0.01, 0.03, 0.1, 0.3))},
)
def svm(seed: int, threads: int, C: float = 1.0, gamma: Any = "scale") -> ClassifierMixin:
    """Support vector machine, RBF kernel (Cortes and Vapnik 1995), with Platt-scaled probabilities (Platt 1999).

    The sigmoids are fitted to 3-fold out-of-fold decision values. Fit time is quadratic in the rows, hence the limit.
    """
    from tabbench.models.svm import CalibratedSVC

    return CalibratedSVC(C=C, gamma=gamma, random_state=seed)


@model(
    "tree",
    aliases=("DecisionTree",),
    family="simple",
    needs=ORDINAL,
    imports=("sklearn.tree",),
    space={"max_depth": Range(2, 20, log=True, whole=True), "min_samples_leaf": Range(1, 50, log=True, whole=True)},
)
def tree(seed: int, threads: int, max_depth: int | None = None, min_samples_leaf: int = 1) -> ClassifierMixin:
    """Single decision tree, grown until the leaves are pure (Breiman et al. 1984)."""
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(max_depth=max_depth, min_samples_leaf=min_samples_leaf, random_state=seed)


@model(
    "random_forest",
    aliases=("RandomForest",),
    family="simple",
    needs=ORDINAL,
    imports=("sklearn.ensemble",),
    tolerance=BY_THREADS,
    space=FOREST,
)
def random_forest(
    seed: int,
    threads: int,
    n_estimators: int = 100,
    max_features: Any = "sqrt",
    min_samples_leaf: int = 1,
    max_depth: int | None = None,
) -> ClassifierMixin:
    """Random forest (Breiman 2001).

    Defaults are the library's: it is a reference point, not a tuned contender.
    """
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(
        n_estimators=n_estimators,
        max_features=max_features,
        min_samples_leaf=min_samples_leaf,
        max_depth=max_depth,
        random_state=seed,
        n_jobs=threads,
    )


@model("extra_trees", family="simple", needs=ORDINAL, imports=("sklearn.ensemble",), tolerance=BY_THREADS, space=FOREST)
def extra_trees(
    seed: int, threads: int, n_estimators: int = 100, max_features: Any = "sqrt", min_samples_leaf: int = 1
) -> ClassifierMixin:
    """Extremely randomised trees (Geurts et al. 2006), with the library's defaults."""
    from sklearn.ensemble import ExtraTreesClassifier

    return ExtraTreesClassifier(
        n_estimators=n_estimators,
        max_features=max_features,
        min_samples_leaf=min_samples_leaf,
        random_state=seed,
        n_jobs=threads,
    )
