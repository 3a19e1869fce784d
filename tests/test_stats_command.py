"""`tabbench stats` and `tabbench suites hardest`: plain tables in, numbers out, and every bad table refused in one line."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, studentized_range

from tabbench.api import open_results
from tabbench.cli import main
from tabbench.errors import UserError
from tabbench.report.hardest import hardest
from tabbench.report.leaderboard import scores_of
from tabbench.stats.bayes import correlated_t, nadeau_bengio, sign_test, signed_rank_test
from tabbench.stats.corrections import holm
from tabbench.stats.ranks import mean_ranks
from tabbench.stats.summary import Settings, summarize
from tabbench.store.importers import family_by_name, import_results
from tabbench.store.plain_table import read_plain_table
from tests.support.published import DEMSAR, TABZILLA, needs_tabzilla


@pytest.fixture
def wide(tmp_path):
    DEMSAR.rename_axis("dataset").to_csv(tmp_path / "wide.csv")
    return tmp_path / "wide.csv"


def as_json(capsys, *words):
    assert main(["stats", *map(str, words), "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def long_rows(n_datasets, n_models, n_folds, seed=0):
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product([range(n_datasets), range(n_models), range(n_folds)], names=["task", "method", "fold"])
    score = 0.7 + 0.01 * index.get_level_values("method") + 0.02 * rng.normal(size=len(index))
    return pd.DataFrame({"score": score}, index).reset_index()


def test_wide_and_long_say_the_same(wide, tmp_path, capsys):
    DEMSAR.rename_axis("dataset").rename_axis("model", axis=1).stack().rename("auc").reset_index().to_csv(tmp_path / "l.csv")
    table = pd.read_csv(tmp_path / "l.csv").drop(columns="Unnamed: 0")
    table.sample(frac=1, random_state=0).to_csv(tmp_path / "l.csv", index=False)
    one, other = as_json(capsys, wide), as_json(capsys, tmp_path / "l.csv")
    one_ranks, other_ranks = ({row["model"]: row["mean_rank"] for row in found["models"]} for found in (one, other))
    assert one_ranks == other_ranks == pytest.approx(mean_ranks(DEMSAR, True).to_dict())
    assert [found["omnibus"]["chi2"] for found in (one, other)] == pytest.approx([10.952381] * 2)
    assert len(one["pairs"]) == 6
    assert {"p_holm", "p_shaffer", "p_bergmann", "rank_biserial"} < set(one["pairs"][0])


@pytest.mark.parametrize("metric", [None, "log_loss"])
def test_a_result_folder_has_the_statistics_of_its_report(tmp_path, capsys, metric):
    folder = tmp_path / "plain"
    assert main(["unpack", str(Path(__file__).parent / "golden" / "plain.zip"), "--out", str(folder)]) == 0
    capsys.readouterr()
    found = as_json(capsys, folder, *(["--metric", metric] if metric else []))
    board = open_results(folder).leaderboard(metric).set_index("model")
    assert {row["model"]: row["mean_rank"] for row in found["models"]} == pytest.approx(board["mean_rank"].to_dict())
    assert {row["model"]: row["rating"] for row in found["models"]} == pytest.approx(board["rating"].to_dict())


def test_of_a_result_folder_only_the_metric_is_chosen(tmp_path, capsys):
    (tmp_path / "manifest.json").write_text("{}")
    assert main(["stats", str(tmp_path), "--score", "accuracy"]) == 2
    assert "only --metric chooses" in capsys.readouterr().err


def test_every_test_of_a_pair_is_there(wide, tmp_path, capsys):
    found = as_json(capsys, wide)
    pair = next(row for row in found["pairs"] if (row["model_a"], row["model_b"]) == ("C4.5+m", "C4.5"))
    gap = DEMSAR["C4.5+m"] - DEMSAR["C4.5"]
    assert pair["cohen_d"] == pytest.approx(gap.mean() / gap.std())
    assert pair["p_sign"] == pytest.approx(binomtest(11, 14).pvalue)  # 10 wins, 2 losses, 2 ties
    z = (mean_ranks(DEMSAR, True)["C4.5"] - mean_ranks(DEMSAR, True)["C4.5+m"]) / np.sqrt(4 * 5 / (6 * 14))
    assert pair["p_nemenyi"] == pytest.approx(studentized_range.sf(z * np.sqrt(2), 4, np.inf))
    last = found["leader"][-1]
    gap = (DEMSAR["C4.5+m+cf"] - DEMSAR["C4.5"]).to_numpy()
    assert last["s_model"] == pytest.approx(sign_test(gap, 0.01).a)
    assert last["p_model"] == pytest.approx(signed_rank_test(gap, 0.01).a, abs=0.01)  # 50,000 draws
    (-DEMSAR).rename_axis("dataset").to_csv(tmp_path / "t.csv")
    for row, turned in zip(found["pairs"], as_json(capsys, tmp_path / "t.csv", "--lower-is-better")["pairs"], strict=True):
        assert row == pytest.approx(turned)
    assert main(["stats", str(wide), "--format", "md"]) == 0
    assert "| Bergmann | sign | Nemenyi |" in capsys.readouterr().out


def test_the_text_holds_all_parts(wide, capsys):
    assert main(["stats", str(wide), "--control", "C4.5"]) == 0
    text = capsys.readouterr().out
    for part in ("14 datasets × 4 models", "F(3, 39) = 4.59, p = 0.008", "Models", "Pairs", "How probably C4.5+m+cf is better"):
        assert part in text
    assert "Against C4.5\n" in text
    assert "missing score may mean" not in text
    assert main(["stats", str(wide), "--format", "md"]) == 0
    assert "| C4.5+m+cf | 1.93 |" in capsys.readouterr().out
    rates = pd.DataFrame(as_json(capsys, wide)["win_rates"]).set_index("row_model")
    assert rates.loc["C4.5+m", "C4.5"] == pytest.approx(11 / 14)
    assert rates.index.tolist() == rates.columns.tolist() == ["C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5"]


def test_folds_are_averaged_and_used(tmp_path, capsys):
    long_rows(12, 3, 5).to_csv(tmp_path / "t.csv", index=False)
    found = as_json(capsys, tmp_path / "t.csv")
    assert found["n_datasets"] == 12
    assert found["leader"][0]["h_model"] + found["leader"][0]["h_equal"] + found["leader"][0]["h_other"] == pytest.approx(1)
    rows = long_rows(12, 3, 5)
    rows[rows.index != 7].to_csv(tmp_path / "t.csv", index=False)  # one fold of one model has not run
    found = as_json(capsys, tmp_path / "t.csv")
    assert found["n_missing"] == 0
    assert found["remarks"] == ["1: 4 of 5 folds on 1 datasets (0, …): compared on the 4 in common"]
    rows.loc[7, "score"] = np.nan  # it has failed there
    rows.to_csv(tmp_path / "t.csv", index=False)
    assert as_json(capsys, tmp_path / "t.csv")["n_missing"] == 1


def test_a_seed_noted_beside_the_fold_tells_nothing_apart(tmp_path, capsys):
    """AMLB's raw table notes the seed of every framework; a seed is one more run only where nothing else tells rows apart."""
    rows = long_rows(6, 2, 2).rename(columns={"method": "framework"})
    amlb = rows.assign(seed=np.arange(len(rows)), info="", metric="auc", duration=60.0)
    amlb.to_csv(tmp_path / "t.csv", index=False)
    found = as_json(capsys, tmp_path / "t.csv", "--score", "score")
    assert (found["n_datasets"], found["n_missing"]) == (6, 0)
    assert "h_model" in found["leader"][0]
    rows.rename(columns={"fold": "seed"}).to_csv(tmp_path / "t.csv", index=False)
    assert as_json(capsys, tmp_path / "t.csv")["models"] == found["models"]
    wide = rows.rename(columns={"fold": "seed"}).pivot(index=["task", "seed"], columns="framework", values="score")
    wide.reset_index().to_csv(tmp_path / "t.csv", index=False)
    assert as_json(capsys, tmp_path / "t.csv")["models"] == found["models"]


