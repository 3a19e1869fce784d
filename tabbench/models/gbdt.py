"""Gradient-boosted decision trees of four libraries, each in its own way with categories and missing values."""

import math
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin

from tabbench.models import Needs, Steps, model
from tabbench.models.space import Range

NATIVE = Needs(categories="native", scaled=False, complete=False)
HIST_MAX_LEVELS = 255
PIECES = 20  # in which a watched fit of histogram boosting is done

Labelled = tuple[pd.DataFrame, np.ndarray]
After = Callable[[int, float], bool]  # see `Steps.watch`


def _stop_xgboost(estimator: Any, train: Labelled, validation: Labelled, patience: int) -> None:
    """As TabZilla: by ROC AUC or multiclass log loss, and the rounds after the best stay in the model."""
    binary = len(np.unique(train[1])) == 2
    estimator.set_params(early_stopping_rounds=patience, eval_metric="auc" if binary else "mlogloss")
    estimator.fit(*train, eval_set=[validation], verbose=False)
    estimator.get_booster().set_attr(best_iteration=None)


def _stop_lightgbm(estimator: Any, train: Labelled, validation: Labelled, patience: int) -> None:
    """As TabZilla: by ROC AUC or multiclass log loss; the best round predicts."""
    from lightgbm import early_stopping

    estimator.set_params(metric="auc" if len(np.unique(train[1])) == 2 else "multi_logloss")
    estimator.fit(*train, eval_set=[validation], callbacks=[early_stopping(patience, verbose=False)])


def _stop_catboost(estimator: Any, train: Labelled, validation: Labelled, patience: int) -> None:
    """As TabZilla: by log loss; the best round predicts."""
    estimator.fit(*train, validation=validation, patience=patience)


def _grid(n_steps: int, number: int) -> list[int]:
    """Steps evenly spaced from the first to the last, `number` at most."""
    return sorted({round(step) for step in np.linspace(1, n_steps, min(n_steps, number))})


def _staged_xgboost(estimator: Any, X: pd.DataFrame, number: int) -> Iterator[tuple[int, np.ndarray]]:
    for step in _grid(estimator.get_booster().num_boosted_rounds(), number):
        yield step, estimator.predict_proba(X, iteration_range=(0, step))


def _staged_lightgbm(estimator: Any, X: pd.DataFrame, number: int) -> Iterator[tuple[int, np.ndarray]]:
    for step in _grid(estimator.booster_.current_iteration(), number):
        yield step, estimator.predict_proba(X, num_iteration=step)


def _staged_catboost(estimator: Any, X: pd.DataFrame, number: int) -> Iterator[tuple[int, np.ndarray]]:
    filled = _fill_categories(X)
    for step in _grid(estimator.model_.tree_count_, number):
        yield step, estimator.model_.predict_proba(filled, ntree_end=step)


def _staged_hist_gbdt(estimator: Any, X: pd.DataFrame, number: int) -> Iterator[tuple[int, np.ndarray]]:
    wanted = set(_grid(estimator[-1].n_iter_, number))
    stages = estimator[-1].staged_predict_proba(estimator[:-1].transform(X))
    return ((step, proba) for step, proba in enumerate(stages, start=1) if step in wanted)


