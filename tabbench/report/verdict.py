"""What the numbers say, in plain words: who leads, who cannot be told apart, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from tabbench.report.leaderboard import ALPHA, BAD, Table, board_of, not_run, recorded_metrics
from tabbench.stats.significance import Friedman
from tabbench.stats.summary import Summary

MOST_NAMED = 8  # in one sentence
FEW_DATASETS = 10  # Demšar (2006, §3.2.2): the tests are sound for more than 10 datasets


@dataclass(frozen=True, eq=False)
class Comparison:
    """Everything that a results table says by one metric: the scores with all statistics of them, and the leaderboard."""

    metric: str
    table: Table
    scores: Summary

    @cached_property
    def board(self) -> pd.DataFrame:
        """The leaderboard, see `leaderboard`."""
        return board_of(self.scores, self.table, self.metric)

    @property
    def ranked(self) -> list[str]:
        """The models that have a rank, best first."""
        return self.scores.order


@dataclass(frozen=True)
class Verdict:
    """certainty : "high": the leader is ahead of all others beyond chance, "moderate": of at least half, "low", or "none"."""

    headline: str
    certainty: str
    sentences: Sequence[str]


def compare(table: Table, metric: str) -> Comparison:
    """Scores, leaderboard and tests for one metric."""
    return Comparison(metric, table, table.scores(metric))


def compare_all(results: pd.DataFrame) -> list[Comparison]:
    """The comparisons by every recorded metric, the default one first."""
    table = Table(results)
    return [compare(table, metric) for metric in recorded_metrics(results)]


def verdict(comparison: Comparison, metric: str) -> Verdict:
    """Say what the comparison shows and what it does not; `metric` is its name for people."""
    board, scores = comparison.board, comparison.scores
    notes = [*not_run(board), *_failures(board)]
    if not scores.n_datasets:
        return Verdict(f"Nothing to compare by {metric}: no model has a score on any dataset.", "none", notes)
    best = board["model"][board["mean_rank"] <= board["mean_rank"][0] + 1e-9].tolist()
    leader = board.loc[0]
    n = _count(scores.n_datasets, "dataset")
    if len(scores.means) == 1:
        alone = f"{leader.model} ran alone: its mean {metric} is {leader.mean_score:.3f} on {n}."
        return Verdict(alone, "none", ["There is nothing to compare it with.", *notes])
    verb = "has the best mean rank" if len(best) == 1 else "share the best mean rank"
    headline = f"{_listing(best)} {verb} by {metric}: {leader.mean_rank:.2f} among {len(scores.means)} models on {n}."
    if scores.omnibus is None:
        return Verdict(headline, "none", ["One dataset says nothing about others.", *_on_folds(scores.within), *notes])
    certainty, sentences = _tested(comparison, scores.omnibus, str(leader.model))
    if scores.n_datasets <= FEW_DATASETS:
        certainty = "moderate" if certainty == "high" else "low"
        few = f"Few datasets ({scores.n_datasets}): small differences cannot be found, and others could turn the order."
        notes = [few, *notes]
    return Verdict(headline, certainty, [*sentences, *notes])


def _on_folds(pairs: pd.DataFrame) -> list[str]:
    """What the folds of the one dataset say of its best model."""
    if pairs.empty:
        return []
    best = pairs["model_a"][0]
    behind = pairs["model_b"][(pairs["model_a"] == best) & (pairs["p_holm"] < ALPHA)].tolist()
    how = "Nadeau and Bengio's t-test, which allows for their overlap, with Holm's correction, α = 0.05"
    if not behind:
        return [f"Its folds do not tell {best} from the others ({how})."]
    return [f"On its folds {best} is ahead of {_listing(behind)} beyond chance ({how})."]


def _tested(comparison: Comparison, omnibus: Friedman, leader: str) -> tuple[str, list[str]]:
    """Certainty and what the tests say of the leader against the others."""
    figures = f"Friedman's test with Iman and Davenport's correction: {_f(omnibus)}, {p_text(omnibus.f_p)}"
    if omnibus.f_p >= ALPHA:
        return "low", [f"Yet the differences between the models are no larger than chance gives ({figures})."]
    models = comparison.ranked
    behind, ahead = _apart(comparison.scores.tests, leader, models)
    near = [model for model in models if model not in (leader, *behind, *ahead)]
    how = "pairwise Wilcoxon signed-rank tests with Holm's correction, α = 0.05"
    sentences = [f"The models do differ ({figures})."]
    if near:
        sentences.append(f"These datasets do not decide between {leader} and {_listing(near)} ({how}).")
        sentences += _fastest(comparison, near)
    if behind:
        others = _listing(behind) if near or ahead else "every other model"
        sentences.append(f"{leader} is ahead of {others} beyond chance{'' if near else f' ({how})'}.")
    if ahead:
        sentences.append(f"Yet in direct comparison {_listing(ahead)} is ahead of {leader} beyond chance: mind the pairs below.")
    return ("low" if ahead or len(behind) < len(near) else "moderate" if near else "high"), sentences


def _fastest(comparison: Comparison, near: Sequence[str]) -> list[str]:
    """Say what the leader costs beside the fastest of those that neither the tests nor their mean ranks set apart from it."""
    board = comparison.board.set_index("model")
    leader = board.index[0]
    reach = board["mean_rank"][leader] + comparison.scores.cd["nemenyi"]
    near = [model for model in near if board["mean_rank"][model] < reach]
    times = board[["fit_seconds_per_1000_rows", "predict_seconds_per_1000_rows"]].sum(axis=1, min_count=2)
    times = times[[leader, *near]].dropna()
    if leader not in times or len(times) < 2 or times.min() <= 0:
        return []
    fastest, ratio = times.idxmin(), times[leader] / times.min()
    slower = f": {leader} takes {ratio:,.1f} times as long" if ratio > 1 else ""
    return [f"Of those within a critical difference of its rank, {fastest} is the fastest (fit and predict){slower}."]


def _apart(tests: pd.DataFrame, leader: str, models: Sequence[str]) -> tuple[list[str], list[str]]:
    """Models that differ from the leader beyond chance: those behind it, and those ahead of it, in the order of `models`."""
    found = tests[(tests["p_adjusted"] < ALPHA) & ((tests["model_a"] == leader) | (tests["model_b"] == leader))]
    lead = found["median_difference"].where(found["model_a"] == leader, -found["median_difference"])
    other = found["model_b"].where(found["model_a"] == leader, found["model_a"])
    behind, ahead = set(other[lead >= 0]), set(other[lead < 0])
    return [model for model in models if model in behind], [model for model in models if model in ahead]


def _f(omnibus: Friedman) -> str:
    between = omnibus.n_models - 1
    return f"F({between}, {between * (omnibus.n_datasets - 1)}) = {omnibus.f:.1f}"


def _failures(board: pd.DataFrame) -> list[str]:
    bad = board[[f"n_{status}" for status in BAD]].sum(axis=1)
    if not bad.any():
        return []
    named = [f"{model} ({count})" for model, count in zip(board["model"], bad, strict=True) if count]
    return [f"{_count(int(bad.sum()), 'job')} did not end ok: {_listing(named)}. They count as worst rank and are listed below."]


def p_text(p: float) -> str:
    """A p-value as people write it."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _listing(names: Sequence[str]) -> str:
    if len(names) > MOST_NAMED:
        names = [*names[: MOST_NAMED - 1], f"{len(names) - MOST_NAMED + 1} others"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