def test_the_folds_of_one_dataset_are_compared(tmp_path, capsys):
    rows = long_rows(1, 4, 10)
    rows[(rows["method"] != 3) | (rows["fold"] != 2)].to_csv(tmp_path / "t.csv", index=False)  # the last model lacks a fold
    found = as_json(capsys, tmp_path / "t.csv", "--rope", "0.005")
    scores = rows.pivot(index="fold", columns="method", values="score").drop(index=2)  # the others have it in vain
    order = scores.mean().sort_values(ascending=False).index
    pairs = [(str(order[i]), str(order[j])) for i, j in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))]
    assert [(row["model_a"], row["model_b"]) for row in found["within"]] == pairs
    first = found["within"][0]
    gap = (scores[order[0]] - scores[order[1]]).to_numpy()
    assert (first["t"], first["p"]) == pytest.approx(nadeau_bengio(gap, 1 / 10))
    assert first["p_a"] == pytest.approx(correlated_t(gap, 0.005, 1 / 10).a)
    assert [row["p_holm"] for row in found["within"]] == pytest.approx(holm([row["p"] for row in found["within"]]))
    turned = as_json(capsys, tmp_path / "t.csv", "--rope", "0.005", "--lower-is-better")["within"]
    assert {(row["model_b"], row["model_a"]) for row in turned} == set(pairs)
    assert sorted(row["p"] for row in turned) == pytest.approx(sorted(row["p"] for row in found["within"]))
    assert main(["stats", str(tmp_path / "t.csv")]) == 0
    assert "Pairs on the folds of the one dataset" in capsys.readouterr().out
    for few in (long_rows(1, 3, 1), long_rows(1, 1, 5), long_rows(2, 3, 5)):
        few.to_csv(tmp_path / "t.csv", index=False)
        assert as_json(capsys, tmp_path / "t.csv")["within"] == []
    long_rows(1, 2, 3).assign(score=[0.25] * 3 + [0.5] * 3).to_csv(tmp_path / "t.csv", index=False)
    assert as_json(capsys, tmp_path / "t.csv")["within"][0]["t"] is None  # infinite


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (long_rows(201, 2, 2), "201 datasets are more than the 200"),
        (long_rows(5, 2, 3).assign(score=lambda rows: rows["score"].where(rows.index > 0)), "a fold of a model is missing"),
        (long_rows(5, 2, 3).query("task > 0 or fold > 0"), "differ in their number of folds"),
        (long_rows(5, 2, 1), "a dataset has one fold"),
    ],
)
def test_folds_that_are_not_used_are_said_to_be(rows, why, tmp_path, capsys):
    rows.to_csv(tmp_path / "t.csv", index=False)
    assert main(["stats", str(tmp_path / "t.csv")]) == 0
    assert why in " ".join(capsys.readouterr().out.split())
    assert why in as_json(capsys, tmp_path / "t.csv")["no_hierarchical"]


