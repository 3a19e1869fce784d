"""Ranks of the landmarkers among each other (Fürnkranz and Petrak 2001): pymfe's group "relative"."""

from collections.abc import Mapping

import numpy as np
from scipy.stats import rankdata


def relative(landmarking: Mapping[str, float]) -> dict[str, float]:
    """Rank of each value among those of the same summary, ties shared, as name.summary.relative; NaN if one of them is NaN."""
    by_summary: dict[str, list[str]] = {}
    for name in landmarking:
        by_summary.setdefault(name.partition(".")[2], []).append(name)
    values = np.array([[landmarking[name] for name in names] for names in by_summary.values()])  # (summaries, landmarkers)
    ranks = zip(by_summary.values(), rankdata(values, axis=1).tolist(), strict=True)
    return {f"{name}.relative": rank for names, found in ranks for name, rank in zip(names, found, strict=True)}
