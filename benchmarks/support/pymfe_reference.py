"""pymfe's values of a Table, and where ours differ; for the tests and the benchmark."""

import warnings
from collections.abc import Sequence

import numpy as np

from tabbench.data.spec import TaskSpec
from tabbench.data.split import make_splits
from tabbench.data.suite import load_spec
from tabbench.metafeatures.groups import GROUPS, complete, compute_group
from tabbench.metafeatures.summaries import QUARTILES
from tabbench.metafeatures.table import MISSING, Table

SUMMARY = ("mean", "sd", "count", "histogram", "iq_range", "kurtosis", "max", "median", "min", "quantiles", "range", "skewness")

SHARED = [group for group in GROUPS if group != "tabular"]


def training_part(spec: TaskSpec, rows: int) -> Table:
    """Training part of the first of three folds, cut to `rows` drawn ones."""
    task = load_spec(spec)
    train = make_splits(task, 3, 1, 0)[0].train
    train = np.sort(np.random.default_rng(0).permutation(train)[:rows])
    return Table(task.X.iloc[train].reset_index(drop=True), task.y[train])


def our_values(table: Table) -> dict[str, float]:
    """All values of the groups that pymfe has, too."""
    return {name: value for group in SHARED for name, value in complete(group, *compute_group(table, group))[0].items()}


def pymfe_input(table: Table) -> tuple[np.ndarray, list[int]]:
    """What pymfe is given: the complete columns as objects, and the positions of the categorical ones."""
    names = [name for name in table.raw if name in table.numeric or name in table.categorical]
    cells = np.empty((len(table.raw), len(names)), dtype=object)
    for i, name in enumerate(names):
        column = table.raw[name]
        is_text = name in table.categorical
        cells[:, i] = (
            column.astype(object).where(column.notna(), MISSING).astype(str) if is_text else column.fillna(column.median())
        )
    return cells, [i for i, name in enumerate(names) if name in table.categorical]


def pymfe_values(table: Table, groups: Sequence[str] = (*SHARED, "relative")) -> dict[str, float]:
    """All values of the groups by name, by default of all that both have."""
    from pymfe import _summary
    from pymfe.mfe import MFE

    # pymfe 0.4.4 calls np.quantile with an argument that numpy 2.4 no longer knows, and gives NaN
    _summary.SUMMARY_METHODS["quantiles"] = lambda values: np.quantile(values if len(values) else [np.nan], QUARTILES)

    cells, categorical = pymfe_input(table)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        extractor = MFE(groups=list(groups), summary=SUMMARY, random_state=0)
        extractor.fit(cells, table.y.copy(), cat_cols=categorical, suppress_warnings=True)
        names, values = extractor.extract(suppress_warnings=True)
    return {name: float(value) for name, value in zip(names, values, strict=True)}


def differences(ours: dict[str, float], theirs: dict[str, float], rtol: float = 1e-6) -> list[str]:
    """Names whose values differ, missing ones included, by more than rounding of the largest value of their sample.

    A sample that failed in pymfe has count 0 and NaN; here it may have values, and the count is NaN if it failed.
    """
    differing = []
    for name, value in theirs.items():
        sample = name.split(".")[0]
        if theirs.get(f"{sample}.count") == 0:
            continue
        largest = max(abs(theirs.get(f"{sample}.{end}", 0)) for end in ("min", "max"))
        noise = 1e-9 + 1e-12 * (largest if np.isfinite(largest) else 0)
        if not np.isclose(ours.get(name, np.inf), value, rtol=rtol, atol=noise, equal_nan=True):
            differing.append(name)
    return differing
