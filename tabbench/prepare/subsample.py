"""Cutting a training part to size: which rows and columns a model sees, chosen from the training part alone.

A row policy answers with one or several contexts (row numbers into the training part). Several contexts are averaged, unless
the policy also says which context answers which query. A column policy answers with columns to keep, or with a function that
makes new ones. Both draw from a generator, and the simple ones are nested: a smaller size is a subset of a larger one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from numbers import Real
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone

from tabbench.errors import UserError
from tabbench.prepare.needs import Needs
from tabbench.prepare.preprocess import Preprocessor, varies
from tabbench.registry import Registry

NUMERIC = Needs(categories="onehot", scaled=True, complete=True)
N_BAGS = 4
N_REGIONS = 4
SCORED_ROWS = 5000  # rows that suffice to score columns
LARGEST = 1e30  # trees hold values as float32


@dataclass(frozen=True)
class Contexts:
    """rows : training rows of each context. route : (queries) → number of the context that answers each; None: all, averaged."""

    rows: Sequence[np.ndarray]
    route: Callable[[pd.DataFrame], np.ndarray] | None = None


@dataclass(frozen=True)
class Cut:
    """What was used of the training part: rows (of the largest context), columns, and a line for people."""

    n_rows: int
    n_columns: int
    note: str


Numeric = Callable[[pd.DataFrame], np.ndarray]
RowPolicy = Callable[[pd.DataFrame, np.ndarray, int, np.random.Generator], Contexts]
ColumnPolicy = Callable[[pd.DataFrame, np.ndarray, int, np.random.Generator], Callable[[pd.DataFrame], pd.DataFrame]]
ROW_POLICIES: Registry[RowPolicy] = Registry("row policy")
COLUMN_POLICIES: Registry[ColumnPolicy] = Registry("column policy")


def row_policy(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register `f(X, y, n, rng) -> n row numbers, or Contexts`; X is the training part in normal form, y its codes."""

    def register(choose: Callable[..., Any]) -> Callable[..., Any]:
        def policy(X: pd.DataFrame, y: np.ndarray, n: int, rng: np.random.Generator) -> Contexts:
            chosen = choose(X, y, n, rng)
            return chosen if isinstance(chosen, Contexts) else Contexts([np.sort(chosen)])

        ROW_POLICIES.add(name, policy)
        return choose

    return register


