"""All statistics of one (dataset × model) table: what `tabbench stats` shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from tabbench.errors import UserError
from tabbench.stats.bayes import compare_with, pairs_of_folds
from tabbench.stats.corrections import MOST_MODELS, bergmann_hommel, shaffer
from tabbench.stats.draws import N_DRAWS
from tabbench.stats.effects import cohen_d
from tabbench.stats.failures import common, fill_worst, policies, ranks_by_policy, stability
from tabbench.stats.hierarchical import hierarchical_test
from tabbench.stats.ranks import (
    TOLERANCE,
    champion_delta,
    improvability,
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
    test_share : share of the rows that a fold scores; None: one fold's share of cross-validation. ties : of ranks, "average", or
    TabZilla's rule "min": equal to the last bit, best rank.
    """

    greater_is_better: bool = True
    rope: float = 0.01
    alpha: float = 0.05
    baseline: str | None = None
    control: str | None = None
    test_share: float | None = None
    ties: Literal["average", "min"] = "average"
    n_draws: int = N_DRAWS
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Summary:
    """Scores by dataset and model, and all that follows from them: each part is computed once, when it is asked for.

    table : NaN where a model has no score; every dataset has one of some model. absent : bool like `table`, where a model was not
    run. folds : scores by (dataset, fold) and model, if there are any. unscored : datasets without any score, not in `table`.

    Models are ranked on the datasets that they have in common (see `failures.common`); everything but `failures` is of these.
    Parts are empty or None where there is nothing to compare: fewer than two datasets or models.
    """

    table: pd.DataFrame
    absent: pd.DataFrame
    settings: Settings
    folds: pd.DataFrame | None = None
    unscored: Sequence[str] = ()

    @cached_property
    def shared(self) -> pd.DataFrame:
        """The scores of the models that are ranked, on the datasets they have in common."""
        datasets, ranked = common(~self.absent)
        return self.table.loc[datasets, ranked].dropna(how="all")

    @cached_property
    def filled(self) -> pd.DataFrame:
        """`shared` without a gap: a missing score is just below the worst of the dataset."""
        return fill_worst(self.shared, self.settings.greater_is_better)

    @property
    def n_datasets(self) -> int:
        """Datasets that the models are ranked on."""
        return len(self.filled)

    @property
    def n_known(self) -> int:
        """Datasets with a score."""
        return len(self.table)

    @property
    def n_missing(self) -> int:
        """Scores missing among those that models are ranked by; they count as worst rank."""
        return int(self.shared.isna().sum(axis=None))

    @property
    def left_out(self) -> list[str]:
        """Models that have no dataset in common with the others."""
        return self.table.columns.difference(self.shared.columns, sort=False).astype(str).tolist()

    @property
    def several(self) -> bool:
        """Whether there are two datasets and two models, so that there is something to test."""
        return min(self.filled.shape) > 1

    @cached_property
    def ranks(self) -> pd.DataFrame:
        """(dataset × model), 1 = best."""
        tolerance = 0.0 if self.settings.ties == "min" else TOLERANCE
        if self.filled.empty:
            return self.filled
        return rank_table(self.filled, self.settings.greater_is_better, tolerance, self.settings.ties)

    @cached_property
    def means(self) -> pd.Series:
        """Mean rank by model, in the order of the table."""
        return self.ranks.mean()

    @cached_property
    def order(self) -> list[Any]:
        """The ranked models, best mean rank first."""
        return self.means.sort_values(kind="stable").index.tolist()

    @cached_property
    def models(self) -> pd.DataFrame:
        """One row per model, best mean rank first."""
        filled, settings = self.filled, self.settings
        better, level = settings.greater_is_better, 1 - settings.alpha
        low, high = rank_intervals(self.ranks, settings.n_draws, level, settings.seed)
        elo = ratings(filled, better, n_draws=settings.n_draws, level=level, seed=settings.seed)
        elo = elo.rename(columns={"low": "rating_low", "high": "rating_high"})
        board = pd.DataFrame({"mean_rank": self.means, "rank_low": low, "rank_high": high}).join(elo)
        board["mean_score"] = self.shared.mean()
        normalized = normalized_scores(filled, better).mean()
        board["normalized_score"], board["adtm"] = normalized, 1 - normalized
        board["champion_delta"] = champion_delta(filled, better).mean()
        board["improvability"] = _improvability(filled, better)
        board = board.join(win_tie_loss(filled, better))
        board["n_missing"], board["n_not_run"] = self.shared.isna().sum(), self.absent[filled.columns].sum()
        return board.rename_axis("model").loc[self.order]

    @cached_property
    def omnibus(self) -> Friedman | None:
        """Friedman's test."""
        return friedman(self.filled, self.settings.greater_is_better) if self.several else None

    @cached_property
    def cd(self) -> dict[str, float]:
        """Critical differences of mean ranks: "nemenyi", "bonferroni_dunn"."""
        if not self.several:
            return {}
        n, k = self.filled.shape
        alpha = self.settings.alpha
        return {"nemenyi": nemenyi_cd(k, n, alpha), "bonferroni_dunn": bonferroni_dunn_cd(k, n, alpha)}

    @cached_property
    def groups(self) -> list[tuple[str, ...]]:
        """Models whose mean ranks differ by less than Nemenyi's critical difference."""
        if not self.several:
            return []
        gaps = np.abs(np.subtract.outer(self.means.to_numpy(), self.means.to_numpy()))
        return cliques(self.means, pd.DataFrame(gaps >= self.cd["nemenyi"], self.means.index, self.means.index))

    @cached_property
    def tests(self) -> pd.DataFrame:
        """One row per pair, the better mean rank first, see `pairwise_wilcoxon`."""
        return pairwise_wilcoxon(self.filled[self.order], self.settings.greater_is_better) if self.several else pd.DataFrame()

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Multi-comparison table: `tests` with every correction, and what other tests say."""
        if not self.several:
            return pd.DataFrame()
        pairs, filled, better = self.tests.rename(columns={"p_adjusted": "p_holm"}), self.filled, self.settings.greater_is_better
        gaps = filled[pairs["model_a"]].to_numpy().T - filled[pairs["model_b"]].to_numpy().T
        pairs["cohen_d"] = cohen_d(gaps if better else -gaps)
        pairs["p_sign"] = sign_test(pairs["wins"], pairs["ties"], pairs["losses"])
        pairs["p_nemenyi"] = nemenyi(filled[self.order], better).to_numpy()[np.triu_indices(len(self.order), 1)]
        pairs["p_shaffer"] = shaffer(pairs["p"])
        return pairs.assign(p_bergmann=bergmann_hommel(pairs["p"])) if len(self.order) <= MOST_MODELS else pairs

    @cached_property
    def win_rates(self) -> pd.DataFrame:
        """Of the row's model against the column's, best mean rank first."""
        if self.filled.shape[1] < 2:
            return pd.DataFrame()
        return win_rates(self.filled[self.order], self.settings.greater_is_better).rename_axis("row_model")

    @cached_property
    def shared_folds(self) -> pd.DataFrame | None:
        """Scores by (dataset, fold) of what `shared` has."""
        if self.folds is None:
            return None
        ours = self.folds.index.get_level_values(0).astype(str).isin(self.shared.index.astype(str))
        return self.folds.loc[ours, list(self.shared.columns)]

    @property
    def test_share(self) -> float:
        """Share of the rows that a fold scores, as set, or one fold's share of cross-validation."""
        assert self.shared_folds is not None
        return self.settings.test_share or _test_share(self.shared_folds)

    @cached_property
    def within(self) -> pd.DataFrame:
        """The pairs on the folds of the dataset, if there is just one."""
        if self.n_datasets != 1 or self.shared_folds is None:
            return pd.DataFrame()
        folds, settings = self.shared_folds.dropna(how="all"), self.settings
        return pairs_of_folds(folds, settings.greater_is_better, settings.rope, self.test_share)

    @cached_property
    def leader(self) -> pd.DataFrame:
        """Posterior probabilities for the best mean rank against every other, in their order."""
        if not self.several:
            return pd.DataFrame()
        settings, order, folds = self.settings, self.order, self.shared_folds
        found = compare_with(self.filled[order], settings.greater_is_better, order[0], settings.rope, settings.seed)
        if folds is not None and not self.no_hierarchical:
            folds = folds.dropna(how="all")
            for other in order[1 : 1 + N_HIERARCHICAL]:
                gap = (folds[order[0]] - folds[other]) * (1 if settings.greater_is_better else -1)
                by_fold = gap.groupby(level=0).agg(list).to_list()
                p = hierarchical_test(np.array(by_fold), settings.rope, self.test_share, settings.seed)
                found.loc[other, ["h_model", "h_equal", "h_other"]] = p.a, p.equal, p.b
        return found.rename_axis("model")

    @cached_property
    def no_hierarchical(self) -> str:
        """Why folds that are there are not used for the hierarchical test; "" if they are, or if there are none."""
        return _no_hierarchical(self.shared_folds) if self.several and self.shared_folds is not None else ""

    @cached_property
    def control(self) -> pd.DataFrame:
        """Every other model against the control."""
        control = self.settings.control or ""
        if control not in self.means or len(self.means) < 2:
            return pd.DataFrame()
        return against_control(self.means, self.n_datasets, control)

    @cached_property
    def failures(self) -> pd.DataFrame:
        """Mean ranks of all models by what a missing score may mean, not run or failed."""
        better = self.settings.greater_is_better
        return ranks_by_policy(policies(self.table, better, self.settings.baseline), better)

    @cached_property
    def stability(self) -> pd.DataFrame:
        """How alike the orders of `failures` are."""
        return stability(self.failures)


