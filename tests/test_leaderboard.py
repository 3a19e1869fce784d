import re

import numpy as np
import pandas as pd
import pytest

from benchmarks.support.synthetic_results import MODELS, make_results, spoil
from tabbench.errors import UserError
from tabbench.report.leaderboard import format_leaderboard, leaderboard, rounded, scores_of, write_leaderboard
from tabbench.report.summary_text import format_summary


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


@pytest.mark.parametrize("how", ["agree", "tie", "half tie"])
@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("n", range(1, 8))
def test_no_interval_says_more_than_so_many_datasets_can(n, k, how):
    """Wherever one is shown: the board and the summary, for a terminal and as Markdown."""
    one = tiny(**{f"m{i}": (0.9 - 0.1 * i if how == "agree" or (how == "half tie" and i) else 0.7,) * 2 for i in range(k)})
    rows = pd.concat([one[one["task"] == "p"].assign(task=f"d{i}") for i in range(n)], ignore_index=True)
    board, summary = leaderboard(rows), scores_of(rows)
    for table in (board, summary.models):
        for low, estimate, high in (("rank_low", "mean_rank", "rank_high"), ("rating_low", "rating", "rating_high")):
            if n == 1:
                assert table[[low, high]].isna().all(axis=None)
                continue
            assert ((table[low] <= table[estimate]) & (table[estimate] <= table[high])).all()
            least = 0.4 * (k - 1) / (n + 1) if low == "rank_low" else 50  # Jeffreys for n of n: Beta(n + 1/2, 1/2)
            assert (table[high] - table[low] > least).all()
    texts = [format_leaderboard(board), format_leaderboard(board, "md")]
    texts += [format_summary(summary, summary.settings, form) for form in ("text", "md")]
    for text in texts:
        ends = re.findall(r"(-?\d+\.?\d*)(?:–|\.\.| … )(-?\d+\.?\d*)", text)
        assert not [pair for pair in ends if pair[0] == pair[1]]
    assert all(("datasets are few" in text) == (2 <= n <= 5) for text in texts[2:])


def test_one_model_alone_has_no_interval():
    board = leaderboard(tiny(a=(0.9, 0.8)))
    assert board[["rank_low", "rank_high", "rating_low", "rating_high"]].isna().all(axis=None)
    assert "1.00    –  1000" in format_leaderboard(board)


def test_an_interval_is_shown_with_so_many_places_as_tell_its_ends_apart():
    rows = pd.concat([tiny(a=(0.9, 0.9), b=(0.8, 0.8)).assign(task=lambda t, i=i: t["task"] + str(i)) for i in range(60)])
    assert re.search(r"\n *a +1\.00  1\.00–1\.0[1-9] ", "\n" + format_leaderboard(leaderboard(rows)))


def test_failures_share_the_worst_rank():
    board = leaderboard(tiny(a=(0.9, 0.9), b=(0.5, None), c=(0.6, None), d=(0.7, 0.1))).set_index("model")
    assert board.loc["b", "mean_rank"] == (4 + 3.5) / 2
    assert board.loc["c", "mean_rank"] == (3 + 3.5) / 2
    assert board.loc["d", "mean_rank"] == 2
    assert board.loc["b", "mean_normalized_score"] == 0


def test_a_failure_is_worse_than_equal_scores():
    board = leaderboard(tiny(a=(0.9, 1.0), b=(0.8, 1.0), c=(0.7, None))).set_index("model")
    assert board["mean_rank"].tolist() == [1.25, 1.75, 3.0]
    assert board["mean_normalized_score"].tolist() == pytest.approx([1.0, 0.75, 0.0])


def test_ties_by_the_rule_asked_for():
    assert leaderboard(tiny(a=(0.9, 0.8), b=(0.7, 0.8)), ties="min")["mean_rank"].tolist() == [1.0, 1.5]


