"""Imported by the fork server for jobs of the network: weights and modules that every one of them needs are read once, here."""

from contextlib import suppress

import pandas as pd
from sklearn.preprocessing import StandardScaler

from tabbench.errors import UserError
from tabbench.pfn import ensemble  # noqa: F401 - what a fit imports
from tabbench.pfn.packaged import find_weights

StandardScaler().fit(pd.DataFrame({"x": [0.0, 1.0]}))  # scikit-learn imports what it reads the names of columns with
with suppress(UserError):  # the job says what is wrong with them
    find_weights(None)
