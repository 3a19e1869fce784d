"""Imported by the fork server, after the models' packages: what every job would do first is done once, here.

What the models of scikit-learn and the metafeatures import where they use it is imported, so that a run of others needs no new
server. Entry points are scanned, and a table of three rows goes through preprocessing and metrics, so that their lazy imports and
caches are there. It starts no thread: a fork would lose it. Last, all that is there is put into large pages.
"""

from importlib import import_module

import numpy as np
import pandas as pd

from tabbench.engine.pages import into_large_pages
from tabbench.metrics import compute_metrics
from tabbench.models import Needs, load_models
from tabbench.prepare.preprocess import Preprocessor

LATER = (
    *("pyarrow.dataset", "pyarrow.pandas_compat", "pyarrow.parquet", "scipy.sparse.csgraph", "scipy.sparse.linalg"),
    *("scipy.spatial.distance", "scipy.stats", "sklearn.calibration", "sklearn.cross_decomposition", "sklearn.dummy"),
    *("sklearn.ensemble", "sklearn.linear_model", "sklearn.model_selection", "sklearn.neighbors", "sklearn.svm", "sklearn.tree"),
    *("tabbench.engine.execute", "tabbench.engine.extract", "tabbench.engine.runner"),
)

for _name in LATER:
    import_module(_name)
load_models()
_table = pd.DataFrame({"number": [0.5, np.nan, 1.5], "category": pd.Categorical(["a", "b", None])})
for _needs in (Needs(), Needs("native", scaled=False, complete=False), Needs("ordinal", scaled=False)):
    Preprocessor(_needs).fit_transform(_table)
compute_metrics(np.array([0, 1]), np.eye(2))
into_large_pages()
