"""The figures and tables of the page as files: SVG and PNG; CSV, Markdown and LaTeX."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tabbench.border.texts import printable
from tabbench.files import replace_file, replace_text
from tabbench.metrics import METRICS
from tabbench.report import plots, tables
from tabbench.report.curves import learning_curves
from tabbench.report.gaps import relations
from tabbench.report.leaderboard import csv_text, rounded
from tabbench.report.page import critical_difference, read_metafeatures, time_quality
from tabbench.report.summary_text import markdown_table
from tabbench.report.verdict import Comparison, compare_all


def write_figures(
    folder: Path, results: pd.DataFrame, manifest: Mapping[str, Any], out: Path, comparisons: Sequence[Comparison] | None = None
) -> list[Path]:
    """Write what the page of a result folder shows for every recorded metric, `<what>-<metric>.<ending>`; returns the files.

    comparisons : of the results by every recorded metric, if they are at hand.
    PNG needs the extra "plots"; without it there is none.
    """
    out.mkdir(parents=True, exist_ok=True)
    metafeatures, facts, why = (
        read_metafeatures(folder),
        tables.dataset_facts(results, manifest["tasks"]),
        tables.reasons(results),
    )
    audit = [{**finding, "columns": ", ".join(finding["columns"])} for finding in manifest.get("audit", [])]
    of_all = {"failures": tables.troubles(results), "subsampling": tables.cuts(results), "audit": audit}
    shown = {"datasets": facts.reset_index(), **{what: pd.DataFrame(rows) for what, rows in of_all.items()}}
    figures = {}
    for comparison in comparisons or compare_all(results):
        metric, name = comparison.metric, METRICS[comparison.metric].title
        curves = learning_curves(comparison, results, name)
        related = None if metafeatures is None else relations(comparison.scores, metafeatures, manifest.get("families", {}), name)
        figures[f"critical-difference-{metric}"] = critical_difference(comparison)
        figures[f"time-quality-{metric}"] = time_quality(comparison)
        figures[f"training-size-{metric}"] = curves.svg
        shown |= {f"{what}-{metric}": table for what, table in _tables(comparison, facts, why).items()}
        shown[f"full-size-{metric}"] = pd.DataFrame(curves.endings)
        if related:
            figures[f"metafeature-{metric}"], shown[f"metafeatures-{metric}"] = related.figure, related.table
    files = [file for name, svg in figures.items() if svg for file in _write_figure(svg, out / name)]
    return files + [file for name, table in shown.items() if len(table) for file in _write_table(table, out / name)]


def _tables(comparison: Comparison, facts: pd.DataFrame, why: Mapping[tuple[str, str], str]) -> dict[str, pd.DataFrame]:
    models = comparison.board["model"].tolist()
    grids = {
        "win-rates": tables.duels(comparison),
        "scores": tables.heat_map(comparison, facts.index.tolist(), why),
        "kinds": tables.kinds(comparison, facts),
    }
    return {
        "leaderboard": rounded(comparison.board),
        "policies": pd.DataFrame(tables.failure_policies(comparison)),
        "pairs": comparison.scores.tests if comparison.scores.several else comparison.scores.within,
        **{what: _grid(rows, models) for what, rows in grids.items()},
    }


def _grid(rows: Sequence[tables.Row], models: Sequence[str]) -> pd.DataFrame:
    """The cells of a grid of the page as text, with the number of datasets where the page has it."""
    table = pd.DataFrame([[row.name, *(cell.text for cell in row.cells)] for row in rows], columns=["", *models])
    if len(rows) and rows[0].n is not None:
        table.insert(1, "datasets", [row.n for row in rows])
    return table


def _write_figure(svg: str, path: Path) -> Iterator[Path]:
    text = plots.standalone(svg)
    replace_text(path.with_name(f"{path.name}.svg"), text)
    yield path.with_name(f"{path.name}.svg")
    try:
        from resvg_py import svg_to_bytes
    except ImportError:
        return
    png = path.with_name(f"{path.name}.png")
    replace_file(png, lambda temporary: temporary.write_bytes(bytes(svg_to_bytes(svg_string=text, zoom=2))))
    yield png


def _write_table(table: pd.DataFrame, path: Path) -> Iterator[Path]:
    text = table.astype(object).where(table.notna(), "").map(lambda cell: printable(cell) if isinstance(cell, str) else cell)
    forms = {
        "csv": csv_text(table),
        "md": markdown_table(text.astype(str)) + "\n",
        "tex": text.style.hide(axis="index").format(escape="latex").format_index(axis=1, escape="latex").to_latex(hrules=True),
    }
    for ending, content in forms.items():
        file = path.with_name(f"{path.name}.{ending}")
        replace_text(file, content)
        yield file
