"""The gap between two models, or the best of two families, by dataset, and which metafeatures go with it: a part of the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tabbench.errors import UserError
from tabbench.metafeatures.analysis import N_PERMUTATIONS, correlations, usable
from tabbench.report.plots import scatter
from tabbench.stats.summary import Summary

BEST_OF = {"best network": "network", "best GBDT": "boosting"}  # sides of a gap that are the best of a family
DEFAULT, TUNED = " (default)", " (tuned)"  # what a tuned run calls its entrants
SHOWN = 12  # metafeatures in the table


def members(title: str, models: Sequence[str], families: Mapping[str, str]) -> list[str]:
    """The models of a family, or the one of that name; raises UserError if there are none."""
    if title not in BEST_OF:
        if title not in models:
            raise UserError(f"no results of {title!r}: there are {', '.join(models)}")
        return [title]
    found = [name for name in models if families.get(name) == BEST_OF[title]]
    if not found:
        raise UserError(f"no {title.removeprefix('best ')} among {', '.join(models)}: name two models with --models")
    return found


def gap_between(
    scores: Summary, families: Mapping[str, str], models: tuple[str, str] | None = None
) -> tuple[pd.Series, tuple[str, str]]:
    """Score of the first model minus the second's by dataset, signed so that more is better; and what the two are called.

    families : by model. Without `models`: best neural network or PFN, best gradient-boosted trees. Datasets without both are
    left out. Raises UserError for a model that is not there.
    """
    table = scores.table
    first, second = models or tuple(BEST_OF)
    signed = table if scores.settings.greater_is_better else -table
    sides = [signed[members(title, list(table), families)].max(axis=1) for title in (first, second)]
    return (sides[0] - sides[1]).dropna().rename("gap"), (first, second)


def tuning_or_family(scores: Summary, families: Mapping[str, str]) -> pd.DataFrame:
    """What tuning gains a model, beside what the choice of family among defaults matters (McElfresh et al. 2023).

    families : by model. One row per model that is there as "(default)" and "(tuned)": model, datasets, gain (median over
    datasets of tuned − default, more being better), family (median of |best default network − best default GBDT|), share (of
    the datasets, where the gain is at least as large). No rows without defaults of both families.
    """
    signed = scores.table if scores.settings.greater_is_better else -scores.table
    defaults = signed[[name for name in signed if str(name).endswith(DEFAULT)]]
    bests = [defaults[[name for name in defaults if families.get(name) == family]].max(axis=1) for family in BEST_OF.values()]
    family = (bests[0] - bests[1]).abs()
    rows = []
    for name in defaults:
        base = str(name).removesuffix(DEFAULT)
        if base + TUNED in signed:
            pairs = pd.DataFrame({"gain": signed[base + TUNED] - signed[name], "family": family}).dropna()
            if len(pairs):
                share = (pairs["gain"] >= pairs["family"]).mean()
                rows.append((base, len(pairs), pairs["gain"].median(), pairs["family"].median(), share))
    return pd.DataFrame(rows, columns=["model", "datasets", "gain", "family", "share"])


@dataclass(frozen=True, eq=False)
class Relations:
    """What the page shows first of metafeatures and a gap.

    sides : what the gap is between. families : by model. known : the usable metafeatures by dataset. table : the largest
    correlations with the gap. figure : the first of them against the gap, as SVG.
    """

    sides: tuple[str, str]
    families: Mapping[str, str]
    known: pd.DataFrame
    table: pd.DataFrame
    figure: str


def relations(scores: Summary, metafeatures: pd.DataFrame, families: Mapping[str, str], name: str) -> Relations | None:
    """Relate metafeatures (by dataset) to the gap between the best network and the best GBDT, or else the two best models.

    families : by model; name : what the page calls the metric. None where there is too little to go on.
    """
    try:
        sides = _sides(scores, families)
        gap, _ = gap_between(scores, families, sides)
        table = correlations(metafeatures, gap).head(SHOWN)
    except UserError:
        return None
    known = metafeatures[usable(metafeatures).columns]
    first = table["metafeature"][0]
    return Relations(sides, families, known, table, scatter(known[first], gap, first, gap_name(sides, name)))


def gap_name(sides: tuple[str, str], name: str) -> str:
    """What an axis of gaps is called."""
    return f"{name}: {sides[0]} − {sides[1]}"


def _sides(scores: Summary, families: Mapping[str, str]) -> tuple[str, str]:
    try:
        for title in BEST_OF:
            members(title, list(scores.table), families)
    except UserError:
        if len(scores.order) < 2:
            raise
        return str(scores.order[0]), str(scores.order[1])
    return ("best network", "best GBDT")


def page_relations(found: Relations | None, models: Sequence[str], datasets: Sequence[str]) -> dict[str, Any] | None:
    """What the page needs to do so again for other pairs, metrics and datasets; None if there is nothing to relate."""
    if found is None:
        return None
    values = found.known.reindex(datasets).to_numpy(np.float64)
    families = {
        title: [i for i, name in enumerate(models) if found.families.get(name) == family] for title, family in BEST_OF.items()
    }
    return {
        "names": list(found.known),
        "values": [[value if np.isfinite(value) else None for value in row] for row in values.tolist()],
        "families": {title: places for title, places in families.items() if places},
        "sides": found.sides,
        "draws": N_PERMUTATIONS,
    }