def column_policy(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register `f(X, y, n, rng) -> n column numbers, or a function of a table that makes n columns`."""

    def register(choose: Callable[..., Any]) -> Callable[..., Any]:
        def policy(X: pd.DataFrame, y: np.ndarray, n: int, rng: np.random.Generator) -> Callable[[pd.DataFrame], pd.DataFrame]:
            chosen = choose(X, y, n, rng)
            return chosen if callable(chosen) else partial(_keep, columns=np.sort(chosen))

        COLUMN_POLICIES.add(name, policy)
        return choose

    return register


@row_policy("random")
def random_rows(X: pd.DataFrame, y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Uniform without replacement."""
    return rng.permutation(len(X))[:n]


@row_policy("stratified")
def stratified(X: pd.DataFrame, y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Class shares as in the training part, every class at least once if n allows."""
    rank, size = _rank_in_class(y, rng)
    return np.lexsort((rng.random(len(y)), (rank + 0.5) / size, rank > 0))[:n]


@row_policy("balanced")
def balanced(X: pd.DataFrame, y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Equal counts of every class, as far as its rows reach."""
    rank, _ = _rank_in_class(y, rng)
    return np.lexsort((rng.random(len(y)), rank))[:n]


@row_policy("first")
def first_rows(X: pd.DataFrame, y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """The first rows in the order of the file: a control."""
    return np.arange(n)


@row_policy("kmeans")
def kmeans(X: pd.DataFrame, y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """The row nearest to each of n k-means centres (as in TuneTables' sketches, Feuer et al. 2023)."""
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.metrics import pairwise_distances_argmin

    values = _numeric(X)(X)
    means = MiniBatchKMeans(n, n_init=1, random_state=_seed(rng)).fit(values)
    rows = np.unique(pairwise_distances_argmin(means.cluster_centers_, values))
    spare = np.setdiff1d(rng.permutation(len(X)), rows, assume_unique=True)  # two centres may share a row
    return np.concatenate([rows, spare[: n - len(rows)]])


@row_policy("coreset")
def coreset(X: pd.DataFrame, y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Greedy k-centre: always the row farthest from those taken (Sener and Savarese 2018)."""
    values = _numeric(X)(X)
    taken = [int(rng.integers(len(values)))]
    squares = np.square(values).sum(axis=1)
    distance = np.full(len(values), np.inf)
    while len(taken) < n:
        distance = np.minimum(distance, squares + squares[taken[-1]] - 2 * (values @ values[taken[-1]]))
        distance[taken[-1]] = -1
        taken.append(int(distance.argmax()))
    return np.array(taken)


@row_policy("el2n_hard")
def el2n_hard(X: pd.DataFrame, y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """The rows with the largest early error of a small network (Paul et al. 2021, Deep Learning on a Data Diet)."""
    return np.argsort(-_el2n(X, y, rng), kind="stable")[:n]


@row_policy("el2n_moderate")
def el2n_moderate(X: pd.DataFrame, y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """The rows whose early error is nearest to the median (after Xia et al. 2023, Moderate Coreset)."""
    error = _el2n(X, y, rng)
    return np.argsort(np.abs(error - np.median(error)), kind="stable")[:n]


@row_policy("bagged")
def bagged(X: pd.DataFrame, y: np.ndarray, n: int, rng: np.random.Generator) -> Contexts:
    """Several stratified subsets, each with a fit of its own; predictions are averaged (Breiman 1996)."""
    return Contexts([np.sort(stratified(X, y, n, rng)) for _ in range(N_BAGS)])


@row_policy("nearest")
def nearest(X: pd.DataFrame, y: np.ndarray, n: int, rng: np.random.Generator) -> Contexts:
    """Per region of the training part its n nearest rows; a query is answered by its region's fit.

    A coarse form of retrieval (LoCalPFN, Thomas et al. 2024) whose answer does not depend on the other queries.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import pairwise_distances

    numeric = _numeric(X)
    values = numeric(X)
    n_regions = min(N_REGIONS, len(np.unique(values, axis=0)))
    centres = KMeans(n_regions, n_init=1, random_state=_seed(rng)).fit(values).cluster_centers_
    distance = pairwise_distances(centres, values)
    rows = [np.sort(np.argsort(row, kind="stable")[:n]) for row in distance]
    return Contexts(rows, partial(_nearest_centre, centres=centres, numeric=numeric))


@column_policy("random")
def random_columns(X: pd.DataFrame, y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Uniform without replacement."""
    return rng.permutation(X.shape[1])[:n]


@column_policy("first")
def first_columns(X: pd.DataFrame, y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """The first columns of the file: a control."""
    return np.arange(n)


@column_policy("variance")
def variance(X: pd.DataFrame, y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Largest variance after scaling each column to [0, 1] (codes for categories)."""
    values = _codes(X)
    span = values.max(axis=0) - values.min(axis=0)
    return np.argsort(-(values / np.where(span > 0, span, 1)).var(axis=0), kind="stable")[:n]


@column_policy("mutual_info")
def mutual_info(X: pd.DataFrame, y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Largest mutual information with the target, estimated on at most `SCORED_ROWS` rows (Kraskov et al. 2004)."""
    from sklearn.feature_selection import mutual_info_classif

    rows = np.sort(rng.permutation(len(X))[:SCORED_ROWS])
    discrete = np.array([isinstance(dtype, pd.CategoricalDtype) for dtype in X.dtypes])
    information = mutual_info_classif(
        _codes(X)[rows], y[rows], discrete_features=discrete, random_state=_seed(rng), n_neighbors=3
    )
    return np.argsort(-information, kind="stable")[:n]


@column_policy("importance")
def importance(X: pd.DataFrame, y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Largest impurity decrease in extremely randomised trees on at most `SCORED_ROWS` rows (Geurts et al. 2006)."""
    from sklearn.ensemble import ExtraTreesClassifier

    rows = np.sort(rng.permutation(len(X))[:SCORED_ROWS])
    trees = ExtraTreesClassifier(100, min_samples_leaf=3, random_state=_seed(rng)).fit(_codes(X)[rows], y[rows])
    return np.argsort(-trees.feature_importances_, kind="stable")[:n]


@column_policy("pca")
def pca(X: pd.DataFrame, y: np.ndarray, n: int, rng: np.random.Generator) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Leading principal components of the one-hot encoded, scaled table (at most as many as it has)."""
    from sklearn.decomposition import PCA

    numeric = _numeric(X)
    values = numeric(X)
    components = PCA(min(n, *values.shape), random_state=_seed(rng)).fit(values)
    return partial(_project, components=components, numeric=numeric)


def _keep(table: pd.DataFrame, columns: np.ndarray) -> pd.DataFrame:
    return table.iloc[:, columns]


def _project(table: pd.DataFrame, components: Any, numeric: Numeric) -> pd.DataFrame:
    names = [f"pc{i}" for i in range(components.n_components_)]
    return pd.DataFrame(components.transform(numeric(table)), columns=names)


def _nearest_centre(queries: pd.DataFrame, centres: np.ndarray, numeric: Numeric) -> np.ndarray:
    from sklearn.metrics import pairwise_distances_argmin

    return pairwise_distances_argmin(numeric(queries), centres)


def _rank_in_class(y: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Of each row its random rank among the rows of its class, and the size of the class."""
    order = rng.permutation(len(y))
    by_class = order[np.argsort(y[order], kind="stable")]
    counts = np.bincount(y)
    rank = np.empty(len(y), np.int64)
    rank[by_class] = np.arange(len(y)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rank, counts[y]


def _el2n(X: pd.DataFrame, y: np.ndarray, rng: np.random.Generator, n_networks: int = 3) -> np.ndarray:
    """Mean distance of early predicted probabilities to the label, over small networks trained for a few epochs."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    values, (labels, codes) = _numeric(X)(X), np.unique(y, return_inverse=True)
    one_hot = np.eye(len(labels))[codes]
    error = np.zeros(len(y))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # to stop early is the point
        for _ in range(n_networks):
            network = MLPClassifier(32, max_iter=5, random_state=_seed(rng)).fit(values, codes)
            error += np.linalg.norm(network.predict_proba(values) - one_hot, axis=1)
    return error / n_networks


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _numeric(X: pd.DataFrame) -> Numeric:
    """One-hot encoding and scaling fitted on X."""
    return Preprocessor(NUMERIC).fit(X).transform


def _codes(X: pd.DataFrame) -> np.ndarray:
    """(n, d) one number a cell: the value or the category's code, missing numbers at the column's mean; no column is lost."""
    columns = []
    for name in X:
        column = X[name]
        values = column.cat.codes if isinstance(column.dtype, pd.CategoricalDtype) else column
        values = values.to_numpy(np.float64)
        known = values[~np.isnan(values)]
        columns.append(np.where(np.isnan(values), known.mean() if len(known) else 0.0, values))
    return np.clip(np.stack(columns, axis=1), -LARGEST, LARGEST)


def check_limits(max_rows: int | None, row_policy: str, max_columns: int | None, column_policy: str) -> None:
    """Raise UserError if a limit is below its least value (2 rows, 1 column) or a policy is unknown."""
    for name, limit, least in (("max_rows", max_rows, 2), ("max_columns", max_columns, 1)):
        if limit is not None and not least <= limit <= 2**53:
            raise UserError(f"{name} must be at least {least}, got {str(limit)[:30]}{'' if limit < least else ', too much'}")
    if max_rows is not None:
        ROW_POLICIES[row_policy]
    if max_columns is not None:
        COLUMN_POLICIES[column_policy]


class ClassShares(ClassifierMixin, BaseEstimator):
    """Predicts the shares of the classes: all that can be learned where no feature varies, or from one class."""

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> Self:
        """Count labels y (n,)."""
        self.classes_, counts = np.unique(y, return_counts=True)
        self.shares_ = counts / len(y)
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """(n, k), every row the same."""
        return np.tile(self.shares_, (len(X), 1))


class SubsampledClassifier(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """A classifier that sees at most `max_rows` rows and `max_columns` columns of its training part.

    Parameters
    ----------
    estimator : classifier for tables in normal form (see tabbench.data.task). max_rows, max_columns : limits, None for none.
    row_policy, column_policy : names in ROW_POLICIES and COLUMN_POLICIES. random_state : seed of the choice.

    Attributes
    ----------
    classes_ : (k,) labels. estimators_ : one fitted classifier a context. contexts_ : the rows they saw.
    subsample_ : Cut, what was used.
    """

    def __init__(
        self,
        estimator: Any,
        *,
        max_rows: int | None = None,
        row_policy: str = "stratified",
        max_columns: int | None = None,
        column_policy: str = "mutual_info",
        random_state: int = 0,
    ) -> None:
        self.estimator = estimator
        self.max_rows = max_rows
        self.row_policy = row_policy
        self.max_columns = max_columns
        self.column_policy = column_policy
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> Self:
        """Choose columns, then rows, and fit one clone a context; X (n, d) in normal form, y (n,)."""
        check_limits(self.max_rows, self.row_policy, self.max_columns, self.column_policy)
        rows_rng, columns_rng = (np.random.default_rng([self.random_state, i]) for i in range(2))
        self.classes_, codes = np.unique(y, return_inverse=True)
        self._reduce: Callable[[pd.DataFrame], pd.DataFrame] | None = None
        note = []
        if self.max_columns is not None and X.shape[1] > self.max_columns:
            self._reduce = COLUMN_POLICIES[self.column_policy](X, codes, self.max_columns, columns_rng)
            note.append(f"{self.max_columns} of {X.shape[1]} columns ({self.column_policy})")
            X = self._reduce(X)
        self.contexts_ = Contexts([np.arange(len(X))])
        if self.max_rows is not None and len(X) > self.max_rows:
            self.contexts_ = ROW_POLICIES[self.row_policy](X, codes, self.max_rows, rows_rng)
            note.append(f"{self.max_rows} of {len(X)} rows ({self.row_policy})")
        self._present = [np.unique(codes[rows]) for rows in self.contexts_.rows]
        self.estimators_ = [self._fitted(X.iloc[rows], _dense(codes[rows])) for rows in self.contexts_.rows]
        if any(isinstance(fitted, ClassShares) and len(fitted.classes_) > 1 for fitted in self.estimators_):
            note.append("no feature varies in them: the shares of the classes are predicted")
        n_rows = max(len(rows) for rows in self.contexts_.rows)
        self.subsample_ = Cut(n_rows, X.shape[1], ", ".join(note))
        return self

    def _fitted(self, X: pd.DataFrame, y: np.ndarray) -> Any:
        can_learn = y.any() and any(varies(X[column]) for column in X)
        return (clone(self.estimator) if can_learn else ClassShares()).fit(X, y)

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """(n, k) probabilities; a class that a context lacks has probability 0 there."""
        if self._reduce is not None:
            X = self._reduce(X)
        if self.contexts_.route is None:
            return np.mean([self._ask(i, X) for i in range(len(self.estimators_))], axis=0)
        proba = np.zeros((len(X), len(self.classes_)))
        region = self.contexts_.route(X)
        for i in np.unique(region):
            proba[region == i] = self._ask(i, X[region == i])
        return proba

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """(n,) most probable labels."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _ask(self, i: int, X: pd.DataFrame) -> np.ndarray:
        proba = np.zeros((len(X), len(self.classes_)))
        present = self._present[i]
        if len(present) == 1:
            proba[:, present] = 1.0
        else:
            proba[:, present] = class_probabilities(self.estimators_[i], X, len(present))
        return proba


def class_probabilities(estimator: Any, X: pd.DataFrame, k: int) -> np.ndarray:
    """(n, k) `predict_proba` in the order of the codes 0..k-1; of a classifier without it, certainty for what it predicts.

    Columns are those of its `classes_`, in whatever order, if it has them; names of a DataFrame's columns that are these labels
    go before. Raises ValueError for anything else.
    """
    if not hasattr(estimator, "predict_proba"):
        labels = _as_codes(estimator.predict(X), k, "predict returned")
        if labels.shape != (len(X),):
            raise ValueError(f"predict returned shape {labels.shape}, expected {(len(X),)}")
        return np.eye(k)[labels]
    answer, classes = estimator.predict_proba(X), getattr(estimator, "classes_", None)
    codes = None if classes is None else _as_codes(classes, k, "classes_ holds")
    if codes is not None and sorted(codes.ravel().tolist()) != list(range(k)):
        raise ValueError(f"classes_ is {str(codes.tolist())[:100]}, expected the {k} labels of the training part")
    given = _unmasked(answer, "predict_proba returned")
    if not (given.dtype.kind in "biuf" or (given.dtype.kind == "O" and given.ndim and all(map(_is_real, given.ravel())))):
        kind = "complex numbers" if given.dtype.kind == "c" else f"{type(answer).__name__} of something else than numbers"
        raise ValueError(f"predict_proba returned {kind}, expected real ones")
    proba = given.astype(np.float64)
    if proba.shape != (len(X), k):
        raise ValueError(f"predict_proba returned shape {proba.shape}, expected {(len(X), k)}")
    if isinstance(answer, pd.DataFrame) and not isinstance(answer.columns, pd.RangeIndex):
        names = [str(name) for name in answer.columns]
        if sorted(names) == sorted(map(str, range(k))):
            codes = np.array(names, np.int64)
    return proba if codes is None else proba[:, np.argsort(codes.ravel())]


def _as_codes(labels: Any, k: int, where: str) -> np.ndarray:
    """Labels of any type (1, 1.0, "1", True) as codes; raises ValueError if one is none of 0..k-1."""
    given = _unmasked(labels, where)
    if given.dtype.kind == "O" and any(value is None for value in given.ravel()):
        raise ValueError(f"{where} None, which is no label it was fitted to")
    try:
        if given.dtype.kind in "cmM":
            raise TypeError
        values = given.astype(np.float64)
    except (ValueError, TypeError):
        raise ValueError(f"{where} {str(given.ravel()[:1].tolist())[1:-1][:60]}, which is no label it was fitted to") from None
    wrong = ~np.isin(values, np.arange(k))
    if wrong.any():
        raise ValueError(f"{where} {values[wrong][0]:g}, which is no label it was fitted to: they are 0 to {k - 1}")
    return values.astype(np.int64)


def _unmasked(answer: Any, where: str) -> np.ndarray:
    """The answer as an array; raises ValueError if a cell is masked, which NumPy would forget, or its rows differ in length."""
    if np.ma.is_masked(answer):
        raise ValueError(f"{where} masked cells, which have no value")
    try:
        return np.asarray(answer)
    except ValueError:
        raise ValueError(f"{where} rows of several lengths") from None


def _is_real(value: Any) -> bool:
    return isinstance(value, Real | Decimal | np.bool_)


def _dense(codes: np.ndarray) -> np.ndarray:
    """Codes 0..k'-1 over the classes that occur, as boosters want them."""
    return np.unique(codes, return_inverse=True)[1]
