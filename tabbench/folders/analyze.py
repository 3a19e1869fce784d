"""Which metafeatures go with a gap between models, from a result folder."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tabbench.border.texts import printable
from tabbench.files import replace_file, replace_text
from tabbench.folders.results import Results
from tabbench.metafeatures.analysis import (
    IRREGULARITY,
    by_dataset,
    correlations,
    irregularity,
    meta_models,
    spearman_interval,
)
from tabbench.metrics import METRICS
from tabbench.report.gaps import gap_between, tuning_or_family
from tabbench.report.leaderboard import default_metric


@dataclass(frozen=True, eq=False)
class Analysis:
    """What `analyze` found. sides : what the gap is between, positive where the first is better; gap : by dataset.

    tuning : what tuning gains beside the choice of family, see `tuning_or_family`.
    """

    metric: str
    sides: tuple[str, str]
    gap: pd.Series
    correlations: pd.DataFrame
    meta_models: pd.DataFrame
    irregularity: pd.DataFrame
    tuning: pd.DataFrame


def analyze(results: Results, parts: pd.DataFrame, metric: str | None = None, models: tuple[str, str] | None = None) -> Analysis:
    """Relate metafeatures to a gap; writes metafeature_correlations.csv, _gap.csv and _analysis.md into the results' folder.

    Raises UserError for an unknown metric or model, and with too few datasets.
    """
    metric = metric or default_metric(results.frame)
    METRICS[metric]
    scores = results.compared(metric).scores
    gap, sides = gap_between(scores, results.families, models)
    metafeatures = by_dataset(parts)
    irregular = irregularity(metafeatures).rename("irregularity")
    table = correlations(metafeatures, gap)
    shared = irregular.index.intersection(gap.index)
    rho = irregular[shared].corr(gap[shared], method="spearman") if irregular.notna().all() else np.nan
    ranked = pd.DataFrame({"irregularity": irregular, "gap": gap}).sort_values("irregularity", ascending=False)
    ranked.attrs["correlation"] = (rho, *spearman_interval(np.asarray(rho), len(shared)))
    tuning = tuning_or_family(scores, results.families)
    found = Analysis(metric, sides, gap, table, meta_models(metafeatures, gap), ranked, tuning)
    replace_file(results.path / "metafeature_gap.csv", lambda temporary: gap.sort_values().to_csv(temporary, float_format="%.6g"))
    replace_file(
        results.path / "metafeature_correlations.csv", lambda temporary: table.to_csv(temporary, index=False, float_format="%.6g")
    )
    replace_text(results.path / "metafeature_analysis.md", format_analysis(found) + "\n")
    return found


def format_analysis(found: Analysis, rows: int = 12) -> str:
    """The analysis as Markdown that also reads well in a terminal."""
    first, second = found.sides
    wins = int((found.gap > 0).sum())
    sure = int((found.correlations["p_adjusted"] < 0.05).sum())
    lines = [
        f"# Metafeatures and the gap {first} − {second} in {found.metric}",
        f"{first} is ahead on {wins} of {len(found.gap)} datasets; the median gap is {found.gap.median():+.4f}.",
        f"{sure} of {len(found.correlations)} metafeatures correlate with the gap beyond chance (adjusted for looking at all; "
        "intervals are 95% for one; the unit is the dataset).",
        "",
        f"{'metafeature':32} {'Spearman':>8} {'95% interval':>16} {'p':>7} {'adjusted':>8}",
    ]
    for row in found.correlations.head(rows).itertuples():
        interval = f"{row.low:+.2f} … {row.high:+.2f}"
        lines.append(f"{row.metafeature:32} {row.correlation:+8.2f} {interval:>16} {row.p:7.4f} {row.p_adjusted:8.4f}")
    lines += ["", "Told from the metafeatures of a dataset that was left out (by chance: with the gaps shuffled):", ""]
    for row in found.meta_models.itertuples():
        what = "R² of the gap" if row.target == "gap" else f"accuracy of the winner (the commoner one: {row.baseline:.2f})"
        interval = f"{row.low:+.2f} … {row.high:+.2f}"
        lines.append(f"{row.model:14} {row.score:+.2f}  {interval:>15}  by chance {row.by_chance:+.2f} (p = {row.p:.2f})  {what}")
    lines += _tuning(found.tuning)
    rho, low, high = found.irregularity.attrs["correlation"]
    if np.isnan(rho):
        lines += ["", f"No irregularity: it takes {', '.join(IRREGULARITY)}."]
        return "\n".join(map(printable, lines))
    lines += ["", f"Irregularity correlates with the gap by {rho:+.2f} ({low:+.2f} … {high:+.2f}). Most irregular:", ""]
    lines += [f"{row.Index:32} {row.irregularity:+8.2f}" for row in found.irregularity.head(5).itertuples()]
    return "\n".join(map(printable, lines))


def _tuning(found: pd.DataFrame) -> list[str]:
    if found.empty:
        return []
    lines = ["", "Tuning gains at least as much as the choice of family among defaults matters (medians of both):", ""]
    for row in found.sort_values("share", ascending=False).itertuples():
        medians = f"{row.gain:+.4f} and {row.family:.4f}"
        lines.append(f"{row.model:20} on {row.share:4.0%} of {row.datasets} datasets  ({medians})")
    return lines