SHOWN = (
    *("n_datasets", "n_known", "left_out", "n_missing", "unscored", "models", "omnibus", "cd", "groups", "pairs", "win_rates"),
    *("within", "leader", "no_hierarchical", "control", "failures", "stability"),
)


def summarize(
    table: pd.DataFrame, settings: Settings, folds: pd.DataFrame | None = None, absent: pd.DataFrame | None = None
) -> Summary:
    """Every statistic of scores by dataset and model, NaN where missing; folds : the same by (dataset, fold), if there are any.

    absent : bool (dataset × model), where a model was not run; None: it was run everywhere.

    Raises UserError for a table without a score, or an unknown baseline or control.
    """
    unscored = table.index[table.isna().all(axis=1)].astype(str).tolist()
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
    nowhere = pd.DataFrame(False, table.index, table.columns)
    absent = nowhere if absent is None else absent.loc[table.index, table.columns] & table.isna()
    return Summary(table, absent, settings, folds, unscored)


def _improvability(filled: pd.DataFrame, better: bool) -> pd.Series | float:
    """NaN where a perfect score is not 1 or 0, as of percentages or R²."""
    try:
        return improvability(filled, better).mean()
    except UserError:
        return float("nan")


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
    for name in SHOWN:
        value = getattr(summary, name)
        if isinstance(value, pd.DataFrame):
            value = (value.reset_index() if value.index.name else value).to_dict("records")
            result[name] = [{key: _finite(cell) for key, cell in row.items()} for row in value]
        else:
            result[name] = {key: _finite(cell) for key, cell in vars(value).items()} if isinstance(value, Friedman) else value
    return result


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value
