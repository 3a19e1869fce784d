"""Does the prior draw tables like real ones? Where each development dataset lies among tables of the prior of its size.

    python benchmarks/pfn_prior_coverage.py --dev FOLDER [--tables 39] [--rows 300]

Every development dataset (at most 2,000 rows, 100 features, 10 classes) is cut to at most --rows random rows; the prior draws
--tables tables of the same rows and columns; metafeatures of all of them are compared. A dataset that lies below or above all
drawn tables is out of the prior's reach in that metafeature; were it drawn from the prior, that would happen with
probability 2 / (tables + 1). Prints in Markdown, for each metafeature, on how many datasets it is defined, the shares that lie
below and above all, and the median place among the drawn tables (0.5: in the middle); then the datasets most often out of reach.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from tabbench.data.task import Task
from tabbench.metafeatures.groups import compute_group
from tabbench.metafeatures.table import Table
from tabbench.pfn.evaluate import development_tasks
from tabbench.pfn.prior import sample_table

GROUPS = ("general", "statistical", "info-theory", "landmarking", "tabular")
SHOWN = {  # metafeature → what it is about
    "nr_class": "classes",
    "minority_share": "rarest class",
    "class_ent": "class entropy",
    "share_categorical": "categorical columns",
    "share_missing": "missing cells",
    "share_repeated_rows": "repeated rows",
    "distinct.mean": "distinct values a row",
    "skewness.mean": "skewness",
    "kurtosis.mean": "kurtosis",
    "cor.mean": "correlation between columns",
    "cor.max": "highest correlation",
    "mut_inf.max": "what the best column tells",
    "mut_inf.mean": "what a column tells",
    "best_node.mean": "one split",
    "linear_discr.mean": "linear discriminants",
    "naive_bayes.mean": "naive Bayes",
    "one_nn.mean": "nearest neighbour",
    "elite_nn.mean": "nearest neighbour in the best column",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dev", type=Path, required=True, help="folder of development datasets")
    parser.add_argument("--tables", type=int, default=39, help="tables of the prior for every dataset")
    parser.add_argument("--rows", type=int, default=300, help="rows of a dataset, at most")
    args = parser.parse_args()
    places = pd.DataFrame({name: place(task, args.tables, args.rows) for name, task in named(args.dev)}).T
    report(places, args.tables)


def named(dev: Path) -> list[tuple[str, Task]]:
    """Datasets under names of their own."""
    tasks = list(development_tasks(dev, 2000))
    return [(f"{task.name} ({len(task.y)} × {task.X.shape[1]})", task) for task in tasks]


def place(task: Task, n_tables: int, max_rows: int) -> pd.Series:
    """Share of the drawn tables below the dataset, by metafeature; ties count half, NaN where it is undefined on either side."""
    rng = np.random.default_rng(0)
    rows = np.sort(rng.permutation(len(task.y))[:max_rows])
    own = metafeatures(task.X.iloc[rows].reset_index(drop=True), task.y[rows])
    shape = len(rows), len(rows) // 2, task.X.shape[1]
    drawn = pd.DataFrame([metafeatures(*prior_table(i, *shape)) for i in range(n_tables)])
    defined = drawn.notna() & own.notna()
    below = ((drawn < own) + 0.5 * (drawn == own)).where(defined)
    return below.mean().where(defined.mean() > 0.5)


def prior_table(i: int, n_rows: int, n_context: int, n_features: int) -> tuple[pd.DataFrame, np.ndarray]:
    """One table of the prior in the form that metafeatures are computed on."""
    rng = np.random.Generator(np.random.SFC64([77, i, n_rows, n_features]))
    x, y, categorical = sample_table(rng, n_rows, n_context, n_features)
    frame = pd.DataFrame(x, columns=[f"x{j}" for j in range(n_features)]).astype(np.float64)
    return frame.assign(**{f"x{j}": frame[f"x{j}"].astype("category") for j in np.flatnonzero(categorical)}), y


def metafeatures(X: pd.DataFrame, y: np.ndarray) -> pd.Series:
    """The metafeatures that are shown; all NaN for a table without a varying column."""
    table = Table(X, y)
    values: dict[str, float] = {}
    for group in GROUPS:
        values |= compute_group(table, group)[0]
    return pd.Series({name: values[name] for name in SHOWN}, dtype=float)


def report(places: pd.DataFrame, n_tables: int) -> None:
    """Print both tables."""
    print(f"{len(places)} datasets, {n_tables} drawn tables for each; by chance {2 / (n_tables + 1):.0%} would be out of reach\n")
    print("| metafeature | about | datasets | below all | above all | median place |\n|---|---|--:|--:|--:|--:|")
    for name, about in SHOWN.items():
        found = places[name].dropna()
        low, high = (found == 0).mean(), (found == 1).mean()
        print(f"| {name} | {about} | {len(found)} | {low:.0%} | {high:.0%} | {found.median():.2f} |")
    outside = ((places == 0) | (places == 1)).sum(axis=1).sort_values(ascending=False, kind="stable")
    print("\n| dataset | out of reach in |\n|---|---|")
    for dataset in outside.index[:8]:
        names = [
            f"{name} ({'low' if places.loc[dataset, name] == 0 else 'high'})"
            for name in SHOWN
            if places.loc[dataset, name] in (0, 1)
        ]
        print(f"| {dataset} | {', '.join(names)} |")


if __name__ == "__main__":
    main()
