import numpy as np
import pandas as pd
import pytest

from tabbench.errors import UserError
from tabbench.report.leaderboard import format_leaderboard, leaderboard, rounded, score_table, write_leaderboard
from tests.synthetic_results import MODELS, make_results, spoil


def tiny(**scores):
    """Rows of two tasks with one fold each; scores: model → (score on p, score on q), None for a failure."""
    rows = [
        {
            "task": task,
            "repeat": 0,
            "fold": 0,
            "model": model,
            "status": "failed" if value is None else "ok",
            "roc_auc_ovo": np.nan if value is None else value,
            "log_loss": np.nan if value is None else 1 - value,
            "fit_seconds": np.nan if value is None else 1.0,
            "predict_seconds": np.nan if value is None else 2.0,
            "n_train": 500,
            "n_test": 250,
        }
        for model, values in scores.items()
        for task, value in zip("pq", values, strict=True)
    ]
    return pd.DataFrame(rows)


def test_by_hand():
    board = leaderboard(tiny(a=(0.9, 0.8), b=(0.7, 0.8), c=(0.8, None))).set_index("model")
    assert list(board.index) == ["a", "b", "c"]
    assert board["mean_rank"].tolist() == [(1 + 1.5) / 2, (3 + 1.5) / 2, (2 + 3) / 2]
    assert board["mean_normalized_score"].tolist() == pytest.approx([1.0, 0.5, 0.25])
    assert board["mean_score"].tolist() == pytest.approx([0.85, 0.75, 0.8])
    assert board[["wins", "ties", "losses"]].to_numpy().tolist() == [[3, 1, 0], [1, 1, 2], [1, 0, 3]]
    assert board["n_tasks"].tolist() == [2, 2, 1]
    assert board["n_failed"].tolist() == [0, 0, 1]
    assert board["fit_seconds_per_1000_rows"].tolist() == [2.0, 2.0, 2.0]
    assert board["predict_seconds_per_1000_rows"].tolist() == [8.0, 8.0, 8.0]


def test_direction_of_the_metric():
    rows = tiny(a=(0.9, 0.8), b=(0.7, 0.7), c=(0.8, None))
    assert leaderboard(rows, "log_loss")["model"].tolist() == leaderboard(rows)["model"].tolist()
    with pytest.raises(UserError, match="did you mean 'log_loss'"):
        leaderboard(rows, "logloss")


def test_one_failed_fold_costs_the_dataset():
    results = make_results()
    fold = (results["model"] == "catboost") & (results["task"] == "task05") & (results["fold"] == 1)
    results.loc[fold, "status"] = "failed"
    results.loc[fold, "roc_auc_ovo"] = np.nan
    scores = score_table(results)
    assert np.isnan(scores.table.loc["task05", "catboost"])
    assert scores.filled.loc["task05"].idxmin() == "catboost"


def test_folds_without_the_metric_for_anyone_are_left_out():
    results = make_results()
    results.loc[(results["task"] == "task06") & (results["fold"] == 0), "roc_auc_ovo"] = np.nan
    results.loc[results["task"] == "task07", "roc_auc_ovo"] = np.nan
    scores = score_table(results)
    assert scores.undefined == ["task07"]
    assert scores.table.loc["task06"].notna().all()


def test_order_of_rows_does_not_matter():
    results = make_results()
    pd.testing.assert_frame_equal(leaderboard(results), leaderboard(results.sample(frac=1, random_state=1)))


def test_everything_failed_and_a_single_model():
    results = make_results(3)
    for model in MODELS:
        for task in results["task"].unique():
            spoil(results, model, task, "failed", "no")
    board = leaderboard(results)
    assert board["mean_rank"].isna().all()
    assert board["n_failed"].sum() == 3 * 3 * len(MODELS)
    assert "dummy" in format_leaderboard(board)
    one = leaderboard(make_results(3).query("model == 'tree'"))
    assert one["mean_rank"].tolist() == [1.0]


def test_files(tmp_path):
    board = leaderboard(make_results())
    write_leaderboard(tmp_path, board)
    assert pd.read_csv(tmp_path / "leaderboard.csv")["model"].tolist() == board["model"].tolist()
    text = (tmp_path / "leaderboard.md").read_text()
    assert "takes the worst rank" in text
    assert text.count("\n| ") == len(board)
    assert rounded(board).loc[0, "mean_rank"].count(".") == 1
    assert max(map(len, format_leaderboard(board).splitlines())) <= 100
