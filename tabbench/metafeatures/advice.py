"""Advice: which models to try first on a table, from their losses on known tables; and how often such advice is right.

A loss is what a model's score lacks to the best score of its table. Every method is judged on tables that it has not seen.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from tabbench.metafeatures.analysis import nearest, positions
from tabbench.registry import Registry

NEAR = 5
RIGHT = 0.01  # a loss up to which a model counts as a right answer
SHARE = 0.9  # of the tables left out that an interval covers

Method = Callable[[pd.DataFrame, pd.DataFrame, pd.Series], pd.Series]
METHODS: Registry[Method] = Registry("method of advice")


def method(function: Method) -> Method:
    """Register `f(known, values, own) -> by model`: what to expect of `values` (table × model) on a table described by `own`."""
    return METHODS.add(function.__name__, function)


@method
def fixed(known: pd.DataFrame, values: pd.DataFrame, own: pd.Series) -> pd.Series:
    """The same for all tables: the mean of the known ones."""
    return values.mean()


@method
def neighbours(known: pd.DataFrame, values: pd.DataFrame, own: pd.Series) -> pd.Series:
    """The mean of the `NEAR` tables nearest by metafeatures."""
    return values.loc[nearest(known, own, NEAR).index].mean()


@method
def forest(known: pd.DataFrame, values: pd.DataFrame, own: pd.Series) -> pd.Series:
    """A random forest on the ranks of the metafeatures; a gap is the middle."""
    from sklearn.ensemble import RandomForestRegressor

    ranks, position = positions(known, own)
    model = RandomForestRegressor(100, min_samples_leaf=3, max_features=0.3, random_state=0, n_jobs=1)
    model.fit(ranks.fillna(0.5).to_numpy(), values.fillna(values.mean()).to_numpy())
    return pd.Series(model.predict(position.fillna(0.5).to_numpy()[None])[0], values.columns)


def left_out(
    known: pd.DataFrame,
    losses: pd.DataFrame,
    ranks: pd.DataFrame,
    family: Mapping[str, str],
    methods: Mapping[str, Method] = METHODS,
) -> pd.DataFrame:
    """What every method says of a table that it has not seen, nor any of its family, beside what is true.

    known : metafeatures by table; losses, ranks : (table × model). family : of a table; others are one of their own.
    Columns: task, method, model, loss, rank, expected_loss, expected_rank; no row for a model that was not run on the table.
    """
    kin = pd.Series({task: family.get(task, task) for task in losses.index})
    rows = []
    for task in losses.index:
        others = kin.index[kin != kin[task]]
        for name, expect in methods.items():
            expected = [expect(known.loc[others], table.loc[others], known.loc[task]) for table in (losses, ranks)]
            facts = {
                "loss": losses.loc[task],
                "rank": ranks.loc[task],
                "expected_loss": expected[0],
                "expected_rank": expected[1],
            }
            rows.append(pd.DataFrame(facts).rename_axis("model").reset_index().assign(task=task, method=name))
    return pd.concat(rows, ignore_index=True).dropna(subset="loss", ignore_index=True)


def judged(told: pd.DataFrame) -> pd.DataFrame:
    """By method: `right`, tables on which the model it expects most of is right, `mean_loss` of that model, `n` tables."""
    first = told.loc[told.groupby(["method", "task"])["expected_loss"].idxmin()]
    found = first.groupby("method")["loss"].agg(right=lambda loss: int((loss <= RIGHT).sum()), mean_loss="mean", n="size")
    return found.sort_values(["mean_loss", "n"], kind="stable")


def best_constant(told: pd.DataFrame) -> tuple[str, int]:
    """The model that would be right most often if always taken, chosen with hindsight, and how often."""
    once = told[told["method"] == told["method"].iloc[0]]
    right = once["loss"].le(RIGHT).groupby(once["model"]).sum().sort_values(ascending=False, kind="stable")
    return str(right.index[0]), int(right.iloc[0])


def intervals(told: pd.DataFrame, chosen: str, what: str, expected: pd.Series) -> pd.DataFrame:
    """Ends (low, high) by model, from the errors of the method on tables left out: at least `SHARE` of these lie within."""
    of_method = told[told["method"] == chosen]
    errors = (of_method[what] - of_method[f"expected_{what}"]).groupby(of_method["model"])
    low = errors.quantile((1 - SHARE) / 2, interpolation="lower")
    high = errors.quantile((1 + SHARE) / 2, interpolation="higher")
    return pd.DataFrame({"low": expected + low.clip(upper=0), "high": expected + high.clip(lower=0)}).loc[expected.index]


def losses_and_ranks(scores: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """From scores (table × model), higher better; a gap is a model that was not run, and has neither."""
    return -scores.sub(scores.max(axis=1), axis=0), scores.rank(axis=1, ascending=False)


def calibration() -> float:
    """CPU seconds of a fixed piece of work, for comparing machines: the least of three trials."""
    import time

    from sklearn.ensemble import RandomForestClassifier

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(1000, 10)), rng.integers(0, 2, 1000)
    trials = []
    for _ in range(3):
        begun = time.process_time()
        RandomForestClassifier(20, random_state=0, n_jobs=1).fit(X, y)
        trials.append(time.process_time() - begun)
    return min(trials)
