import numpy as np
import pandas as pd
import pytest

from tabbench.errors import UserError
from tabbench.stats.failures import fill_baseline, fill_worst, policies, ranks_by_policy, stability

TABLE = pd.DataFrame({"a": [0.9, 0.9, np.nan, 0.8], "b": [0.8, 0.8, 0.8, 0.9], "dummy": [0.5, 0.5, 0.5, 0.5]}, list("pqrs"))


def test_the_three_policies_by_hand():
    ranks = ranks_by_policy(policies(TABLE, True, "dummy"), True)
    assert ranks.loc["a", ["complete_case", "worst_rank", "baseline"]].tolist() == [4 / 3, 7 / 4, 6.5 / 4]
    assert ranks.loc["b", ["complete_case", "worst_rank", "baseline"]].tolist() == [5 / 3, 6 / 4, 6 / 4]
    assert ranks.index.tolist() == ["b", "a", "dummy"]
    assert ranks["shift"].tolist() == [1, 1, 0]
    tau = stability(ranks).set_index(["policy_a", "policy_b"])["tau"]
    assert tau["worst_rank", "baseline"] == 1
    assert tau["complete_case", "worst_rank"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("better", [True, False])
def test_a_failure_is_worse_than_all_and_the_baseline_may_fail_too(better):
    table = (TABLE if better else -TABLE).assign(dummy=[0.5, 0.5, np.nan, 0.5])
    filled = fill_baseline(table, better, "dummy")
    assert filled.loc["r", "a"] == filled.loc["r", "dummy"]
    assert (filled.loc["r", "a"] < filled.loc["r", "b"]) == better
    assert fill_worst(table * 1e12, better).loc["r", "a"] != fill_worst(table * 1e12, better).loc["r", "b"]


def test_without_failures_all_agree():
    ranks = ranks_by_policy(policies(TABLE.drop("r"), True, "b"), True)
    assert (ranks["shift"] == 0).all()
    assert (stability(ranks)["tau"] == 1).all()


def test_no_dataset_is_complete():
    table = TABLE.assign(c=np.nan)
    ranks = ranks_by_policy(policies(table, True), True)
    assert ranks["complete_case"].isna().all()
    assert ranks["worst_rank"].notna().all()
    assert (ranks["shift"] == 0).all()
    assert stability(ranks)["tau"].isna().all()


def test_datasets_without_any_score_are_left_out():
    table = TABLE.copy()
    table.loc["none"] = np.nan
    assert all("none" not in filled.index for filled in policies(table, True, "dummy").values())


def test_an_unknown_baseline():
    with pytest.raises(UserError, match="no model 'x' to impute with: known: a, b, dummy"):
        fill_baseline(TABLE, True, "x")