def test_missing_scores_by_every_policy(tmp_path, capsys):
    table = DEMSAR.copy()
    table.iloc[3, 3], table.iloc[5, 1] = np.nan, np.nan
    table.loc[99] = np.nan
    table.rename_axis("dataset").to_csv(tmp_path / "t.csv")
    found = as_json(capsys, tmp_path / "t.csv", "--baseline", "C4.5")
    assert (found["n_missing"], found["unscored"], found["n_datasets"]) == (2, ["99"], 14)
    assert {"model", "complete_case", "worst_rank", "baseline", "shift"} == set(found["failures"][0])
    assert len(found["stability"]) == 3
    assert main(["stats", str(tmp_path / "t.csv")]) == 0
    said = capsys.readouterr().out
    assert "What a missing score may mean" in said
    assert f"Kendall's tau between the orders: {found['stability'][0]['tau']:.2f} (complete case, worst rank)" in " ".join(
        said.split()
    )


def test_losses(tmp_path, capsys):
    (1 - DEMSAR).rename_axis("dataset").to_csv(tmp_path / "t.csv")
    found = as_json(capsys, tmp_path / "t.csv", "--lower-is-better")
    assert found["models"][0]["model"] == "C4.5+m+cf"
    assert found["models"][0]["mean_rank"] == pytest.approx(1.928571)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("dataset,a,b\n", "no rows"),
        ("dataset\nx\n", "no column of scores"),
        ("dataset,a,b\nx,1,2\nx,2,3\n", "dataset x occurs twice"),
        ("dataset,a,b\nx,1,good\n", "'good' in column 'b' is no finite score"),
        ("dataset,a,b\nx,1,inf\n", "no finite score"),
        ("dataset,a,b\nx,,\ny,,\n", "no score in it"),
        ("dataset,a,b\n,1,2\n", "a row without dataset"),
        ("dataset,model,score\nx,a,1\nx,a,1\n", "dataset x, model a occurs twice"),
        ("dataset,model,acc,auc\nx,a,1,1\n", "which column is the score"),
        ("dataset,model\nx,a\n", "which column is the score"),
    ],
)
def test_bad_tables_are_one_line(text, message, tmp_path, capsys):
    (tmp_path / "t.csv").write_text(text)
    assert main(["stats", str(tmp_path / "t.csv")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_bad_words_are_one_line(wide, tmp_path, capsys):
    for words, message in [
        ((str(tmp_path / "none.csv"),), "no such file"),
        ((str(wide), "--control", "x"), "no model 'x' to compare with"),
        ((str(wide), "--baseline", "x"), "no model 'x' to impute with"),
        ((str(wide), "--rope", "-1"), "cannot be negative"),
        ((str(wide), "--score", "auc"), "no long table, so no score column"),
        ((str(wide), "--alpha", "2"), "alpha must lie between 0 and 1, got 2"),
    ]:
        assert main(["stats", *words]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "table",
    [
        DEMSAR.iloc[:1],
        DEMSAR.iloc[:, :1],
        DEMSAR.iloc[:1, :1],
        pd.DataFrame(0.5, range(6), list("abc")),
        DEMSAR.assign(never=np.nan),
        pd.DataFrame({"a": [1.0, np.nan], "b": [np.nan, 1.0]}),
        pd.DataFrame({"a": [1.0, 2.0], "b": [2.0, 3.0], "c": [3.0, 4.0]}),
    ],
    ids=["one dataset", "one model", "one score", "all ties", "all failures of a model", "no complete dataset", "all agree"],
)
def test_extreme_tables_have_a_defined_result(table, tmp_path, capsys):
    table.rename_axis("dataset").to_csv(tmp_path / "t.csv")
    found = as_json(capsys, tmp_path / "t.csv")
    k = table.shape[1]
    assert sum(row["mean_rank"] for row in found["models"]) == pytest.approx(k * (k + 1) / 2)
    for form in ("text", "md"):
        assert main(["stats", str(tmp_path / "t.csv"), "--format", form]) == 0
    if min(table.shape) == 1:
        assert found["omnibus"] is None
        assert "nothing to test" in capsys.readouterr().out


def test_a_million_rows(tmp_path):
    rows = long_rows(10_000, 10, 10)
    rows.to_parquet(tmp_path / "t.parquet")
    table = read_plain_table(tmp_path / "t.parquet")
    found = summarize(table.scores, Settings(n_draws=100), table.folds)
    assert found.models.index.tolist() == [str(i) for i in reversed(range(10))]
    pd.DataFrame({"a": np.arange(30_000.0), "b": 1.0}).to_csv(tmp_path / "t.csv")
    with pytest.raises(UserError, match="30,000 datasets, at most 20,000: if rows are folds"):
        read_plain_table(tmp_path / "t.csv")


def hard_table():
    table = pd.DataFrame(0.0, ["easy", "far", "few", "net"], ["knn", "xgboost [depth=3]", "mlp", "pfn", "gp", "svm", "dummy"])
    table["dummy"] = 1.0
    table.loc["far", ["knn", "svm"]] = 0.3
    table.loc["few", ["mlp", "pfn", "gp", "svm"]] = 0.15
    table.loc["net", "xgboost [depth=3]"] = 0.1
    return table


def test_hard_datasets_by_hand():
    families = {name: family_by_name(name) for name in hard_table()}
    found = hardest(hard_table(), False, families)
    assert found["why"].to_dict() == {
        "far": "no simple model is near",
        "few": "three models or fewer are near",
        "net": "no boosted trees are near",
    }
    pd.testing.assert_frame_equal(hardest(-hard_table(), True, families), found)
    gaps = hard_table()
    gaps.loc["few", ["mlp", "pfn", "gp", "svm"]] = np.nan
    assert hardest(gaps, False, families)["why"].index.tolist() == ["far", "net"]
    with pytest.raises(UserError, match="boosted trees"):
        hardest(hard_table().drop(columns="xgboost [depth=3]"), False, families)


@needs_tabzilla
def test_tabzillas_hard_suite(tmp_path, capsys):
    frame = import_results("tabzilla", TABZILLA / "all22_tuned_aggregated_results.csv", tmp_path / "out")
    found = hardest(scores_of(frame, "log_loss").table, False, open_results(tmp_path / "out").families)
    names = {name.split("__")[1] for name in found.index}
    published = set(pd.read_csv(TABZILLA / "paper_tables" / "table4_hard36.csv")["dataset"])
    as_published = {
        "GesturePhaseSegmentationProcessed": "GesturePhase",
        "ada_agnostic": "ada-agnostic",
        "jungle_chess_2pcs_raw_endgame_complete": "jungle-chess",
        "one-hundred-plants-texture": "100-plants-texture",
    }
    names = {as_published.get(name, name) for name in names}
    assert len(names) == 36
    assert published - names == {"albert", "poker-hand"}  # the published table lacks rows of theirs
    assert names - published == {"mnist_784", "CIFAR_10"}
    assert main(["suites", "hardest", str(tmp_path / "out")]) == 0
    assert "36 of 171 datasets are hard" in capsys.readouterr().out
    assert main(["suites", "hardest"]) == 2
