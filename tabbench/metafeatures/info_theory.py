"""Entropies, in bits, of columns and classes: pymfe's group "info-theory".

Numeric columns are seen in bins of equal frequency (`Table.C`). Joint distributions have 1e-8 added to every cell, as in
pymfe, so that no logarithm is of zero.
"""

from itertools import combinations

import numpy as np
from scipy.special import xlogy

from tabbench.metafeatures.registry import metafeature, shared
from tabbench.metafeatures.table import Table

EPSILON = 1e-8
MAX_PAIRED = 12  # columns whose pairwise concentration is looked at; among more they are drawn


def _joint(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(levels of a, levels of b) shares of rows, plus EPSILON."""
    shape = a.max() + 1, b.max() + 1
    counts = np.bincount(a * shape[1] + b, minlength=shape[0] * shape[1])
    return counts.reshape(shape) / len(a) + EPSILON


def _concentration(joint: np.ndarray) -> float:
    """Goodman and Kruskal's (1954) τ of the rows of a joint distribution given its columns."""
    squares = np.sum(joint.sum(axis=1) ** 2)
    return float((np.sum(joint**2 / joint.sum(axis=0)) - squares) / (1 - squares))


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
    """Concentration coefficient of every ordered pair of columns (of twelve drawn ones, if there are more)."""
    columns = np.arange(table.C.shape[1])
    if len(columns) > MAX_PAIRED:
        columns = np.random.RandomState(0).choice(columns, MAX_PAIRED, replace=False)
    joints = [_joint(table.C[:, a], table.C[:, b]) for a, b in combinations(columns, 2)]
    return np.array([_concentration(way) for joint in joints for way in (joint, joint.T)])


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
