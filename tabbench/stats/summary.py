"""All statistics of one (dataset × model) table: what `tabbench stats` shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tabbench.errors import UserError
from tabbench.stats.bayes import compare_with, pairs_of_folds
from tabbench.stats.corrections import MOST_MODELS, bergmann_hommel, shaffer
from tabbench.stats.effects import cohen_d
from tabbench.stats.failures import common, fill_worst, policies, ranks_by_policy, stability
from tabbench.stats.hierarchical import hierarchical_test
from tabbench.stats.ranks import (
    adtm,
    champion_delta,
    improvability,
    mean_ranks,
    normalized_scores,
    rank_table,
    win_rates,
    win_tie_loss,
)
from tabbench.stats.ratings import rank_intervals, ratings
from tabbench.stats.significance import (
    Friedman,
    against_control,
    bonferroni_dunn_cd,
    cliques,
    friedman,
    nemenyi,
    nemenyi_cd,
    pairwise_wilcoxon,
    sign_test,
)

N_HIERARCHICAL = 3  # rivals of the leader that are compared from the folds
MOST_HIERARCHICAL = 200  # datasets for which that takes seconds


@dataclass(frozen=True)
class Settings:
    """greater_is_better : direction. rope : region of practical equivalence, in units of the score. alpha : level of the tests.

    baseline : model whose score stands in for a failure. control : model against which all others are tested.
    test_share : share of the rows that a fold scores; None: one fold's share of cross-validation.
    """

    greater_is_better: bool = True
    rope: float = 0.01
    alpha: float = 0.05
    baseline: str | None = None
    control: str | None = None
    test_share: float | None = None
    n_draws: int = 1000
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Summary:
    """Tables by model, by pair, and by policy for missing scores; None or empty where there is nothing to compare.

    win_rates : of the row's model against the column's. within : the pairs on the folds of the dataset, if there is just one.
    n_datasets : those that all ranked models were run on, of `n_known`; everything but `failures` is of them. left_out : models
    that have no dataset in common with the others. n_missing : scores missing there; they count as worst rank in everything but
    `failures`, where those of models that were not run are missing, too. unscored : datasets without any score.
    no_hierarchical : why folds that are there were not used for the hierarchical test; "" if they were, or if there are none.
    """

    n_datasets: int
    n_known: int
    left_out: Sequence[str]
    n_missing: int
    unscored: Sequence[str]
    models: pd.DataFrame
    omnibus: Friedman | None
    cd: dict[str, float]
    groups: Sequence[tuple[str, ...]]
    pairs: pd.DataFrame
    win_rates: pd.DataFrame
    within: pd.DataFrame
    leader: pd.DataFrame
    no_hierarchical: str
    control: pd.DataFrame
    failures: pd.DataFrame
    stability: pd.DataFrame


def summarize(
    table: pd.DataFrame, settings: Settings, folds: pd.DataFrame | None = None, absent: pd.DataFrame | None = None
) -> Summary:
    """Every statistic of scores by dataset and model, NaN where missing; folds : the same by (dataset, fold), if there are any.

    absent : bool (dataset × model), where a model was not run; None: it was run everywhere.

    Raises UserError for a table without a score, or an unknown baseline or control.
    """
    better, unscored = settings.greater_is_better, table.index[table.isna().all(axis=1)].astype(str).tolist()
    table = table.dropna(how="all")
    for name in ("alpha", "test_share"):
        value = getattr(settings, name)
        if value is not None and not 0 < value < 1:
            raise UserError(f"{name.replace('_', '-')} must lie between 0 and 1, got {value:g}")
    if not len(table):
        raise UserError("no score of any model on any dataset")
    for what, asked in (("compare", settings.control), ("impute", settings.baseline)):
        if asked is not None and asked not in table:
            raise UserError(f"no model {asked!r} to {what} with: known: {', '.join(map(str, table.columns))}")
    ran = table.notna() | (~absent.loc[table.index, table.columns] if absent is not None else True)
    by_policy = ranks_by_policy(policies(table, better, settings.baseline), better)
    datasets, ranked = common(ran)
    known, table = table, table.loc[datasets, ranked].dropna(how="all")
    filled = fill_worst(table, better)
    means, control = mean_ranks(filled, better), settings.control or ""
    several = min(filled.shape) > 1
    n, k = filled.shape
    if folds is not None:
        folds = folds.loc[folds.index.get_level_values(0).astype(str).isin(table.index.astype(str)), list(ranked)]
    return Summary(
        n_datasets=n,
        n_known=len(known),
        left_out=known.columns.difference(ranked, sort=False).astype(str).tolist(),
        n_missing=int(table.isna().sum(axis=None)),
        unscored=unscored,
        models=_models(table, filled, settings, ~ran.loc[known.index, ranked]),
        omnibus=friedman(filled, better) if several else None,
        cd={"nemenyi": nemenyi_cd(k, n, settings.alpha), "bonferroni_dunn": bonferroni_dunn_cd(k, n, settings.alpha)}
        if several
        else {},
        groups=_groups(means, nemenyi_cd(k, n, settings.alpha)) if several else [],
        pairs=_pairs(filled, better) if several else pd.DataFrame(),
        win_rates=_win_rates(filled, better) if k > 1 else pd.DataFrame(),
        within=pd.DataFrame() if n > 1 or folds is None else _within(folds, settings),
        leader=_leader(filled, settings, folds) if several else pd.DataFrame(),
        no_hierarchical=_no_hierarchical(folds) if several and folds is not None else "",
        control=against_control(means, n, control) if control in ranked and k > 1 else pd.DataFrame(),
        failures=by_policy,
        stability=stability(by_policy),
    )


def _models(table: pd.DataFrame, filled: pd.DataFrame, settings: Settings, absent: pd.DataFrame) -> pd.DataFrame:
    """One row per model, best mean rank first."""
    better, draws = settings.greater_is_better, (settings.n_draws, 1 - settings.alpha, settings.seed)
    ranks = rank_table(filled, better)
    low, high = rank_intervals(ranks, *draws)
    elo = ratings(filled, better, n_draws=settings.n_draws, level=1 - settings.alpha, seed=settings.seed)
    elo = elo.rename(columns={"low": "rating_low", "high": "rating_high"})
    board = pd.DataFrame({"mean_rank": ranks.mean(), "rank_low": low, "rank_high": high}).join(elo)
    board["mean_score"] = table.mean()
    board["normalized_score"], board["adtm"] = normalized_scores(filled, better).mean(), adtm(filled, better)
    board["champion_delta"] = champion_delta(filled, better).mean()
    board["improvability"] = _improvability(filled, better)
    board = board.join(win_tie_loss(filled, better))
    board["n_missing"], board["n_not_run"] = table.isna().sum(), absent.sum()
    return board.rename_axis("model").sort_values("mean_rank", kind="stable")


def _improvability(filled: pd.DataFrame, better: bool) -> pd.Series | float:
    """NaN where a perfect score is not 1 or 0, as of percentages or R²."""
    try:
        return improvability(filled, better).mean()
    except UserError:
        return float("nan")


def _groups(means: pd.Series, cd: float) -> list[tuple[str, ...]]:
    gaps = np.abs(np.subtract.outer(means.to_numpy(), means.to_numpy()))
    return cliques(means, pd.DataFrame(gaps >= cd, means.index, means.index))


def _pairs(filled: pd.DataFrame, better: bool) -> pd.DataFrame:
    """Multi-comparison table: one row per pair, the better mean rank first, with every correction, and what other tests say."""
    order = mean_ranks(filled, better).sort_values(kind="stable").index
    pairs = pairwise_wilcoxon(filled[order], better).rename(columns={"p_adjusted": "p_holm"})
    gaps = filled[pairs["model_a"]].to_numpy().T - filled[pairs["model_b"]].to_numpy().T
    pairs["cohen_d"] = cohen_d(gaps if better else -gaps)
    pairs["p_sign"] = sign_test(pairs["wins"], pairs["ties"], pairs["losses"])
    pairs["p_nemenyi"] = nemenyi(filled[order], better).to_numpy()[np.triu_indices(len(order), 1)]
    pairs["p_shaffer"] = shaffer(pairs["p"])
    return pairs.assign(p_bergmann=bergmann_hommel(pairs["p"])) if len(order) <= MOST_MODELS else pairs


def _win_rates(filled: pd.DataFrame, better: bool) -> pd.DataFrame:
    order = mean_ranks(filled, better).sort_values(kind="stable").index
    return win_rates(filled[order], better).rename_axis("row_model")


def _within(folds: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    share = settings.test_share or _test_share(folds)
    return pairs_of_folds(folds.dropna(how="all"), settings.greater_is_better, settings.rope, share)


def _leader(filled: pd.DataFrame, settings: Settings, folds: pd.DataFrame | None) -> pd.DataFrame:
    """Posterior probabilities for the best mean rank against every other, in their order."""
    better = settings.greater_is_better
    order = mean_ranks(filled, better).sort_values(kind="stable").index
    found = compare_with(filled[order], better, order[0], settings.rope, settings.seed)
    if folds is not None and not _no_hierarchical(folds):
        share = settings.test_share or _test_share(folds)
        folds = folds.dropna(how="all")
        for other in order[1 : 1 + N_HIERARCHICAL]:
            gap = (folds[order[0]] - folds[other]) * (1 if better else -1)
            by_fold = gap.groupby(level=0).agg(list).to_list()
            p = hierarchical_test(np.array(by_fold), settings.rope, share, settings.seed)
            found.loc[other, ["h_model", "h_equal", "h_other"]] = p.a, p.equal, p.b
    return found.rename_axis("model")


def _no_hierarchical(folds: pd.DataFrame) -> str:
    """Why there is no hierarchical test on scores by (dataset, fold); "" if there is one."""
    folds = folds.dropna(how="all")
    counts = folds.groupby(level=0).size()
    if len(counts) > MOST_HIERARCHICAL:
        return f"{len(counts):,} datasets are more than the {MOST_HIERARCHICAL} for which it takes seconds"
    if folds.isna().any(axis=None):
        return "a fold of a model is missing"
    if counts.nunique() > 1:
        return "the datasets differ in their number of folds"
    return "a dataset has one fold" if counts.iloc[0] < 2 else ""


def _test_share(folds: pd.DataFrame) -> float:
    """1 / folds of cross-validation.

    Ten repeats of ten folds come as 100 rows: with both a fold and a repeat level, the folds of one repeat count.
    """
    names = [str(name).lower() for name in folds.index.names]
    levels = folds.index.get_level_values(names.index("fold")) if "fold" in names else folds.groupby(level=0).cumcount()
    return 1 / max(int(levels.nunique()), 2)


def as_records(summary: Summary) -> dict[str, Any]:
    """The summary as plain values for JSON; what is not finite becomes None."""
    result: dict[str, Any] = {}
    for name, value in vars(summary).items():
        if isinstance(value, pd.DataFrame):
            value = (value.reset_index() if value.index.name else value).to_dict("records")
            result[name] = [{key: _finite(cell) for key, cell in row.items()} for row in value]
        else:
            result[name] = {key: _finite(cell) for key, cell in vars(value).items()} if isinstance(value, Friedman) else value
    return result


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value
