"""How the time of each part of the way grows with rows, columns, classes, models and datasets.

    python -m benchmarks.growth [--part audit,report] [--repeats 3]

Every part runs at 1×, 2×, 4× and 8× of one size, the others held, with one thread. Printed are seconds of the CPU (the least of
the repeats) and the exponent, the slope of log seconds over log size from 2× to 8×, where the floor tells less; n log n is an
exponent of at most 1.2 at these sizes; what lies above has its reason in REASONS. Synthetic tables: half of the columns numbers,
a tenth of the cells missing.
With the defaults it takes ten minutes.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.support.synthetic_results import make_manifest, make_results
from tabbench.data.audit import audit
from tabbench.data.split import make_splits
from tabbench.data.task import Task, make_task
from tabbench.engine.sandbox import limit_threads
from tabbench.metafeatures.groups import GROUPS
from tabbench.metafeatures.registry import compute_group
from tabbench.metafeatures.table import Table
from tabbench.prepare.needs import Needs
from tabbench.prepare.preprocess import Preprocessor
from tabbench.report.page import render
from tabbench.report.summary_text import format_summary
from tabbench.stats.summary import Settings, summarize

FACTORS = (1, 2, 4, 8)
LIMIT = 1.2  # exponent that n log n has at such sizes, with some noise
REASONS = {  # what grows faster, and why
    "metafeatures: clustering, rows": "silhouettes and Dunn's index are of all pairs of rows",
    "metafeatures: complexity, rows": "distances of all pairs of rows",
    "metafeatures: complexity, classes": "pairs of classes, each with a classifier",
    "metafeatures: statistical, columns": "correlations of all pairs of columns",
    "metafeatures: landmarking, columns": "discriminants invert a matrix of columns",
    "metafeatures: info-theory, columns": "mutual information of all pairs of columns",
    "metafeatures: neighbourhood, rows": "distances of all pairs of rows, and their network",
    "statistics, models": "every pair of models is tested, Bradley-Terry strengths solve a system of models",
    "report, models": "every pair of models is tested and shown",
}


def table(rows: int, columns: int, classes: int) -> pd.DataFrame:
    """A frame with a target y that depends on its first column."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(rows, columns))
    y = np.argsort(np.argsort(numbers[:, 0] + 0.3 * rng.normal(size=rows))) * classes // rows
    numbers[rng.random(numbers.shape) < 0.1] = np.nan
    levels = [pd.Categorical.from_codes(rng.integers(0, 6, rows), list("abcdef")) for _ in range(columns // 2)]
    cells = {f"x{i}": levels[i // 2] if i % 2 else numbers[:, i] for i in range(columns)}
    return pd.DataFrame({**cells, "y": [f"c{code}" for code in y]})


def task(rows: int = 1000, columns: int = 20, classes: int = 2) -> Task:
    """The task of such a frame."""
    return make_task(table(rows, columns, classes), "y", name="t")


def whole_audit(**size: int) -> Callable[[], object]:
    """The audit of a table and three folds; nothing kept."""
    one = task(**size)
    splits = make_splits(one, 3, 1, 0)

    def work() -> object:
        with tempfile.TemporaryDirectory() as folder:
            return audit([(one, splits)], Path(folder))

    return work


def preparation(**size: int) -> Callable[[], object]:
    """A task of a frame: columns, labels, digest."""
    frame = table(**{"rows": 1000, "columns": 20, "classes": 2, **size})
    return lambda: make_task(frame, "y", name="t")


def splits(**size: int) -> Callable[[], object]:
    """Ten stratified folds."""
    one = task(**size)
    return lambda: make_splits(one, 10, 1, 0)


def preprocessing(**size: int) -> Callable[[], object]:
    """One-hot and native, fitted and applied."""
    one = task(**size)
    return lambda: [Preprocessor(Needs(categories=form)).fit_transform(one.X) for form in ("onehot", "native", "ordinal")]


def metafeatures(group: str) -> Callable[..., Callable[[], object]]:
    """One group of metafeatures."""

    def part(**size: int) -> Callable[[], object]:
        one = task(**{"rows": 250, "columns": 10, **size})
        return lambda: compute_group(Table(one.X, one.y), group)

    return part


def statistics(models: int = 8, datasets: int = 50) -> Callable[[], object]:
    """All statistics of a table of scores."""
    scores = pd.DataFrame(np.random.default_rng(0).random((datasets, models)))
    settings = Settings(n_draws=200)
    return lambda: format_summary(summarize(scores.rename(columns=str), settings), settings, "json")


def report(models: int = 5, datasets: int = 10) -> Callable[[], object]:
    """The page of results of three folds."""
    names = [f"m{i:02}" for i in range(models)]
    first = make_results(datasets, models=["tree"])
    rng = np.random.default_rng(0)
    results = pd.concat([first.assign(model=name, key=first["key"] + name) for name in names], ignore_index=True)
    results["roc_auc_ovo"] = rng.random(len(results))
    manifest = make_manifest(results)
    return lambda: render(results, manifest)


Part = Callable[..., Callable[[], object]]


def parts() -> Iterator[tuple[str, Part, str, int]]:
    """Name, part, what grows, and its size at 1×."""
    yield "audit, 60 rows", lambda **size: whole_audit(rows=60, **size), "columns", 625
    of_tasks: dict[str, Part] = {"audit": whole_audit, "task": preparation, "splits": splits, "preprocessing": preprocessing}
    for name, part in of_tasks.items():
        yield from ((name, part, what, base) for what, base in (("rows", 4000), ("columns", 100), ("classes", 10)))
    for group in GROUPS:
        name, part = f"metafeatures: {group}", metafeatures(group)
        yield from ((name, part, what, base) for what, base in (("rows", 300), ("columns", 8), ("classes", 3)))
    of_results: dict[str, Part] = {"statistics": statistics, "report": report}
    for name, part in of_results.items():
        yield from ((name, part, what, base) for what, base in (("models", 5), ("datasets", 20)))


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The least CPU seconds of some calls."""
    found = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def main() -> None:
    """Print a row a part and size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", help="beginnings of parts, with commas between them")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    limit_threads(1)
    only = tuple(args.part.split(",")) if args.part else ("",)
    print("| part | grows | 1× is | " + " | ".join(f"{factor}×, s" for factor in FACTORS) + " | exponent | |")
    print("|---|---|--:|" + "--:|" * (len(FACTORS) + 1) + "---|")
    beyond = 0
    for name, part, what, base in parts():
        if not name.startswith(only):
            continue
        taken = [seconds(part(**{what: base * factor}), args.repeats) for factor in FACTORS]
        slope = float(np.polyfit(np.log(FACTORS[1:]), np.log(np.maximum(taken[1:], 1e-6)), 1)[0])
        reason = "" if slope <= LIMIT else REASONS.get(f"{name}, {what}", "NO REASON KNOWN")
        beyond += reason == "NO REASON KNOWN"
        cells = " | ".join(f"{value:.3f}" for value in taken)
        print(f"| {name} | {what} | {base:,} | {cells} | {slope:.2f} | {reason} |", flush=True)
    print(f"\nbeyond n log n without a reason: {beyond} (goal 0)")


if __name__ == "__main__":
    main()
