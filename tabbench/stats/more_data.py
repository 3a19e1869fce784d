"""What more rows bring: a model's score at full size from training sizes up to a quarter, told by the gains on other tables.

Curves are rows of task, model, n_train, score (greater is better, at most 1) and full (bool: on all rows). A method is judged on
tables that it has not seen; so are its intervals.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from tabbench.stats.extrapolation import extrapolate

QUARTER = 4
SHARE = 0.9  # of the tables left out that an interval is to cover
NEAR = 0.01  # what is lost by a right winner, at most
FEWEST = 3  # sizes of a power law

Method = Callable[[pd.DataFrame, pd.DataFrame], np.ndarray]


def gains(others: pd.DataFrame, own: pd.DataFrame) -> np.ndarray:
    """The gain of a doubling as a share of the last one's and a share of what is lacking to 1, as the other tables have it."""
    shares, _ = nnls(_features(others), (others["score"] - others["last"]).to_numpy())
    return np.minimum(own["last"].to_numpy() + _features(own) @ shares, 1.0)


def power_law(others: pd.DataFrame, own: pd.DataFrame) -> np.ndarray:
    """A power law through the curve itself; the last point where it has fewer than three small sizes."""
    return own["law"].to_numpy()


def last_point(others: pd.DataFrame, own: pd.DataFrame) -> np.ndarray:
    """The score at the largest of the small sizes."""
    return own["last"].to_numpy()


METHODS: dict[str, Method] = {"gains": gains, "power law": power_law, "last point": last_point}


def foretold(curves: pd.DataFrame) -> pd.DataFrame:
    """What every method says of every table, from the others and from the table's sizes up to a quarter, beside what is true.

    Columns: task, model, method, expected, low, high, score. A curve needs two sizes up to a quarter, and is left out without.
    """
    legs = _legs(curves)
    told = []
    for name, method in METHODS.items():
        for task in legs["task"].unique():
            own, others = legs[legs["task"] == task], legs[legs["task"] != task]
            errors = _errors(method, others)
            low = min(0.0, np.quantile(errors, (1 - SHARE) / 2, method="lower"))
            high = max(0.0, np.quantile(errors, (1 + SHARE) / 2, method="higher"))
            said = own[["task", "model", "score"]].assign(method=name, expected=method(others, own))
            told.append(said.assign(low=said["expected"] + low, high=said["expected"] + high))
    return pd.concat(told, ignore_index=True)


def judged(told: pd.DataFrame) -> pd.DataFrame:
    """By method: mean absolute error, share and mean width of its intervals, and the model it puts first at full size.

    winners : share of tables on which that model is the best there; right : on which it loses at most `NEAR` to the best; n.
    """
    rows = {}
    for method, said in told.groupby("method", sort=False):
        first = said.loc[said.groupby("task")["expected"].idxmax()].set_index("task")["score"]
        lost = said.groupby("task")["score"].max() - first
        rows[method] = {
            "error": (said["expected"] - said["score"]).abs().mean(),
            "covered": said["score"].between(said["low"], said["high"]).mean(),
            "width": (said["high"] - said["low"]).mean(),
            "winners": lost.le(0).mean(),
            "right": lost.le(NEAR).mean(),
            "n": len(lost),
        }
    return pd.DataFrame.from_dict(rows, orient="index").astype({"n": int})


def doubled(curves: pd.DataFrame, n_rows: int) -> pd.DataFrame:
    """What twice the rows brought about `n_rows`: by model, `gain`, `low` and `high` over tables (90%), and `n` tables.

    Of every curve, the pair of sizes counts whose middle is nearest by ratio; its gain is that of one doubling.
    """
    pairs = []
    for (_, model), curve in curves.sort_values("n_train").groupby(["task", "model"]):
        sizes, scores = np.log2(curve["n_train"].to_numpy(float)), curve["score"].to_numpy()
        nearest = int(np.abs((sizes[1:] + sizes[:-1]) / 2 - np.log2(n_rows) - 0.5).argmin())
        pairs.append((model, (scores[nearest + 1] - scores[nearest]) / (sizes[nearest + 1] - sizes[nearest])))
    found = pd.DataFrame(pairs, columns=["model", "gain"]).groupby("model")["gain"]
    ends = {"low": found.quantile((1 - SHARE) / 2), "high": found.quantile((1 + SHARE) / 2)}
    return pd.DataFrame({"gain": found.mean(), **ends, "n": found.size()})


def _features(legs: pd.DataFrame) -> np.ndarray:
    lacking = (1 - legs["last"]) * legs["doublings"]
    return np.stack([legs["slope"].clip(lower=0) * legs["doublings"], lacking], axis=1)


def _errors(method: Method, legs: pd.DataFrame) -> np.ndarray:
    """Errors of a method on each of these tables, told from the others of them."""
    of = [legs["task"] == task for task in legs["task"].unique()]
    return np.concatenate([legs.loc[own, "score"].to_numpy() - method(legs[~own], legs[own]) for own in of])


def _legs(curves: pd.DataFrame) -> pd.DataFrame:
    """A row a curve: last, its score at the largest size up to a quarter; slope, the gain a doubling before that.

    doublings : from there to full size. law : at full size by a power law through the sizes up to a quarter. score : measured.
    """
    rows = []
    for (task, model), curve in curves.sort_values("n_train").groupby(["task", "model"]):
        whole = curve[curve["full"]].iloc[-1]
        small = curve[curve["n_train"] <= whole["n_train"] / QUARTER]
        if len(small) > 1:
            sizes, scores = small["n_train"].to_numpy(float), small["score"].to_numpy()
            last, at = scores[-1], np.array([float(whole["n_train"])])
            slope = (last - scores[-2]) / np.log2(sizes[-1] / sizes[-2])
            law = extrapolate(sizes[None], scores[None], at)[0] if len(sizes) >= FEWEST else last
            rows.append((task, model, last, slope, np.log2(at[0] / sizes[-1]), law, whole["score"]))
    return pd.DataFrame(rows, columns=["task", "model", "last", "slope", "doublings", "law", "score"])
