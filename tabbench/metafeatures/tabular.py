"""What pymfe does not say of a table: missing cells, cardinality, imbalance, and its size against the limits of PFNs."""

import numpy as np
import pandas as pd

from tabbench.metafeatures.registry import metafeature
from tabbench.metafeatures.table import Table

TABPFN_1 = (1000, 100, 10)  # rows, columns, classes that TabPFN was made for (Hollmann et al. 2023)
TABPFN_2 = (10_000, 500, 10)  # and its second version (Hollmann et al. 2025)


def _missing(table: Table) -> np.ndarray:
    return table.raw.isna().to_numpy()


@metafeature("tabular")
def share_missing(table: Table) -> float:
    """Share of the cells that are missing."""
    return float(_missing(table).mean())


@metafeature("tabular")
def share_missing_rows(table: Table) -> float:
    """Share of the rows with a missing cell."""
    return float(_missing(table).any(axis=1).mean())


@metafeature("tabular")
def missing(table: Table) -> np.ndarray:
    """Share of missing cells of every column."""
    return _missing(table).mean(axis=0)


@metafeature("tabular")
def nr_constant(table: Table) -> float:
    """Columns that do not vary, once missing cells are filled: no other metafeature sees them."""
    return table.raw.shape[1] - table.n_columns


@metafeature("tabular")
def share_categorical(table: Table) -> float:
    """Share of the columns that are categorical."""
    return table.categorical.shape[1] / table.n_columns


@metafeature("tabular")
def cardinality(table: Table) -> np.ndarray:
    """Levels of every categorical column (missing counts as one)."""
    return table.n_distinct[table.numeric.shape[1] :]


@metafeature("tabular")
def distinct(table: Table) -> np.ndarray:
    """Distinct values of every numeric column, over the rows."""
    return table.n_distinct[: table.numeric.shape[1]] / len(table.y)


@metafeature("tabular")
def share_repeated_rows(table: Table) -> float:
    """Share of the rows that repeat an earlier one, the class aside."""
    return float(pd.concat([table.numeric, table.categorical], axis=1).duplicated().mean())


@metafeature("tabular")
def imbalance_ratio(table: Table) -> float:
    """Rows of the largest class over those of the smallest."""
    return table.class_counts.max() / table.class_counts.min()


@metafeature("tabular")
def minority_share(table: Table) -> float:
    """Share of the smallest class."""
    return table.class_counts.min() / len(table.y)


@metafeature("tabular")
def balance(table: Table) -> float:
    """Entropy of the classes over its maximum: 1 if all are equally large."""
    shares = table.class_counts / len(table.y)
    return float(-np.sum(shares * np.log(shares)) / np.log(len(shares)))


@metafeature("tabular")
def rows_per_class(table: Table) -> float:
    """Rows of an average class."""
    return len(table.y) / len(table.class_counts)


@metafeature("tabular")
def rows_per_dimension(table: Table) -> float:
    """Rows per column of the numeric form, in which every level has its own: n/p."""
    return table.N.shape[0] / table.N.shape[1]


@metafeature("tabular")
def tabpfn_1_load(table: Table) -> float:
    """Rows, columns or classes over TabPFN's limits, whichever is closest: above 1 it has to subsample or give up."""
    return _load(table, TABPFN_1)


@metafeature("tabular")
def tabpfn_2_load(table: Table) -> float:
    """Rows, columns or classes over the limits of TabPFN's second version, whichever is closest."""
    return _load(table, TABPFN_2)


def _load(table: Table, limits: tuple[int, int, int]) -> float:
    sizes = (len(table.y), table.n_columns, len(table.class_counts))
    return max(size / limit for size, limit in zip(sizes, limits, strict=True))
