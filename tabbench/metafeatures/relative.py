"""Ranks of the landmarkers among each other (Fürnkranz and Petrak 2001): pymfe's group "relative"."""

from collections.abc import Mapping

import numpy as np
import pandas as pd


def relative(landmarking: Mapping[str, float]) -> dict[str, float]:
    """Rank of each value among those of the same summary, ties shared, as name.summary.relative; NaN if one of them is NaN."""
    by_summary: dict[str, list[str]] = {}
    for name in landmarking:
        by_summary.setdefault(name.partition(".")[2], []).append(name)
    values = pd.DataFrame([[landmarking[name] for name in names] for names in by_summary.values()])  # (summaries, landmarkers)
    places = values.rank(axis=1).where(values.notna().all(axis=1), np.nan)
    ranks = zip(by_summary.values(), places.to_numpy().tolist(), strict=True)
    return {f"{name}.relative": rank for names, found in ranks for name, rank in zip(names, found, strict=True)}