def test_direction_of_the_metric():
    rows = tiny(a=(0.9, 0.8), b=(0.7, 0.7), c=(0.8, None))
    assert leaderboard(rows, "log_loss")["model"].tolist() == leaderboard(rows)["model"].tolist()
    with pytest.raises(UserError, match="did you mean 'log_loss'"):
        leaderboard(rows, "logloss")


def test_one_failed_fold_costs_the_dataset():
    results = make_results()
    spoil(results, "catboost", "task05", "failed", "no", folds=(1,))
    scores = scores_of(results)
    assert np.isnan(scores.table.loc["task05", "catboost"])
    assert scores.filled.loc["task05"].idxmin() == "catboost"


def test_a_failed_fold_of_a_model_that_ran_alone_is_not_hidden():
    results = make_results(4, models=["catboost"])
    spoil(results, "catboost", "task03", "timeout", "no", folds=(2,))
    board = leaderboard(results)
    assert board.loc[0, ["n_tasks", "n_timeout"]].tolist() == [3, 1]
    assert scores_of(results).unscored == ["task03"]


def test_a_failure_on_a_fold_without_the_metric_still_costs():
    results = make_results()
    results.loc[(results["task"] == "task06") & (results["fold"] == 0), "roc_auc_ovo"] = np.nan
    spoil(results, "catboost", "task06", "failed", "no", folds=(0,))
    table = scores_of(results).table
    assert table.loc["task06"].isna().to_dict() == {model: model == "catboost" for model in MODELS}


def test_models_are_compared_on_the_folds_that_all_of_them_ran():
    results = make_results()
    lacking = results.drop(results.index[(results["task"] == "task06") & (results["model"] == "knn")][0])
    fold = results[(results["task"] == "task06") & (results["fold"] > 0)]
    table = scores_of(lacking).table
    assert table.loc["task06"].to_dict() == pytest.approx(fold.groupby("model")["roc_auc_ovo"].mean().to_dict())
    board = leaderboard(lacking)
    assert board["n_not_run"].sum() == 0
    others = [name for name in table.index if name != "task06"]
    pd.testing.assert_frame_equal(table.loc[others], scores_of(results).table.loc[others])


def test_models_are_ranked_on_the_datasets_that_all_of_them_ran():
    results = make_results()
    lacking = results[(results["model"] != "knn") | results["task"].isin(["task03", "task06"])]
    board = leaderboard(lacking)
    both = leaderboard(results[results["task"].isin(["task03", "task06"])])
    assert board[["model", "mean_rank", "wins"]].to_dict() == both[["model", "mean_rank", "wins"]].to_dict()
    assert board.set_index("model")["n_not_run"].to_dict() == {name: 10 if name == "knn" else 0 for name in board["model"]}
    assert "Ranked on 2 of 12 datasets, those that all ranked models were run on; not run: knn on 10." in " ".join(
        format_leaderboard(board).split()
    )


def test_models_without_a_common_dataset_are_not_ranked_together():
    results = make_results()
    apart = results[results["task"].isin(["task03"]) == (results["model"] == "dummy")]  # as after a forced merge
    board = leaderboard(apart).set_index("model")
    assert np.isnan(board.loc["dummy", "mean_rank"])
    assert board.loc["dummy", "n_tasks"] == 1
    assert board["mean_rank"].drop("dummy").notna().all()
    assert "for want of a dataset in common with the others: dummy." in " ".join(format_leaderboard(leaderboard(apart)).split())


@pytest.mark.parametrize("form", ["text", "md", "csv", "json"])
def test_names_of_others_are_harmless_wherever_the_leaderboard_is_shown(form):
    results = make_results()
    names = [
        "\x1b[2Jclean",
        "two\nverified: all good",
        "[x](http://elsewhere)",
        "<img src=//elsewhere>",
        "=cmd|x",
        "\u202ereversed",
    ]
    parts = [results[results["model"] == "knn"].assign(model=name, key=name) for name in names]
    lacking = [part[part["task"] != "task03"] for part in parts]  # named in the remarks, too
    rows = pd.concat([results, *lacking], ignore_index=True)
    rows.loc[rows["task"] == "task07", ["roc_auc_ovo", "task"]] = [np.nan, "]:<b>\x1b[2J"]
    text = format_leaderboard(leaderboard(rows), form)
    if form == "csv":  # which quotes control characters
        assert "\n=" not in text
        return
    assert not [piece for piece in ("\x1b", "\u202e", "\nverified") if piece in text]
    if form == "md":
        assert not re.search(r"<img|<b>|(?<!\\)\]\(", text)
        assert len({line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("| ")}) == 1


