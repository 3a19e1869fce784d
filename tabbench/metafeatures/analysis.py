"""What metafeatures tell of results: correlations with a gap between models, models of the winner, irregularity.

The unit is the dataset: `metafeatures` has one row per dataset (means over its training parts), and every
interval, permutation and left-out part is one of datasets, never of folds.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from tabbench.border.parquet import read_parquet
from tabbench.errors import UserError
from tabbench.metafeatures.groups import METAFEATURES
from tabbench.stats.draws import posterior, resamples, shuffles

METAFEATURES_FILE = "metafeatures.parquet"  # of a result folder
MIN_DATASETS = 6
MAX_GAPS, TWINS = 0.2, 0.999
DIGITS = 7  # figures of a metafeature that count: what differs by float noise ties
N_PERMUTATIONS, N_RESAMPLES = 2000, 2000
CONFIDENCE_Z = 1.959964  # 95%
KEPT = 20  # metafeatures that a meta-model may use, chosen anew in every training part

# TabZilla (McElfresh et al. 2023): weights of standardised metafeatures
IRREGULARITY = {
    "eigenvalues.min": -0.33,
    "sd.skewness": 0.23,
    "range.skewness": 0.22,
    "h_mean.iq_range": 0.21,
    "kurtosis.sd": 0.21,
}


def by_dataset(parts: pd.DataFrame) -> pd.DataFrame:
    """Mean of every metafeature over the training parts of a dataset, to seven figures; index: task."""
    names = [name for entry in METAFEATURES.values() for name in entry.names]
    names += [f"{name}.relative" for entry in METAFEATURES.values() if entry.group == "landmarking" for name in entry.names]
    means = parts.groupby("task")[[name for name in names if name in parts]].mean()
    rounded = [[float(f"{value:.{DIGITS}g}") for value in row] for row in means.to_numpy(np.float64).tolist()]
    return pd.DataFrame(rounded, means.index, means.columns)


def read_described(path: Path) -> pd.DataFrame:
    """Metafeatures of training parts that a result folder holds; raises UserError if the file is damaged."""
    try:
        return read_parquet(path)
    except ValueError as error:
        raise UserError(f"{path}: cannot be read as a table of metafeatures: {str(error).splitlines()[0]}") from None


def usable(metafeatures: pd.DataFrame) -> pd.DataFrame:
    """The metafeatures worth looking at, as ranks over the datasets from 0 to 1 (m datasets × f).

    One that is missing or infinite on more than a fifth of the datasets is left out, other gaps take the median rank; so are
    constant ones, and every one whose rank correlation with an earlier one is beyond ±0.999 (TabZilla's cleaning, on ranks).
    """
    values = metafeatures.replace([np.inf, -np.inf], np.nan)
    values = values.loc[:, values.isna().mean() <= MAX_GAPS]
    ranks = values.rank()
    filled = ranks.to_numpy(copy=True)  # by numpy: with a thousand columns, pandas' way by column takes a second
    gaps = np.isnan(filled)
    filled[gaps] = ranks.median().to_numpy()[np.nonzero(gaps)[1]]
    ranks = pd.DataFrame(filled, ranks.index, ranks.columns).loc[:, (filled != filled[:1]).any(axis=0)]
    if ranks.empty:
        return ranks
    z = _standardised(ranks.to_numpy())
    similar = np.abs(np.triu(z.T @ z / len(z), k=1)) > TWINS
    return (ranks / len(ranks)).loc[:, ~similar.any(axis=0)]


def _standardised(columns: np.ndarray) -> np.ndarray:
    spread = columns.std(axis=0)
    return (columns - columns.mean(axis=0)) / np.where(spread == 0, 1, spread)


def correlations(metafeatures: pd.DataFrame, gap: pd.Series, n_permutations: int = N_PERMUTATIONS, seed: int = 0) -> pd.DataFrame:
    """Spearman's correlation of every usable metafeature with a gap over m datasets, largest first.

    Columns: metafeature, correlation, low, high (95%), p (two-sided, by permuting the gap over the
    datasets), p_adjusted (the largest correlation of any metafeature under the same permutations: Westfall and Young 1993,
    which controls the chance of a single false finding among them all). The report's page computes the same numbers.

    Raises UserError with fewer than six datasets, a gap that does not vary or no metafeature that does.
    """
    table, gap = _aligned(metafeatures, gap)
    m = len(gap)
    z = _standardised(table.rank().to_numpy())
    ranks = _standardised(gap.rank().to_numpy()[:, None])[:, 0]
    found = z.T @ ranks / m
    permuted = ranks[shuffles(m, n_permutations, seed)].T
    by_chance = np.abs(z.T @ permuted / m)  # (f, n_permutations)
    size = np.abs(found) - 1e-12
    low, high = spearman_interval(found, m)
    result = pd.DataFrame(
        {
            "metafeature": table.columns,
            "correlation": found,
            "low": low,
            "high": high,
            "p": (1 + (by_chance >= size[:, None]).sum(axis=1)) / (1 + n_permutations),
            "p_adjusted": (1 + (by_chance.max(axis=0) >= size[:, None]).sum(axis=1)) / (1 + n_permutations),
        }
    )
    return result.sort_values("correlation", key=np.abs, ascending=False, kind="stable", ignore_index=True)


def spearman_interval(correlation: np.ndarray, m: int) -> tuple[np.ndarray, np.ndarray]:
    """95% interval of Spearman's correlation over m datasets (Bonett and Wright 2000).

    Perfect agreement, of which their transform makes certainty, counts as what one swap of neighbours would leave of it.
    """
    reach = CONFIDENCE_Z * np.sqrt((1 + correlation**2 / 2) / (m - 3))
    largest = 1 - 12 / (m * (m**2 - 1))
    centre = np.arctanh(np.clip(correlation, -largest, largest))
    return np.minimum(np.tanh(centre - reach), correlation), np.maximum(np.tanh(centre + reach), correlation)


def _aligned(metafeatures: pd.DataFrame, gap: pd.Series) -> tuple[pd.DataFrame, pd.Series]:
    gap = gap.dropna()
    shared = [task for task in metafeatures.index if task in gap.index]
    if len(shared) < MIN_DATASETS:
        raise UserError(f"{len(shared)} datasets have metafeatures and both scores: at least {MIN_DATASETS} are needed")
    gap = gap[shared]
    if gap.nunique() == 1:
        raise UserError("the gap is the same on every dataset: there is nothing to explain")
    kept = usable(metafeatures.loc[shared])
    if kept.empty:
        raise UserError(f"no metafeature is known on {1 - MAX_GAPS:.0%} of the {len(shared)} datasets and varies between them")
    return kept, gap


def irregularity(metafeatures: pd.DataFrame) -> pd.Series:
    """TabZilla's irregularity of every dataset, standardised over these datasets (a gap takes the mean); NaN if one is absent."""
    if not set(IRREGULARITY) <= set(metafeatures):
        return pd.Series(np.nan, metafeatures.index)
    parts = metafeatures[list(IRREGULARITY)].replace([np.inf, -np.inf], np.nan)
    z = _standardised(parts.fillna(parts.mean()).fillna(0).to_numpy())
    return pd.Series(z @ np.array(list(IRREGULARITY.values())), metafeatures.index)


def meta_models(metafeatures: pd.DataFrame, gap: pd.Series, n_permutations: int = 19, seed: int = 0) -> pd.DataFrame:
    """How well the sign and the size of a gap can be told from the metafeatures of a dataset that was not seen.

    A decision tree of depth 3 and boosted trees predict every dataset from all others (leave one dataset out), with the twenty
    metafeatures that correlate most on those. Columns: target ("winner": accuracy; "gap": R² against the mean of the others),
    model, score, low, high (95%, the datasets being drawn under the same predictions: for the winner as `draws.posterior` does,
    else with replacement), by_chance (mean score with the gap permuted over the datasets), p (share of permutations at least as
    good), baseline (accuracy of the commoner winner; 0 for R²).

    Raises UserError as `correlations` does.
    """
    table, gap = _aligned(metafeatures, gap)
    X, random = table.to_numpy(), np.random.default_rng(seed)
    shuffled = [random.permutation(gap.to_numpy()) for _ in range(n_permutations)]
    share = np.mean(gap > 0)
    rows = []
    for target, baseline in (("winner", max(share, 1 - share)), ("gap", 0.0)):
        for model, build in _models(target, seed).items():
            errors, scale = _errors(target, X, gap.to_numpy(), build)
            score, chance = _skill(errors, scale), [_skill(*_errors(target, X, permuted, build)) for permuted in shuffled]
            low, high = np.quantile(np.concatenate(list(_drawn(target, errors, scale, seed))), [0.025, 0.975])
            ends = {"low": min(low, score), "high": max(high, score)}
            row = {"target": target, "model": model, "score": score, **ends, "by_chance": np.mean(chance)}
            rows.append({**row, "p": (1 + np.sum(np.array(chance) >= score)) / (1 + n_permutations), "baseline": baseline})
    return pd.DataFrame(rows)


def _models(target: str, seed: int) -> dict[str, Callable[[], Any]]:
    from sklearn import ensemble, tree

    kind = "Classifier" if target == "winner" else "Regressor"
    few = {"max_iter": 50, "max_depth": 2, "min_samples_leaf": 3, "early_stopping": False}
    return {
        "tree": lambda: getattr(tree, f"DecisionTree{kind}")(max_depth=3, random_state=seed),
        "boosted trees": lambda: getattr(ensemble, f"HistGradientBoosting{kind}")(**few),
    }


def _predictions(X: np.ndarray, y: np.ndarray, build: Callable[[], Any]) -> np.ndarray:
    """Prediction of every dataset from the others; the one value there is, if they all have the same."""
    found = np.empty(len(y))
    with threadpool_limits(1):  # threads would wait for each other: there are few rows
        for i in range(len(y)):
            others = np.arange(len(y)) != i
            if np.ptp(y[others].astype(np.float64)) == 0:
                found[i] = y[others][0]
                continue
            relevance = np.abs(_standardised(X[others]).T @ _standardised(y[others, None].astype(np.float64))[:, 0])
            kept = np.argsort(-relevance, kind="stable")[:KEPT]
            found[i] = build().fit(X[np.ix_(others, kept)], y[others]).predict(X[i : i + 1, kept])[0]
    return found


def _errors(target: str, X: np.ndarray, gap: np.ndarray, build: Callable[[], Any]) -> tuple[np.ndarray, np.ndarray]:
    """Error (m,) of the prediction of every dataset, and the error that would be worth a score of 0."""
    if target == "winner":
        wins = (gap > 0).astype(np.int64)
        return (_predictions(X, wins, build) != wins).astype(np.float64), np.ones(len(gap))
    mean_of_others = (gap.sum() - gap) / (len(gap) - 1)
    return (_predictions(X, gap, build) - gap) ** 2, (mean_of_others - gap) ** 2


def _drawn(target: str, errors: np.ndarray, scale: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Scores of draws of the datasets; a few that are all told right do not make it certain for the next."""
    if target == "gap":
        yield from (1 - weights @ errors / (weights @ scale) for weights in resamples(len(errors), N_RESAMPLES, seed))
        return
    for draw in posterior(len(errors), 2, N_RESAMPLES, seed):
        wrong = (draw.unseen * (draw.orders[..., 0] > 1)).sum(axis=1)
        yield 1 - (draw.seen @ errors + wrong) / (len(errors) + 1)


def _skill(errors: np.ndarray, scale: np.ndarray) -> float:
    """Accuracy or R² from what `_errors` returns."""
    return float(1 - errors.sum() / scale.sum())


def positions(metafeatures: pd.DataFrame, own: pd.Series) -> tuple[pd.DataFrame, pd.Series]:
    """Ranks of the usable metafeatures of known datasets, from 0 to 1, and where a new one stands among them."""
    ranks = usable(metafeatures)
    known = metafeatures[ranks.columns].replace([np.inf, -np.inf], np.nan)
    mine = own.reindex(ranks.columns)
    below = (known < mine).sum() + (known == mine).sum() / 2
    return ranks, ((below + 0.5) / len(known)).where(mine.notna())


def nearest(metafeatures: pd.DataFrame, own: pd.Series, count: int = 5) -> pd.Series:
    """Distance to the `count` nearest datasets, nearest first; index: task.

    The distance is the mean, over metafeatures, of the mean absolute difference of the ranks of its summaries, the ranks being
    those among the known datasets from 0 to 1: unit-free, and a metafeature of many summaries counts no more than one of few.
    """
    ranks, position = positions(metafeatures, own)
    differences = (ranks - position).abs()
    by_name = differences.T.groupby([name.split(".")[0] for name in ranks.columns]).mean()
    return by_name.mean().sort_values(kind="stable").head(count).rename("distance")
