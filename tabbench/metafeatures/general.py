"""Counts and ratios that need no statistics: pymfe's group "general"."""

import numpy as np

from tabbench.metafeatures.registry import metafeature
from tabbench.metafeatures.table import Table


@metafeature("general")
def attr_to_inst(table: Table) -> float:
    """Columns per row."""
    return 1 / inst_to_attr(table)


@metafeature("general")
def inst_to_attr(table: Table) -> float:
    """Rows per column."""
    return len(table.y) / table.n_columns


@metafeature("general")
def cat_to_num(table: Table) -> float:
    """Categorical columns per numeric one; NaN without numeric ones."""
    return table.categorical.shape[1] / (table.numeric.shape[1] or np.nan)


@metafeature("general")
def num_to_cat(table: Table) -> float:
    """Numeric columns per categorical one; NaN without categorical ones."""
    return table.numeric.shape[1] / (table.categorical.shape[1] or np.nan)


@metafeature("general")
def freq_class(table: Table) -> np.ndarray:
    """Share of each class."""
    return table.class_counts / len(table.y)


@metafeature("general")
def nr_attr(table: Table) -> float:
    """Columns."""
    return table.n_columns


@metafeature("general")
def nr_bin(table: Table) -> float:
    """Columns of two values."""
    return float(np.sum(table.n_distinct == 2))


@metafeature("general")
def nr_cat(table: Table) -> float:
    """Categorical columns."""
    return table.categorical.shape[1]


@metafeature("general")
def nr_num(table: Table) -> float:
    """Numeric columns."""
    return table.numeric.shape[1]


@metafeature("general")
def nr_class(table: Table) -> float:
    """Classes."""
    return len(table.class_counts)


@metafeature("general")
def nr_inst(table: Table) -> float:
    """Rows."""
    return len(table.y)
