"""Which datasets of a result folder are hard, by the rule that chose TabZilla's hard suite (McElfresh et al. 2023, §4).

Scores are normalised on each dataset, 0 = best, 1 = worst of all models. A dataset is hard if no simple model comes within 0.20
of the best, if three models or fewer come within 0.07 of it, or if no boosted trees come within 0.10.
"""

from collections.abc import Mapping

import pandas as pd

from tabbench.errors import UserError

BASELINE_GAP, FOURTH_GAP, GBDT_GAP = 0.20, 0.07, 0.10


def hardest(table: pd.DataFrame, greater_is_better: bool, families: Mapping[str, str]) -> pd.DataFrame:
    """The hard datasets, hardest for simple models first, of scores by dataset and model (NaN: none).

    families : by model.

    Columns: baseline_gap, fourth_gap, gbdt_gap (distance of the best of them to the best model; NaN where there is none), why.
    Raises UserError without simple models, boosted trees, or a fourth model.
    """
    family = table.columns.to_series().map(families)
    simple, boosted = family == "simple", family == "boosting"
    if not simple.any() or not boosted.any() or table.shape[1] < 4:
        raise UserError(
            "the rule needs four models or more, among them a simple one (logreg, knn, …) and boosted trees (xgboost, …); "
            f"here are {', '.join(map(str, table.columns))}"
        )
    loss = -table if greater_is_better else table
    best, worst = loss.min(axis=1), loss.max(axis=1)
    gap = loss.sub(best, axis=0).div((worst - best).where(worst > best, 1.0), axis=0)
    found = pd.DataFrame(
        {
            "baseline_gap": gap.loc[:, simple.to_numpy()].min(axis=1),
            "fourth_gap": gap.apply(lambda row: row.nsmallest(4).iloc[-1] if row.count() >= 4 else float("nan"), axis=1),
            "gbdt_gap": gap.loc[:, boosted.to_numpy()].min(axis=1),
        }
    )
    reasons = {
        "no simple model is near": found["baseline_gap"] >= BASELINE_GAP,
        "three models or fewer are near": found["fourth_gap"] >= FOURTH_GAP,
        "no boosted trees are near": found["gbdt_gap"] >= GBDT_GAP,
    }
    why = [", ".join(text for text, holds in reasons.items() if holds[name]) for name in found.index]
    found = found.assign(why=why)
    return found[found["why"] != ""].sort_values("baseline_gap", ascending=False, kind="stable")
