"""Decision trees of scikit-learn, grown without the estimator around them: its checks take longer than a small tree."""

from typing import Any

import numpy as np

UNLIMITED = np.iinfo(np.int32).max
RANDOM = np.random.RandomState()  # seeded anew for every tree: making another takes as long as a small tree


def grow(N: np.ndarray, y: np.ndarray, max_depth: int = UNLIMITED) -> Any:
    """The `tree_` of DecisionTreeClassifier(max_depth=max_depth, random_state=0).

    N : (n, p) float32 without missing values. y : (n,) class codes 0..k-1, each there.
    """
    from sklearn.tree._criterion import Gini
    from sklearn.tree._splitter import BestSplitter
    from sklearn.tree._tree import DepthFirstTreeBuilder, Tree

    RANDOM.seed(0)
    classes = np.array([y.max() + 1], dtype=np.intp)
    splitter = BestSplitter(Gini(1, classes), N.shape[1], 1, 0.0, RANDOM, None)
    tree = Tree(N.shape[1], classes, 1)
    DepthFirstTreeBuilder(splitter, 2, 1, 0.0, max_depth, 0.0).build(tree, N, y[:, None].astype(np.float64), None, None)
    return tree


def importances(tree: Any) -> np.ndarray:
    """(p,) Gini importances of the columns, of sum 1 if there is a split."""
    return np.asarray(tree.compute_feature_importances())
