"""A picture of what the prior makes: small two-column tables of every family, and what tables are like on the whole."""

from pathlib import Path
from typing import Any

import numpy as np

from tabbench.errors import UserError
from tabbench.files import replace_file
from tabbench.pfn.prior import FAMILIES, MAX_CLASSES, Batch, sample_batch, sample_table

N_PER_FAMILY = 4
N_POINTS = 400
N_COUNTED, COUNTED_SHAPE = 500, (256, 128, 10)  # tables, and their rows, context rows and columns, for the histograms


def draw_samples(path: Path, seed: int) -> None:
    """Draw four tables of each family with two columns, and histograms over 500 tables of 256 rows and 10 columns.

    Raises UserError if `path` does not end in .png or cannot be written, if `seed` is negative or if matplotlib is missing.
    """
    if path.suffix.lower() != ".png":
        raise UserError(f"{path}: the picture is a PNG file, its name must end in .png")
    if seed < 0:
        raise UserError(f"--seed {seed}: must be 0 or more")
    try:
        import matplotlib
    except ImportError:
        raise UserError("a picture needs matplotlib: install the extra 'plots'") from None
    with matplotlib.rc_context({"font.size": 8, "axes.titlesize": 8}):
        figure = _figure(seed)
    replace_file(path, lambda temporary: figure.savefig(temporary, format="png"))


def _figure(seed: int) -> Any:
    """One column of scatter panels a family, and a row of histograms below."""
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(21, 12), dpi=100, layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=(N_PER_FAMILY, 1.2))
    panels = upper.subplots(N_PER_FAMILY, len(FAMILIES))
    for j, family in enumerate(FAMILIES):
        for i in range(N_PER_FAMILY):
            _scatter(panels[i, j], family, np.random.default_rng([seed, i, j]))
    upper.suptitle("Two columns of a table, by family, with the shares of its classes in percent")
    _histograms(lower, sample_batch(seed, 0, N_COUNTED, *COUNTED_SHAPE))
    return figure


def _scatter(panel: Any, family: str, rng: np.random.Generator) -> None:
    """Rows of one table by class; category codes are spread a little, rows with a missing cell left out."""
    x, y, categorical = sample_table(rng, N_POINTS, N_POINTS // 2, 2, family)
    x = x + categorical * rng.uniform(-0.3, 0.3, x.shape)
    panel.scatter(x[:, 0], x[:, 1], c=y, s=4, cmap="tab10", vmin=0, vmax=MAX_CLASSES - 1, linewidths=0)
    shares = -np.sort(-np.bincount(y)) / len(y)
    panel.set_title(f"{family}\n{' '.join(f'{100 * share:.0f}' for share in shares)}")
    panel.set(xticks=[], yticks=[])


def _histograms(figure: Any, batch: Batch) -> None:
    """Four panels: classes, categorical columns, missing cells and share of the largest class, a table each."""
    majority = np.array([np.bincount(y).max() / len(y) for y in batch.y])
    parts = {
        "number of classes": (batch.n_classes, np.arange(1.5, MAX_CLASSES + 1)),
        "share of categorical columns": (batch.categorical.mean(axis=1), np.linspace(0, 1, 21)),
        "share of missing cells": (np.isnan(batch.x).mean(axis=(1, 2)), np.linspace(0, 1, 21)),
        "share of the largest class": (majority, np.linspace(0, 1, 21)),
    }
    for panel, (name, (values, bins)) in zip(figure.subplots(1, len(parts)), parts.items(), strict=True):
        panel.hist(values, bins=bins, color="0.45", edgecolor="white")
        panel.set(xlabel=name, ylabel="tables")
        panel.spines[["top", "right"]].set_visible(False)
    n_rows, _, n_columns = COUNTED_SHAPE
    figure.suptitle(f"{N_COUNTED} tables of {n_rows} rows and {n_columns} columns from the whole mixture")
