"""The shape of an unpruned decision tree grown on the training part: pymfe's group "model-based"."""

from typing import Any

import numpy as np

from tabbench.metafeatures.registry import metafeature, shared
from tabbench.metafeatures.table import Table
from tabbench.metafeatures.tree import grow


@shared
def full_tree(table: Table) -> Any:
    """An unpruned tree of all rows."""
    return grow(table.N.astype(np.float32), table.y)


@shared
def _is_leaf(table: Table) -> np.ndarray:
    return full_tree(table).children_left < 0


@metafeature("model-based")
@shared
def tree_depth(table: Table) -> np.ndarray:
    """Depth of every node."""
    tree = full_tree(table)
    depths = np.zeros(tree.node_count, dtype=np.int64)
    for node in np.flatnonzero(~_is_leaf(table)):  # parents are numbered before their children
        depths[[tree.children_left[node], tree.children_right[node]]] = depths[node] + 1
    return depths


@metafeature("model-based")
@shared
def leaves_branch(table: Table) -> np.ndarray:
    """Depth of every leaf."""
    return tree_depth(table)[_is_leaf(table)]


@metafeature("model-based")
@shared
def leaves(table: Table) -> float:
    """Leaves."""
    return float(np.sum(_is_leaf(table)))


@metafeature("model-based")
def leaves_corrob(table: Table) -> np.ndarray:
    """Share of the rows in every leaf."""
    rows = full_tree(table).n_node_samples
    return rows[_is_leaf(table)] / rows[0]


@metafeature("model-based")
@shared
def tree_shape(table: Table) -> np.ndarray:
    """Entropy term, in bits, of reaching every leaf by coin tosses."""
    depths = leaves_branch(table)
    return depths * 2.0**-depths


@metafeature("model-based")
def leaves_homo(table: Table) -> np.ndarray:
    """Leaves over tree_shape, for every leaf."""
    return leaves(table) / tree_shape(table)


@metafeature("model-based")
def leaves_per_class(table: Table) -> np.ndarray:
    """Share of the leaves that predict each class (of those that are predicted)."""
    counts = np.bincount(full_tree(table).value[_is_leaf(table), 0].argmax(axis=1))
    return counts[counts > 0] / leaves(table)


@metafeature("model-based")
@shared
def nodes(table: Table) -> float:
    """Splits."""
    return float(np.sum(~_is_leaf(table)))


@metafeature("model-based")
def nodes_per_attr(table: Table) -> float:
    """Splits per column."""
    return nodes(table) / table.N.shape[1]


@metafeature("model-based")
def nodes_per_inst(table: Table) -> float:
    """Splits per row."""
    return nodes(table) / len(table.y)


@metafeature("model-based")
def nodes_per_level(table: Table) -> np.ndarray:
    """Splits at every depth."""
    return np.bincount(tree_depth(table)[~_is_leaf(table)])


@metafeature("model-based")
def nodes_repeated(table: Table) -> np.ndarray:
    """Splits of every column that is split."""
    counts = np.bincount(full_tree(table).feature[~_is_leaf(table)])
    return counts[counts > 0]


@metafeature("model-based")
def var_importance(table: Table) -> np.ndarray:
    """Gini importance of every column."""
    return full_tree(table).compute_feature_importances()


@metafeature("model-based")
def tree_imbalance(table: Table) -> np.ndarray:
    """Entropy term of every leaf depth: how unequal the leaves are reached (Peng et al. 2002)."""
    reached, counts = np.unique(2.0 ** -leaves_branch(table), return_counts=True)
    powers = 2.0 ** -(reached * counts)
    return -powers * np.log2(powers)
