"""report.html: one self-contained page, from the results table and the manifest.

Every metric has a view of its own (verdict, leaderboard, figures, tables), all rendered here; a selector in the page shows one.
"""

import shlex
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from tabbench.files import replace_text
from tabbench.metafeatures.analysis import METAFEATURES_FILE, by_dataset, read_described
from tabbench.metrics import METRICS
from tabbench.report import plots, tables
from tabbench.report.curves import learning_curves
from tabbench.report.gaps import relations
from tabbench.report.leaderboard import ALPHA, POLICY, ROPE, write_leaderboard
from tabbench.report.numbers import page_numbers
from tabbench.report.training import Stopped, training_figure, trainings
from tabbench.report.verdict import Comparison, compare_all, verdict
from tabbench.stats.draws import N_DRAWS

FOLDER = Path(__file__).parent


def write_report(
    folder: Path,
    results: pd.DataFrame,
    manifest: Mapping[str, Any],
    comparisons: Sequence[Comparison] | None = None,
    points: pd.DataFrame | None = None,
    stops: Sequence[Stopped] = (),
) -> None:
    """Write leaderboard.csv, leaderboard.md and report.html into `folder`, with its metafeatures if there are any.

    comparisons : of the results by every recorded metric, the default one first, if they are at hand. points : of training
    curves, see `training.best_points`. stops : what ending fits early has done.
    """
    comparisons = comparisons or compare_all(results)
    write_leaderboard(folder, comparisons[0].board)
    replace_text(folder / "report.html", render(results, manifest, read_metafeatures(folder), comparisons, points, stops))


def read_metafeatures(folder: Path) -> pd.DataFrame | None:
    """Metafeatures by dataset from a result folder; None if they were not computed. Raises UserError for a damaged file."""
    path = folder / METAFEATURES_FILE
    return by_dataset(read_described(path)) if path.exists() else None


def render(
    results: pd.DataFrame,
    manifest: Mapping[str, Any],
    metafeatures: pd.DataFrame | None = None,
    comparisons: Sequence[Comparison] | None = None,
    points: pd.DataFrame | None = None,
    stops: Sequence[Stopped] = (),
) -> str:
    """Return the page as HTML; everything that comes from data is escaped.

    metafeatures : by dataset. comparisons, points : as in `write_report`, if they are at hand.
    The manifest names the "families" of the models, by which they are compared.
    """
    facts, why = tables.dataset_facts(results, manifest["tasks"]), tables.reasons(results)
    comparisons = comparisons or compare_all(results)
    views = [_view(comparison, facts, why, results) for comparison in comparisons]
    metric = comparisons[0].metric
    families, name = manifest.get("families", {}), METRICS[metric].title
    related = None if metafeatures is None else relations(comparisons[0].scores, metafeatures, families, name)
    return _template().render(
        manifest=manifest,
        run=manifest["run"],
        machines=manifest.get("engine", {}).get("machines") or [manifest["environment"]],
        command=shlex.join(manifest["argv"]),
        policy=POLICY,
        alpha=ALPHA,
        rope=ROPE,
        default_metric=metric,
        views=views,
        related=related,
        stops=stops,
        trainings=[] if points is None else trainings(points),
        training_figure="" if points is None else training_figure(points),
        numbers=page_numbers(results, comparisons, facts, why, related),
        n_draws=N_DRAWS,
        style=_part("style.css"),
        statistics=_part("statistics.js"),
        explore=_part("explore.js"),
        has_curves=any(view["curves"].svg for view in views),
        n_models=results["model"].nunique(),
        n_folds=len(results[["repeat", "fold"]].drop_duplicates()),
        facts=facts.astype(object).where(facts.notna(), None).reset_index().to_dict("records"),
        troubles=tables.troubles(results),
        cuts=tables.cuts(results),
        meanings=_meanings(manifest["tasks"]),
        statuses=results["status"].value_counts().sort_index().to_dict(),
        n_not_run=tables.n_not_run(results),
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(seconds=_seconds, number=_number, interval=_interval, moment=_moment)
    return environment.get_template("template.html")


def _meanings(tasks: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """What the splits mean, with the names of the datasets; none for folders that do not say it."""
    found: dict[str, list[str]] = {}
    for facts in tasks:
        if facts.get("meaning"):
            found.setdefault(facts["meaning"], []).append(facts["name"])
    return found


def _part(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _view(
    comparison: Comparison, facts: pd.DataFrame, why: Mapping[tuple[str, str], str], results: pd.DataFrame
) -> dict[str, Any]:
    metric, better = comparison.metric, comparison.scores.settings.greater_is_better
    name = METRICS[metric].title
    return {
        "metric": metric,
        "name": name,
        "scores": comparison.scores,
        "direction": "higher is better" if better else "lower is better",
        "verdict": verdict(comparison, name),
        "models": comparison.board["model"].tolist(),
        "ranked": comparison.ranked,
        "board": tables.board_rows(comparison.board),
        "cd": critical_difference(comparison),
        "duels": tables.duels(comparison),
        "pareto": time_quality(comparison),
        "heat": tables.heat_map(comparison, facts.index.tolist(), why),
        "kinds": tables.kinds(comparison, facts),
        "curves": learning_curves(comparison, results, name),
        "policies": tables.failure_policies(comparison),
    }


def critical_difference(comparison: Comparison) -> str:
    """The diagram as SVG; "" where there is nothing to compare."""
    scores = comparison.scores
    return plots.critical_difference(scores.means, scores.groups, scores.cd["nemenyi"]) if scores.several else ""


def time_quality(comparison: Comparison) -> str:
    """Time against quality as SVG; "" without a time."""
    board = comparison.board.set_index("model")
    seconds = board["fit_seconds_per_1000_rows"] + board["predict_seconds_per_1000_rows"]
    return plots.time_quality(seconds, board["mean_normalized_score"], "mean normalised score")


def _seconds(value: float) -> str:
    """Three figures or so, never an exponent."""
    if pd.isna(value):
        return "–"
    places = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3 if value >= 0.1 else 4
    return f"{value:,.{places}f}"


def _number(value: float | jinja2.Undefined | None, places: int = 0) -> str:
    return "–" if value is None or isinstance(value, jinja2.Undefined) or pd.isna(value) else f"{value:,.{places}f}"


def _interval(ends: tuple[float, float], places: int = 0) -> str:
    return "–" if pd.isna(ends[0]) else f"{ends[0]:.{places}f} – {ends[1]:.{places}f}"


def _moment(stamp: str | None) -> str:
    """An ISO time stamp in UTC as people read it."""
    return f"{stamp[:16].replace('T', ' ')} UTC" if stamp else "not finished"