def test_folds_without_the_metric_for_anyone_are_left_out():
    results = make_results()
    results.loc[(results["task"] == "task06") & (results["fold"] == 0), "roc_auc_ovo"] = np.nan
    results.loc[results["task"] == "task07", "roc_auc_ovo"] = np.nan
    scores = scores_of(results)
    assert scores.unscored == ["task07"]
    assert "Not ranked, for want of a score of any model: task07." in format_leaderboard(leaderboard(results))
    assert scores.table.loc["task06"].notna().all()


def test_a_metric_undefined_for_one_model_alone_costs_it_the_dataset():
    results = make_results()
    results.loc[(results["task"] == "task06") & (results["fold"] == 0) & (results["model"] == "knn"), "roc_auc_ovo"] = np.nan
    assert scores_of(results).table.loc["task06"].isna().sum() == 1


def test_an_infinite_score_is_none():
    results = make_results()
    results.loc[(results["task"] == "task06") & (results["model"] == "knn"), "log_loss"] = np.inf
    board = leaderboard(results, "log_loss").set_index("model")
    assert board.loc["knn", "n_tasks"] == board.loc["logreg", "n_tasks"] - 2  # and one that is unsupported
    assert np.isfinite(board["mean_score"]).all()


def test_a_failure_ranks_below_however_large_the_scores():
    results = make_results()
    results["log_loss"] *= 1e12
    assert scores_of(results, "log_loss").filled.loc["task01"].idxmax() == "mlp"


def test_order_of_rows_does_not_matter():
    results = make_results()
    board, shuffled = leaderboard(results), leaderboard(results.sample(frac=1, random_state=1))
    assert rounded(board).to_csv() == rounded(shuffled).to_csv()


def test_everything_failed_and_a_single_model():
    results = make_results(3)
    for model in MODELS:
        for task in results["task"].unique():
            spoil(results, model, task, "failed", "no")
    board = leaderboard(results)
    assert board["mean_rank"].isna().all()
    assert board["n_failed"].sum() == 3 * 3 * len(MODELS)
    assert "dummy" in format_leaderboard(board)
    one = leaderboard(make_results(3, models=["logreg"]))
    assert one["mean_rank"].tolist() == [1.0]


def test_files(tmp_path):
    board = leaderboard(make_results())
    write_leaderboard(tmp_path, board)
    assert pd.read_csv(tmp_path / "leaderboard.csv")["model"].tolist() == board["model"].tolist()
    text = (tmp_path / "leaderboard.md").read_text()
    assert "takes the worst rank" in text
    assert [line.split(" | ")[0] for line in text.splitlines()[2:-2]] == [f"| {model}" for model in board["model"]]
    assert rounded(board).loc[0, "mean_rank"].count(".") == 1


def test_terminal_table_fits():
    long = make_results(30, sizes=(1024, 2048))
    text = format_leaderboard(leaderboard(long))
    lines = text.splitlines()[: 1 + 2 * len(MODELS)]
    assert len({len(line) for line in lines}) == 1
    assert max(map(len, text.splitlines())) <= 100
    assert "takes the worst rank there" in text.replace("\n", " ")
    board = leaderboard(make_results(2)).assign(model=lambda frame: frame["model"] + 90 * "x", fit_seconds_per_1000_rows=1e7)
    assert {len(line) for line in format_leaderboard(board).splitlines()[: 1 + len(MODELS)]} == {100}
