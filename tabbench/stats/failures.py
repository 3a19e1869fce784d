"""What a missing score may mean, and how much the answer depends on it.

A model that was not run on a dataset says nothing of it: models are compared on what all of them ran (`common`). A model that ran
and failed does. Three policies, none of them neutral. Complete case: datasets on which any model failed are left out. Worst rank:
a failure is worse than every score. Baseline: the user of a failed model falls back on a simple one (AMLB imputes its constant
predictor so).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from tabbench.errors import UserError
from tabbench.stats.ranks import mean_ranks

BELOW = 1e-6  # how far below the worst score (a share of it, if it is large) a failure is put: worse than all, yet no outlier


def common(ran: pd.DataFrame) -> tuple[pd.Index, pd.Index]:
    """Rows (datasets, or folds) that the models have in common, and these models, from where each one ran: bool (row × model).

    Models join in the order of how many rows they ran, then of their names, unless no common row would be left: models that share
    nothing cannot be compared.
    """
    rows = np.ones(len(ran), dtype=bool)
    kept: list[Any] = []
    for name in sorted(ran.columns, key=lambda name: (-int(ran[name].sum()), str(name))):
        shared = rows & ran[name].to_numpy()
        if shared.any():
            rows, kept = shared, [*kept, name]
    return ran.index[rows], ran.columns[ran.columns.isin(kept)]


def common_folds(ran: pd.DataFrame) -> pd.DataFrame:
    """Where scores are to be taken from, bool like `ran`, which says by (dataset, fold) and model what was run.

    On every dataset those are the folds that its models have in common; a model that shares none with the others has none there.
    """
    if ran.to_numpy().all():
        return ran
    used = ran.copy()
    for dataset, rows in ran.groupby(level=0, sort=False):
        if not rows.to_numpy().all():
            folds, models = common(rows.loc[:, rows.any()])
            used.loc[dataset] = np.outer(rows.index.isin(folds), rows.columns.isin(models))
    return used


def fill_worst(table: pd.DataFrame, greater_is_better: bool) -> pd.DataFrame:
    """Gaps of a (dataset × model) table filled just below the worst score of the dataset; every row needs a score."""
    worst = table.min(axis=1) if greater_is_better else table.max(axis=1)
    worst += np.maximum(worst.abs(), 1) * (-BELOW if greater_is_better else BELOW)
    return table.apply(lambda column: column.fillna(worst))


def fill_baseline(table: pd.DataFrame, greater_is_better: bool, baseline: str) -> pd.DataFrame:
    """Gaps filled with the score of the baseline, or just below the worst one where it has none itself.

    Raises UserError if there is no such model.
    """
    if baseline not in table.columns:
        raise UserError(f"no model {baseline!r} to impute with: known: {', '.join(map(str, table.columns))}")
    return fill_worst(table.apply(lambda column: column.fillna(table[baseline])), greater_is_better)


def policies(table: pd.DataFrame, greater_is_better: bool, baseline: str | None = None) -> dict[str, pd.DataFrame]:
    """Complete tables by policy: complete_case (perhaps without a row), worst_rank and, given a model for it, baseline.

    Datasets on which no model has a score are in none of them.
    """
    table = table.dropna(how="all")
    filled = {"complete_case": table.dropna(), "worst_rank": fill_worst(table, greater_is_better)}
    return filled if baseline is None else {**filled, "baseline": fill_baseline(table, greater_is_better, baseline)}


def ranks_by_policy(tables: Mapping[str, pd.DataFrame], greater_is_better: bool) -> pd.DataFrame:
    """Mean rank of every model (rows) under every policy, and `shift`: by how many places its position moves between them.

    A policy that leaves no dataset has NaN and does not count for the shift. Sorted by the worst rank policy.
    """
    ranks = pd.DataFrame(
        {name: mean_ranks(table, greater_is_better) if len(table) else np.nan for name, table in tables.items()},
        index=tables["worst_rank"].columns,
    )
    places = ranks.dropna(axis=1, how="all").rank()
    ranks["shift"] = places.max(axis=1) - places.min(axis=1)
    return ranks.rename_axis("model").sort_values("worst_rank", kind="stable")


def stability(ranks: pd.DataFrame) -> pd.DataFrame:
    """Kendall's τ_b of the order of models between two policies, by pair of policies: 1 is the same order.

    ranks : as from `ranks_by_policy`. Columns: policy_a, policy_b, tau; NaN where one has no ranks, or all are equal.
    """
    names = [name for name in ranks.columns if name != "shift"]
    rows = [(a, b, _tau(ranks[a], ranks[b])) for i, a in enumerate(names) for b in names[i + 1 :]]
    return pd.DataFrame(rows, columns=["policy_a", "policy_b", "tau"])


def _tau(a: pd.Series, b: pd.Series) -> float:
    if a.isna().any() or b.isna().any() or a.nunique() < 2 or b.nunique() < 2:
        return float("nan")
    signs = [np.sign(np.subtract.outer(ranks.to_numpy(), ranks.to_numpy())) for ranks in (a, b)]
    return float(np.sum(signs[0] * signs[1]) / np.sqrt(np.sum(signs[0] ** 2) * np.sum(signs[1] ** 2)))