def _watch_xgboost(estimator: Any, train: Labelled, validation: Labelled, after: After) -> None:
    from xgboost.callback import TrainingCallback

    class Tell(TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            [losses] = evals_log["validation_0"].values()
            return not after(epoch + 1, losses[-1])

    estimator.set_params(eval_metric="logloss" if train[1].max() == 1 else "mlogloss", callbacks=[Tell()])
    estimator.fit(*train, eval_set=[validation], verbose=False)
    estimator.set_params(callbacks=None)


def _watch_lightgbm(estimator: Any, train: Labelled, validation: Labelled, after: After) -> None:
    from lightgbm.callback import EarlyStopException

    def tell(env: Any) -> None:
        losses = [result[2] for result in env.evaluation_result_list]
        if not after(env.iteration + 1, losses[0]):
            raise EarlyStopException(env.iteration, env.evaluation_result_list)

    estimator.set_params(metric="binary_logloss" if train[1].max() == 1 else "multi_logloss")
    estimator.fit(*train, eval_set=[validation], callbacks=[tell])


def _watch_catboost(estimator: Any, train: Labelled, validation: Labelled, after: After) -> None:
    estimator.fit(*train, validation=validation, after=after)


def _watch_hist_gbdt(estimator: Any, train: Labelled, validation: Labelled, after: After) -> None:
    """In pieces, each told of when it is done: the library has no callback."""
    from tabbench.metrics import log_loss

    codes, boosting = estimator[:-1], estimator[-1]
    X, y = codes.fit_transform(train[0]), train[1]
    X_val, most, done = codes.transform(validation[0]), boosting.max_iter, 0
    boosting.set_params(warm_start=True)
    for until in sorted({math.ceil(most * piece / PIECES) for piece in range(1, PIECES + 1)}):
        boosting.set_params(max_iter=until).fit(X, y)
        stages = list(boosting.staged_predict_proba(X_val))
        told = [after(step + 1, log_loss(validation[1], stages[step])) for step in range(done, len(stages))]
        done = until
        if not all(told):
            break


@model(
    "hist_gbdt",
    family="boosting",
    needs=NATIVE,
    imports=("sklearn.ensemble",),
    space={
        "learning_rate": Range(0.01, 0.3, log=True),
        "max_iter": Range(50, 500, log=True, whole=True),
        "max_leaf_nodes": Range(4, 128, log=True, whole=True),
    },
    steps=Steps("max_iter", staged=_staged_hist_gbdt, watch=_watch_hist_gbdt),
)
def hist_gbdt(
    seed: int, threads: int, max_iter: int = 100, learning_rate: float = 0.1, max_leaf_nodes: int = 31
) -> ClassifierMixin:
    """Histogram gradient boosting of scikit-learn, after LightGBM (Ke et al. 2017).

    Defaults are the library's, without its early stopping beyond 10,000 rows, whose inner split fails on a class with
    one row. Columns with more levels than it takes are given as codes. It obeys the OpenMP limit of the process.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    boosting = HistGradientBoostingClassifier(
        max_iter=max_iter,
        learning_rate=learning_rate,
        max_leaf_nodes=max_leaf_nodes,
        early_stopping=False,
        random_state=seed,
    )
    return make_pipeline(FunctionTransformer(_codes_of_many_levels), boosting)


@model(
    "xgboost",
    aliases=("XGBoost",),
    family="boosting",
    needs=NATIVE,
    imports=("xgboost",),
    space={
        "learning_rate": Range(0.01, 0.3, log=True),
        "n_estimators": Range(50, 500, log=True, whole=True),
        "max_depth": Range(2, 10, whole=True),
        "reg_alpha": Range(1e-8, 1.0, log=True),
        "reg_lambda": Range(1e-3, 10.0, log=True),
    },
    steps=Steps("n_estimators", _stop_xgboost, _staged_xgboost, watch=_watch_xgboost),
)
def xgboost(
    seed: int,
    threads: int,
    n_estimators: int = 100,
    learning_rate: float = 0.3,
    max_depth: int = 6,
    reg_alpha: float = 0.0,
    reg_lambda: float = 1.0,
) -> ClassifierMixin:
    """XGBoost with the library's defaults and its own handling of categories (Chen and Guestrin 2016)."""
    from xgboost import XGBClassifier

    return XGBClassifier(
        n_estimators=n_estimators,
        learning_rate=learning_rate,
        max_depth=max_depth,
        reg_alpha=reg_alpha,
        reg_lambda=reg_lambda,
        tree_method="hist",
        enable_categorical=True,
        random_state=seed,
        n_jobs=threads,
        verbosity=0,
    )


@model(
    "lightgbm",
    aliases=("LightGBM",),
    family="boosting",
    needs=NATIVE,
    imports=("lightgbm",),
    space={
        "learning_rate": Range(0.01, 0.3, log=True),
        "n_estimators": Range(50, 500, log=True, whole=True),
        "num_leaves": Range(4, 128, log=True, whole=True),
        "reg_alpha": Range(1e-8, 10.0, log=True),
        "reg_lambda": Range(1e-8, 10.0, log=True),
    },
    steps=Steps("n_estimators", _stop_lightgbm, _staged_lightgbm, watch=_watch_lightgbm),
)
def lightgbm(
    seed: int,
    threads: int,
    n_estimators: int = 100,
    learning_rate: float = 0.1,
    num_leaves: int = 31,
    reg_alpha: float = 0.0,
    reg_lambda: float = 0.0,
) -> ClassifierMixin:
    """LightGBM with the library's defaults and its own handling of categories (Ke et al. 2017).

    A reference point, not a tuned contender.
    """
    from lightgbm import LGBMClassifier

    return LGBMClassifier(
        n_estimators=n_estimators,
        learning_rate=learning_rate,
        num_leaves=num_leaves,
        reg_alpha=reg_alpha,
        reg_lambda=reg_lambda,
        random_state=seed,
        n_jobs=threads,
        deterministic=True,
        force_row_wise=True,  # else the layout is chosen by a timed trial
        verbosity=-1,
    )


@model(
    "catboost",
    aliases=("CatBoost",),
    family="boosting",
    needs=NATIVE,
    imports=("catboost",),
    space={
        "learning_rate": Range(0.01, 0.3, log=True),
        "iterations": Range(50, 500, log=True, whole=True),
        "depth": Range(3, 9, whole=True),
        "l2_leaf_reg": Range(0.5, 30.0, log=True),
    },
    steps=Steps("iterations", _stop_catboost, _staged_catboost, watch=_watch_catboost),
)
def catboost(
    seed: int,
    threads: int,
    iterations: int = 300,
    depth: int = 6,
    learning_rate: float | None = None,
    one_hot_max_size: int = 4,
    l2_leaf_reg: float = 3.0,
) -> ClassifierMixin:
    """CatBoost, 300 trees, with ordered statistics of categories (Prokhorenkova et al. 2018).

    300 trees were chosen for time alone: the library's default of 1,000 takes three times as long and often scores a
    little better (`iterations=1000` restores it). The library adapts its learning rate to the number of trees. Categories of
    up to 4 levels (library: 2) become indicators, because statistics of one such column by 28 classes take 5 times as long.
    """
    return CatBoost(iterations, depth, learning_rate, one_hot_max_size, l2_leaf_reg, random_state=seed, thread_count=threads)


class CatBoost(ClassifierMixin, BaseEstimator):
    """CatBoostClassifier for DataFrames of float64 and `category` columns; a missing category is a level of its own.

    CatBoost must be told the categorical columns before `fit` and refuses NaN in them.
    """

    def __init__(
        self,
        iterations: int = 300,
        depth: int = 6,
        learning_rate: float | None = None,
        one_hot_max_size: int = 4,
        l2_leaf_reg: float = 3.0,
        random_state: int | None = None,
        thread_count: int = 1,
    ) -> None:
        self.iterations = iterations
        self.depth = depth
        self.learning_rate = learning_rate
        self.one_hot_max_size = one_hot_max_size
        self.l2_leaf_reg = l2_leaf_reg
        self.random_state = random_state
        self.thread_count = thread_count

    def fit(
        self,
        X: pd.DataFrame,
        y: np.ndarray,
        validation: Labelled | None = None,
        patience: int | None = None,
        after: After | None = None,
    ) -> Self:
        """Fit to `X` (n, d) and `y` (n,); with `validation`, until it has not been predicted better for `patience` rounds.

        after : as in `Steps.watch`, instead of a patience; all rounds that were done then predict.
        """
        from catboost import CatBoostClassifier

        self.classes_ = np.unique(y)
        self.model_ = CatBoostClassifier(
            **self.get_params(),
            cat_features=_categorical(X),
            allow_writing_files=False,
            logging_level="Silent",
        )
        eval_set = (_fill_categories(validation[0]), validation[1]) if validation else None
        watched = {"use_best_model": False, "callbacks": [_Tell(after)]} if after else {}
        self.model_.fit(_fill_categories(X), y, eval_set=eval_set, early_stopping_rounds=patience, **watched)
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Class probabilities (n, k)."""
        return self.model_.predict_proba(_fill_categories(X))

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Most probable class (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class _Tell:
    """A callback of CatBoost that tells of the validation loss."""

    def __init__(self, after: After) -> None:
        self.after = after

    def after_iteration(self, info: Any) -> bool:
        [losses] = [values for name, values in info.metrics["validation"].items() if name in ("Logloss", "MultiClass")]
        return self.after(info.iteration, losses[-1])


def _categorical(X: pd.DataFrame) -> list[Any]:
    return [column for column in X if isinstance(X[column].dtype, pd.CategoricalDtype)]


def _codes_of_many_levels(X: pd.DataFrame) -> pd.DataFrame:
    """Copy in which columns of more than `HIST_MAX_LEVELS` levels are float codes."""
    many = [column for column in _categorical(X) if len(X[column].cat.categories) > HIST_MAX_LEVELS]
    return X.assign(**{c: X[c].cat.codes.astype(np.float64).where(X[c].notna()) for c in many})


def _fill_categories(X: pd.DataFrame) -> pd.DataFrame:
    """Copy with a sentinel level in place of missing categories."""
    filled = {column: X[column].astype(object).where(X[column].notna(), "<missing>") for column in _categorical(X)}
    return X.assign(**filled)
