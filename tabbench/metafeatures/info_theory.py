"""Entropies, in bits, of columns and classes: pymfe's group "info-theory".

Numeric columns are seen in bins of equal frequency (`Table.C`). Joint distributions have 1e-8 added to every cell, as in
pymfe, so that no logarithm is of zero.
"""

import numpy as np
from scipy.special import xlogy

from tabbench.metafeatures.registry import metafeature, shared
from tabbench.metafeatures.table import Table

EPSILON = 1e-8
MAX_PAIRED = 12  # columns whose pairwise concentration is looked at; among more they are drawn


@shared
def _counts(table: Table) -> np.ndarray:
    """(c, levels, k) rows by column, level and class; 0 at levels that a column does not have."""
    levels, k = int(table.C.max()) + 1, len(table.class_counts)
    c = table.C.shape[1]
    cells = (np.arange(c) * levels + table.C) * k + table.y[:, None]
    return np.bincount(cells.ravel(), minlength=c * levels * k).reshape(c, levels, k)


@shared
def _with_class(table: Table) -> np.ndarray:
    """(c, levels, k) shares of rows, plus EPSILON at the levels that a column has."""
    counts = _counts(table)
    return counts / len(table.y) + EPSILON * counts.any(axis=2, keepdims=True)


@metafeature("info-theory")
def attr_conc(table: Table) -> np.ndarray:
    """Concentration (Goodman and Kruskal's (1954) τ) of every ordered pair of columns (twelve drawn ones, if there are more)."""
    columns = np.arange(table.C.shape[1])
    if len(columns) > MAX_PAIRED:
        columns = np.random.RandomState(0).choice(columns, MAX_PAIRED, replace=False)
    codes = table.C[:, columns]
    sizes = codes.max(axis=0) + 1
    starts, levels = np.cumsum(sizes) - sizes, int(sizes.sum())
    found = []
    for i, size in enumerate(sizes):
        cells = codes[:, i : i + 1] * levels + starts + codes
        joint = np.bincount(cells.ravel(), minlength=size * levels).reshape(size, levels) / len(codes) + EPSILON
        squares = np.sum(np.add.reduceat(joint, starts, axis=1) ** 2, axis=0)
        given = np.add.reduceat(np.sum(joint**2 / joint.sum(axis=0), axis=0), starts)
        found.append(np.delete((given - squares) / (1 - squares), i))
    return np.concatenate(found)


@metafeature("info-theory")
@shared
def attr_ent(table: Table) -> np.ndarray:
    """Entropy of every column."""
    shares = _counts(table).sum(axis=2) / len(table.y)
    return -xlogy(shares, shares).sum(axis=1) / np.log(2)


@metafeature("info-theory")
def class_conc(table: Table) -> np.ndarray:
    """Concentration coefficient of every column with the class."""
    joint = _with_class(table)
    squares = np.sum(joint.sum(axis=2) ** 2, axis=1)
    return (np.sum(joint**2 / joint.sum(axis=1, keepdims=True), axis=(1, 2)) - squares) / (1 - squares)


@metafeature("info-theory")
def class_ent(table: Table) -> float:
    """Entropy of the class."""
    shares = table.class_counts / len(table.y)
    return float(-np.sum(shares * np.log2(shares)))


@metafeature("info-theory")
@shared
def joint_ent(table: Table) -> np.ndarray:
    """Joint entropy of every column with the class."""
    joint = _with_class(table)
    return -xlogy(joint, joint).sum(axis=(1, 2)) / np.log(2)


@metafeature("info-theory")
@shared
def mut_inf(table: Table) -> np.ndarray:
    """Mutual information of every column with the class."""
    return attr_ent(table) + class_ent(table) - joint_ent(table)


@metafeature("info-theory")
def eq_num_attr(table: Table) -> float:
    """Columns of average information that the class would need (Michie et al. 1994)."""
    return float(table.C.shape[1] * class_ent(table) / np.sum(mut_inf(table)))


@metafeature("info-theory")
def ns_ratio(table: Table) -> float:
    """Noise to signal: entropy of the columns that tells nothing of the class, over the one that does."""
    return float((np.sum(attr_ent(table)) - np.sum(mut_inf(table))) / np.sum(mut_inf(table)))
