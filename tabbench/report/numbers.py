"""The numbers that the page carries along, so that it can compute its statistics again for a choice of datasets and models."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tabbench.report.gaps import Relations, page_relations
from tabbench.report.leaderboard import ALPHA
from tabbench.report.plots import LOG_RATIO, MOST_TICKS
from tabbench.report.verdict import Comparison
from tabbench.stats.draws import N_DRAWS, UNSEEN
from tabbench.stats.failures import BELOW
from tabbench.stats.ranks import TOLERANCE
from tabbench.stats.ratings import CENTRE, FINITE, POINTS, PRIOR
from tabbench.stats.significance import EXACT_UP_TO, nemenyi_q

FOLD_PARTS = 10_000  # of the scores of single folds, which are only shown, the page has whole numbers of such parts
CONSTANTS = {
    **{"TOLERANCE": TOLERANCE, "BELOW": BELOW, "ALPHA": ALPHA, "EXACT_UP_TO": EXACT_UP_TO, "UNSEEN": UNSEEN},
    **{"PRIOR": PRIOR, "FINITE": FINITE, "CENTRE": CENTRE, "POINTS": POINTS, "LOG_RATIO": LOG_RATIO, "MOST_TICKS": MOST_TICKS},
    "FOLD_PARTS": FOLD_PARTS,
}


def page_numbers(
    results: pd.DataFrame,
    comparisons: Sequence[Comparison],
    facts: pd.DataFrame,
    why: Mapping[tuple[str, str], str],
    related: Relations | None,
) -> str:
    """JSON, safe inside a script element: models, facts of the datasets, scores by metric, dataset and model, metafeatures."""
    models, datasets = sorted(results["model"].unique().tolist()), sorted(facts.index)  # as in the leaderboard: equal resamples
    folds = results[["task", "repeat", "fold"]].drop_duplicates().sort_values(["task", "repeat", "fold"])
    numbers = {
        "models": models,
        "datasets": [_facts(name, row) for name, row in facts.loc[datasets].iterrows()],
        "q": [None, None, *(nemenyi_q(k, ALPHA) for k in range(2, len(models) + 1))],
        "draws": N_DRAWS,
        "constants": CONSTANTS,
        "related": page_relations(related, models, datasets),
        "folds": {task: [_label(*row) for row in rows] for task, rows in _by_task(folds).items()},
        "why": {task: {model: text for (name, model), text in why.items() if name == task} for task in datasets},
        "metrics": {
            comparison.metric: {
                "better": comparison.scores.settings.greater_is_better,
                "scores": _plain(comparison.scores.table.reindex(index=datasets, columns=models).to_numpy(np.float64)),
                "absent": _absent(comparison.scores.absent.reindex(index=datasets, columns=models)),
                "folds": _fold_scores(comparison.table.folds[comparison.metric].unstack("model"), folds, models),
            }
            for comparison in comparisons
        },
    }
    return json.dumps(numbers, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _facts(name: str, row: pd.Series) -> dict[str, Any]:
    counts = {key: row[f"n_{key}"] for key in ("rows", "features", "classes", "categorical", "missing")}
    source = row.get("source")
    return {
        "name": name,
        **{key: None if pd.isna(value) else int(value) for key, value in counts.items()},
        "source": str(source).split(":")[0] if isinstance(source, str) else "not stated",
    }


def _by_task(folds: pd.DataFrame) -> dict[str, list[tuple[int, int]]]:
    return {task: list(rows[["repeat", "fold"]].itertuples(index=False, name=None)) for task, rows in folds.groupby("task")}


def _label(repeat: int, fold: int) -> str:
    return f"fold {fold + 1}" if repeat == 0 else f"repeat {repeat + 1}, fold {fold + 1}"


def _absent(absent: pd.DataFrame) -> list[list[int]]:
    """(dataset, model) where a model was not run on a dataset that others have a score of."""
    return np.argwhere(absent.fillna(False).to_numpy(bool)).tolist()


def _fold_scores(scores: pd.DataFrame, folds: pd.DataFrame, models: Sequence[str]) -> dict[str, Any]:
    """Scores in parts of `FOLD_PARTS`, by dataset, then fold, then model."""
    wide = scores.reindex(index=pd.MultiIndex.from_frame(folds), columns=models)
    values = np.rint(wide.to_numpy(np.float64) * FOLD_PARTS)
    return {task: _whole(values[places]) for task, places in folds.reset_index(drop=True).groupby("task").indices.items()}


def _whole(values: np.ndarray) -> list[list[int | None]]:
    return [[None if value is None else int(value) for value in row] for row in _plain(values)]


def _plain(values: np.ndarray) -> list[list[float | None]]:
    """Lists with None for what is not finite."""
    return [[value if np.isfinite(value) else None for value in row] for row in values.tolist()]
