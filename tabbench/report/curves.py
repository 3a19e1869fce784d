"""Learning curves: what the runs at several training sizes say, and where the curves lead at full size."""

import math
from dataclasses import dataclass

import pandas as pd

from tabbench.report import plots
from tabbench.report.verdict import Comparison
from tabbench.stats.extrapolation import extrapolate, held_back_error


@dataclass(frozen=True)
class Ending:
    """Mean score at the largest size, as fitted at full size and with twice the rows, the fit's error, at full size if run."""

    model: str
    n_sizes: int
    largest: float
    fitted: float
    doubled: float
    error: float
    measured: float


@dataclass(frozen=True)
class Curves:
    """svg : the figure, empty without two sizes. endings : models of at least three sizes, best at full size first."""

    n_datasets: int
    svg: str
    endings: list[Ending]


def learning_curves(comparison: Comparison, results: pd.DataFrame, name: str) -> Curves:
    """Curves of the mean score over the datasets on which every entrant with a cap on its rows has a score."""
    capped = results.loc[results["max_rows"].notna(), ["model", "max_rows", "row_policy"]].drop_duplicates()
    lines = _lines(capped)
    scores = comparison.scores.table.reindex(columns=capped["model"]).dropna()
    lines = {model: line for model, line in lines.items() if len(line) > 1} if len(scores) else {}
    if not lines:
        return Curves(len(scores), "", [])
    series = {model: {size: float(scores[entrant].mean()) for size, entrant in line.items()} for model, line in lines.items()}
    endings = [_ending(comparison, results, scores.index, model, line) for model, line in lines.items() if len(line) > 2]
    endings.sort(key=lambda ending: ending.fitted, reverse=comparison.scores.settings.greater_is_better)
    return Curves(len(scores), plots.curves(series, f"{name}, mean of {len(scores)} datasets"), endings)


def _lines(capped: pd.DataFrame) -> dict[str, dict[int, str]]:
    """Entrants by curve and size; the row policy is part of a curve's name where there are several."""
    several = capped["row_policy"].nunique() > 1
    lines: dict[str, dict[int, str]] = {}
    for entrant, size, policy in capped.itertuples(index=False):
        mark = f"{policy} {size} rows"
        curve = entrant.replace(mark, policy) if several else _without(entrant, mark)
        lines.setdefault(curve, {})[int(size)] = entrant
    return lines


def _ending(comparison: Comparison, results: pd.DataFrame, datasets: pd.Index, model: str, line: dict[int, str]) -> Ending:
    table, sign = comparison.scores.table, 1 if comparison.scores.settings.greater_is_better else -1
    entrants = [line[size] for size in sorted(line)]
    chosen = results[results["task"].isin(datasets)]
    used = chosen.pivot_table(index="task", columns="model", values="n_train_used", aggfunc="mean").loc[datasets, entrants]
    full = chosen.groupby("task")["n_train"].mean().loc[datasets]
    scores = sign * table.loc[datasets, entrants].to_numpy()
    sizes = used.to_numpy(float)
    fitted, doubled = (sign * extrapolate(sizes, scores, times * full.to_numpy(float)).mean() for times in (1, 2))
    uncapped = table.loc[datasets, model] if model in table else pd.Series([math.nan])
    measured = float(uncapped.mean()) if uncapped.notna().all() else math.nan
    largest, error = sign * float(scores[:, -1].mean()), held_back_error(sizes, scores)
    return Ending(model, len(entrants), largest, fitted, doubled, error, measured)


def _without(entrant: str, mark: str) -> str:
    """Return the name of an entrant without one of the marks that stand in its brackets."""
    return entrant.replace(mark, "").replace("[, ", "[").replace(", ]", "]").replace("[]", "").strip()
