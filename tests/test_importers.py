"""Published results tables as result folders; TabZilla's own rank tables come out again where the files are at hand."""

import json
import re
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tabbench.api import open_results
from tabbench.cli import main
from tabbench.errors import UserError
from tabbench.folders.published import beside_reference
from tabbench.folders.reference import Reference
from tabbench.models import get_model, own_names
from tabbench.store.checksums import write_checksums
from tabbench.store.importers import import_results
from tests.support.published import TABZILLA, needs_tabzilla


def tabzilla_table():
    rows = [("A", "d1", 0.9, 0.0), ("B", "d1", 0.8, 1.0), ("A", "d2", 0.7, 0.5), ("B", "d2", 0.7, 0.25)]
    table = pd.DataFrame(rows, columns=["alg_name", "dataset_name", "Accuracy__test_mean", "normalized_Log Loss__test_mean"])
    table["normalized_F1__test_mean"] = 1 - table["normalized_Log Loss__test_mean"]
    for name, low, high in (("Log Loss", 0.2, 0.6), ("F1", 0.5, 0.9)):
        table[f"{name}__test_mean_min"], table[f"{name}__test_mean_max"] = low, high
    return table.assign(time__train_mean=2.0)


def test_tabzilla_is_scaled_back(tmp_path):
    tabzilla_table().to_csv(tmp_path / "t.csv")
    frame = import_results("tabzilla", tmp_path / "t.csv", tmp_path / "out")
    np.testing.assert_allclose(frame["log_loss"], [0.2, 0.6, 0.4, 0.3])
    np.testing.assert_allclose(frame["f1"], [0.9, 0.5, 0.7, 0.8])
    results = open_results(tmp_path / "out")
    assert results.leaderboard("accuracy", "min").set_index("model")["mean_rank"].to_dict() == {"A": 1.0, "B": 1.5}
    assert results.leaderboard("accuracy").set_index("model")["mean_rank"].to_dict() == {"A": 1.25, "B": 1.75}
    page = results.write_report().read_text()
    assert "imported results" in page
    assert "4 results of tabzilla from t.csv" in page
    assert "threads a job" not in page


def test_algorithms_of_tabzilla_are_called_as_here(tmp_path):
    names = {"A": "rtdl_ResNet_default", "B": "LinearModel"}
    tabzilla_table().replace({"alg_name": names}).to_csv(tmp_path / "t.csv")
    frame = import_results("tabzilla", tmp_path / "t.csv", tmp_path / "out")
    assert set(frame["model"]) == {"resnet_default", "logreg"}


@needs_tabzilla
def test_every_algorithm_of_tabzilla_is_here_under_its_own_name_too():
    theirs = pd.read_csv(TABZILLA / "all22_tuned_aggregated_results.csv", usecols=["alg_name"])["alg_name"].unique()
    assert len(theirs) == len(own_names(theirs)) == 22
    for name in theirs:
        assert get_model(name).name == own_names([name])[0] != name
        assert name in get_model(name).aliases


def test_amlb_and_its_failures(tmp_path):
    rows = [("t", "auto", f, 0.9, 0.95, 0.9, 0.3, 60.0, "") for f in (0, 1)] + [("t", "boost", 0, 0.8, 0.85, 0.8, 0.4, 50.0, "")]
    rows.append(("t", "boost", 1, np.nan, np.nan, np.nan, np.nan, 60.0, "TimeoutError"))
    columns = ["task", "framework", "fold", "result", "auc", "acc", "logloss", "duration", "info"]
    pd.DataFrame(rows, columns=columns).to_parquet(tmp_path / "t.parquet")
    import_results("amlb", tmp_path / "t.parquet", tmp_path / "out")
    board = open_results(tmp_path / "out").leaderboard().set_index("model")
    assert board.loc["auto", "mean_score"] == pytest.approx(0.95)
    assert board.loc["boost", "n_failed"] == 1
    assert board.loc["boost", "n_tasks"] == 0


def test_amlb_of_2019_has_a_column_a_metric_and_an_index(tmp_path):
    rows = [
        (0.86, 0.92, np.nan, 0.92, "binary", "t"),
        (0.97, np.nan, 0.07, 0.07, "multiclass", "m"),
        (*[np.nan] * 4, "multiclass", "m"),
    ]
    table = pd.DataFrame(rows, columns=["acc", "auc", "logloss", "result", "type", "task"])
    table = table.assign(fold=[0, 0, 1], framework="tpot", id="openml.org/t/1", info=["", np.nan, "Error: aborting"], mode="aws")
    table.assign(duration=9.5, models=3, seed=[1, 2, 3], imp_score=0.5, norm_score=0.1).to_csv(tmp_path / "t.csv")
    frame = import_results("amlb", tmp_path / "t.csv", tmp_path / "out").set_index(["task", "fold"])
    assert frame["roc_auc_ovo"].dropna().to_dict() == {("t", 0): 0.92}
    assert frame["log_loss"].dropna().to_dict() == {("m", 0): 0.07}
    assert frame["auc_or_log_loss"].dropna().to_dict() == {("t", 0): pytest.approx(0.08), ("m", 0): 0.07}
    assert frame["status"].tolist() == ["ok", "ok", "failed"]
    assert frame["reason"].tolist() == ["", "", "Error: aborting"]
    assert (frame["fit_seconds"] == 9.5).all()


def test_amlb_of_later_years(tmp_path):
    """`result` with its metric, losses negative; regression beside classification; several constraints."""
    columns = ["id", "task", "framework", "constraint", "fold", "type", "result", "metric", "duration", "training_duration"]
    rows = [
        ("o/1", "t", "flaml", "1h8c", 0, "binary", 0.9, "auc", 70.0, 60.0),
        ("o/1", "t", "flaml", "4h8c", 0, "binary", 0.95, "auc", 250.0, 240.0),
        ("o/2", "m", "flaml", "1h8c", 0, "multiclass", -0.7, "neg_logloss", 70.0, 60.0),
        ("o/2", "m", "flaml", "4h8c", 0, "multiclass", np.nan, "neg_logloss", 250.0, np.nan),
        ("o/3", "price", "flaml", "1h8c", 0, "regression", -9.0, "neg_rmse", 70.0, 60.0),
        ("o/3", "price", "flaml", "4h8c", 0, "regression", np.nan, "neg_rmse", 70.0, 60.0),
    ]
    table = pd.DataFrame(rows, columns=columns).assign(predict_duration=2.0, balacc=[0.8, 0.9, 0.6, *[np.nan] * 3])
    table.to_csv(tmp_path / "t.csv", index=False)
    frame = import_results("amlb", tmp_path / "t.csv", tmp_path / "out").set_index(["task", "model"])
    assert set(frame.index) == {(task, f"flaml [{constraint}]") for task in "tm" for constraint in ("1h8c", "4h8c")}
    assert frame["roc_auc_ovo"].dropna().tolist() == [0.9, 0.95]
    assert frame["log_loss"].dropna().tolist() == [0.7]
    assert frame["balanced_accuracy"].dropna().tolist() == [0.8, 0.9, 0.6]
    assert frame.loc[("m", "flaml [4h8c]"), "status"] == "failed"
    assert frame["fit_seconds"].tolist() == [60, 240, 60, 250]
    assert (frame["predict_seconds"] == 2).all()
    without_types = table.drop(columns="type").assign(rmse=[*[np.nan] * 4, 9.0, np.nan])
    without_types[without_types["constraint"] == "1h8c"].to_csv(tmp_path / "t.csv", index=False)
    frame = import_results("amlb", tmp_path / "t.csv", tmp_path / "again")
    assert frame[["task", "model"]].to_numpy().tolist() == [["t", "flaml"], ["m", "flaml"]]


def test_tabarena_errors_become_scores(tmp_path):
    rows = [
        ("two", 0, "GBM (default)", 0.1, "roc_auc", "binary", False),
        ("many", 0, "GBM (default)", 0.7, "log_loss", "multiclass", False),
    ]
    rows += [
        ("two", 0, "TABPFN (tuned)", 0.3, "roc_auc", "binary", True),
        ("price", 0, "GBM (default)", 9.0, "rmse", "regression", False),
    ]
    rows += [("many", 0, "AutoGluon 1.4 (best, 4h)", 0.6, "log_loss", "multiclass", np.nan)]
    columns = ["dataset", "fold", "method", "metric_error", "metric", "problem_type", "imputed"]
    table = pd.DataFrame(rows, columns=columns).assign(
        time_train_s=1.0, time_infer_s=0.1, metric_error_val=0.2, method_type="config"
    )
    table.to_csv(tmp_path / "t.csv", index=False)
    frame = import_results("tabarena", tmp_path / "t.csv", tmp_path / "out").set_index(["task", "model"])
    assert frame.loc[("two", "GBM (default)"), "roc_auc_ovo"] == pytest.approx(0.9)
    assert frame["log_loss"].dropna().to_dict() == {("many", "GBM (default)"): 0.7, ("many", "AutoGluon 1.4 (best, 4h)"): 0.6}
    assert frame["auc_or_log_loss"].dropna().tolist() == [0.1, 0.7, 0.6]
    board = open_results(tmp_path / "out").leaderboard("auc_or_log_loss").set_index("model")
    assert board["mean_rank"].dropna().to_dict() == {
        "GBM (default)": 2.0,
        "AutoGluon 1.4 (best, 4h)": 1.0,
    }  # TABPFN shares nothing
    assert frame.loc[("two", "TABPFN (tuned)"), "status"] == "failed"
    assert frame.loc[("two", "TABPFN (tuned)"), ["roc_auc_ovo", "fit_seconds"]].isna().all()
    assert "price" not in frame.index
    table.rename(columns={"method": "framework"}).to_csv(tmp_path / "t.csv", index=False)
    assert len(import_results("tabarena", tmp_path / "t.csv", tmp_path / "again")) == 4


def grinsztajn_table():
    """Two random searches and two defaults on one dataset, one search that crashed, one regression."""
    columns = [
        "benchmark",
        "model_name",
        "hp",
        "data__keyword",
        "data__regression",
        "mean_val_score",
        "mean_test_score",
        "mean_time",
    ]
    medium, numbers = "numerical_classification_medium", "numerical_regression_medium"
    rows = [
        (medium, "XGBoost", "default", "electricity", False, 0.80, 0.81, 1.0),
        (medium, "XGBoost", "random", "electricity", False, 0.85, 0.84, 2.0),
        (medium, "XGBoost", "random", "electricity", False, 0.84, 0.90, 3.0),  # better on the test rows only
        (medium, "XGBoost", "random", "electricity", False, np.nan, np.nan, np.nan),
        (medium, "Resnet", "random", "electricity", False, np.nan, np.nan, np.nan),
        (medium, "Resnet", "default", "electricity", False, 0.7, 0.7, 9.0),
        (numbers, "XGBoost", "random", "sulfur", True, 0.5, 0.5, 1.0),
    ]
    return pd.DataFrame(rows, columns=columns)


def test_grinsztajns_searches_give_the_configuration_that_validation_takes(tmp_path):
    table = grinsztajn_table()
    table.to_csv(tmp_path / "t.csv", index=False)
    frame = import_results("grinsztajn", tmp_path / "t.csv", tmp_path / "out").set_index("model")
    assert frame["task"].unique().tolist() == ["electricity"]
    assert frame["accuracy"].dropna().to_dict() == {"xgboost": 0.84, "xgboost_default": 0.81, "Resnet_default": 0.7}
    assert frame.loc["xgboost", "fit_seconds"] == 2
    assert frame["status"].to_dict() == {"xgboost": "ok", "xgboost_default": "ok", "Resnet": "failed", "Resnet_default": "ok"}
    large = table.assign(benchmark=table["benchmark"].str.replace("medium", "large"))
    pd.concat([table, large]).to_csv(tmp_path / "t.csv", index=False)
    frame = import_results("grinsztajn", tmp_path / "t.csv", tmp_path / "both")
    assert set(frame["task"]) == {f"electricity [numerical_classification_{size}]" for size in ("medium", "large")}
    assert len(frame) == 8


def talent_table():
    rows = [
        ("two", "binclass", 80, 16, 20, 4, 2, 0.9, 0.89, 0.85, 0.95, 0.3, 1.0, 0.1, "ok", ""),
        ("many", "multiclass", 80, 16, 20, 4, 5, 0.7, 0.69, 0.65, 0.9, 0.8, 1.0, 0.1, "ok", ""),
        ("broken", "binclass", 80, 16, 20, 4, 2, 0.5, 0.5, 0.5, 0.5, 0.7, 1.0, 0.1, "error", "out of memory"),
        ("price", "regression", 80, 16, 20, 4, 0, *[np.nan] * 5, 1.0, 0.1, "ok", ""),
    ]
    columns = ["dataset_name", "task_type", "n_train", "n_val", "n_test", "n_features", "n_classes", "accuracy", "f1"]
    columns += ["balanced_accuracy", "roc_auc", "log_loss", "fit_seconds", "predict_seconds", "status", "error"]
    return pd.DataFrame(rows, columns=columns)


def test_talents_file_of_one_method_is_called_like_it(tmp_path):
    talent_table().to_csv(tmp_path / "realmlp.csv", index=False)
    frame = import_results("talent", tmp_path / "realmlp.csv", tmp_path / "out").set_index("task")
    assert set(frame["model"]) == {"realmlp"}
    assert frame["status"].to_dict() == {"two": "ok", "many": "ok", "broken": "failed"}
    assert frame.loc["broken", "reason"] == "out of memory"
    assert frame["roc_auc_ovo"].dropna().to_dict() == {"two": 0.95}
    assert frame["roc_auc_ovr"].dropna().to_dict() == {"two": 0.95, "many": 0.9}
    assert frame["auc_or_log_loss"].dropna().to_dict() == {"two": pytest.approx(0.05), "many": 0.8}
    assert frame["f1"].isna().all()
    both = [talent_table().assign(method=name) for name in ("realmlp", "tabr")]
    pd.concat(both).to_csv(tmp_path / "t.csv", index=False)
    assert set(import_results("talent", tmp_path / "t.csv", tmp_path / "both")["model"]) == {"realmlp", "tabr"}


def a_reference(folder):
    """Two models on two datasets, two folds each; one failed once."""
    tasks = [
        {"name": "Two", "n_rows": 100, "n_features": 4, "n_classes": 2},
        {"name": "many", "n_rows": 999, "n_features": 4, "n_classes": 5},
    ]
    rows = [
        (name, fold, model, "ok", "", 0.8 + fold / 10) for name in ("Two", "many") for fold in (0, 1) for model in ("tree", "pfn")
    ]
    frame = pd.DataFrame(rows, columns=["task", "fold", "model", "status", "reason", "accuracy"]).assign(fit_seconds=1.0)
    frame.loc[frame["model"].eq("pfn") & frame["fold"].eq(1), ["status", "reason", "accuracy"]] = ("timeout", "too slow", np.nan)
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"tasks": tasks}))
    frame.to_parquet(folder / "results.parquet")
    write_checksums(folder)
    return Reference(folder)


def test_an_import_beside_the_reference_run_on_equal_datasets(tmp_path):
    reference = a_reference(tmp_path / "reference")
    talent_table().to_csv(tmp_path / "realmlp.csv", index=False)
    join = partial(beside_reference, kind="talent", reference=reference)
    frame = import_results("talent", tmp_path / "realmlp.csv", tmp_path / "out", join=join).set_index("model")
    assert set(frame["task"]) == {"two"}  # "many" has other rows there
    assert "another or unknown size: many" in " ".join(frame.attrs["remarks"])
    assert frame["accuracy"].dropna().to_dict() == {"realmlp": 0.9, "tree (reference)": pytest.approx(0.85)}
    assert frame.loc["pfn (reference)", ["status", "reason"]].tolist() == ["timeout", "too slow"]
    results = open_results(tmp_path / "out")
    assert [note["kind"] for note in results.manifest["imported"]] == ["talent", "reference"]
    assert "not paired" in results.write_report().read_text()
    talent_table()[1:].to_csv(tmp_path / "realmlp.csv", index=False)
    with pytest.raises(UserError, match="use another --out"):
        import_results("talent", tmp_path / "realmlp.csv", tmp_path / "out", force=True, join=join)
    with pytest.raises(UserError, match="none of its 2 datasets"):
        import_results("talent", tmp_path / "realmlp.csv", tmp_path / "none", join=join)


def test_a_name_alone_makes_no_equal_dataset(tmp_path):
    """TabArena's file has no sizes; those of its suite decide: OpenML's seismic-bumps of 210 rows is another table."""
    reference = a_reference(tmp_path / "reference")
    card = {"tasks": [{"name": "anneal", "n_rows": 898, "n_features": 38, "n_classes": 5}]}
    card["tasks"].append({"name": "seismic-bumps", "n_rows": 210, "n_features": 7, "n_classes": 3})
    (reference.folder / "manifest.json").write_text(json.dumps(card))
    results = pd.DataFrame([(name, "tree", "ok", "", 0.5) for name in ("anneal", "seismic-bumps")])
    results.columns = ["task", "model", "status", "reason", "log_loss"]
    results.assign(roc_auc_ovo=0.9).to_parquet(reference.folder / "results.parquet")
    write_checksums(reference.folder)
    rows = pd.DataFrame({"dataset": ["anneal", "seismic-bumps"], "fold": 0, "method": "GBM (default)", "metric_error": 0.4})
    rows.assign(metric=["log_loss", "roc_auc"], time_train_s=1.0, time_infer_s=1.0).to_csv(tmp_path / "t.csv", index=False)
    join = partial(beside_reference, kind="tabarena", reference=Reference(reference.folder))
    frame = import_results("tabarena", tmp_path / "t.csv", tmp_path / "out", join=join)
    assert frame["log_loss"].tolist() == [0.4, 0.5]
    assert frame["roc_auc_ovo"].isna().all()  # they measured none there


def test_a_merge_is_refused_unless_forced_and_then_marked(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    pd.DataFrame({"a": rng.normal(size=60), "y": np.arange(60) % 2}).to_csv("d1.csv", index=False)
    assert main(["run", "--data", "d1.csv", "--target", "y", "--models", "dummy,tree", "--quiet", "--out", "out"]) == 0
    tabzilla_table().to_csv("t.csv")
    assert main(["import", "tabzilla", "t.csv", "--out", "out"]) == 2
    assert "other splits" in capsys.readouterr().err
    for _ in range(2):  # the second time replaces the first
        assert main(["import", "tabzilla", "t.csv", "--out", "out", "--force"]) == 0
    board = open_results("out").leaderboard("accuracy").set_index("model")
    assert set(board.index) == {"dummy", "tree", "A (tabzilla)", "B (tabzilla)"}
    assert "Merged with results on other splits" in Path("out/report.html").read_text()

    scores = {"constantpredictor": 0.99, "boost": 0.98}
    rows = [("t", name, fold, score, score, 1) for name, score in scores.items() for fold in (0, 1)]
    pd.DataFrame(rows, columns=["task", "framework", "fold", "result", "auc", "duration"]).to_csv("apart.csv", index=False)
    assert main(["import", "amlb", "apart.csv", "--out", "out", "--force"]) == 0
    for said in (capsys.readouterr().out, Path("out/report.html").read_text(), Path("out/leaderboard.md").read_text()):
        assert "for want of a dataset in common with the others: boost (amlb), constantpredictor (amlb)" in " ".join(said.split())
    board = open_results("out").leaderboard("roc_auc_ovo").set_index("model")
    apart = board.loc[["constantpredictor (amlb)", "boost (amlb)"]]
    assert apart["mean_rank"].isna().all()
    assert apart["n_tasks"].tolist() == [1, 1]
    assert apart["n_not_run"].tolist() == [1, 1]
    assert board.index[0] == "tree"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="alg_name"), "no column 'alg_name'"),
        (lambda t: t.assign(alg_name=["A", None, "A", "B"]), "1 rows do not say which dataset or model"),
        (lambda t: t.assign(Accuracy__test_mean=100 * t["Accuracy__test_mean"]), "accuracy 90 in row 1: it must lie between"),
        (lambda t: t.assign(Accuracy__test_mean="good"), "cannot be read as a table"),
        (lambda t: t.assign(time__train_mean=["1", "soon", "2", "3"]), "cannot be read as a table"),
        (lambda t: pd.concat([t, t]), "occurs twice"),
        (lambda t: t.iloc[:0], "no results"),
    ],
)
def test_tables_of_another_form(change, message, tmp_path):
    change(tabzilla_table()).to_csv(tmp_path / "t.csv")
    with pytest.raises(UserError, match=message):
        import_results("tabzilla", tmp_path / "t.csv", tmp_path / "out")
    assert not (tmp_path / "out").exists()


AMLB = {"task": "t", "framework": ["a", "b"], "fold": 0, "result": [0.5, 0.6], "auc": [0.5, 0.6], "duration": 1.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fold": [0, "one"]}, "fold 'one' in row 2: folds are numbered"),
        ({"fold": [0, None]}, "fold 'nan' in row 2: folds are numbered"),
        ({"fold": [0, 0.5]}, "fold '0.5' in row 2: folds are numbered"),
        ({"fold": [0, -1]}, "fold '-1' in row 2: folds are numbered"),
        ({"fold": [0, "1e30"]}, "fold '1e.30' in row 2: folds are numbered"),
        ({"auc": ["50%", "60%"]}, "cannot be read as a table"),
        ({"auc": [50, 60]}, "roc_auc_ovo 50 in row 1: it must lie between 0 and 1"),
        ({"auc": [0.5, "inf"]}, "roc_auc_ovo inf in row 2: it must lie between 0 and 1"),
        ({"result": [0.5, "good"]}, "cannot be read as a table"),
        ({"duration": [1, "soon"]}, "cannot be read as a table"),
        ({"framework": ["a", None]}, "1 rows do not say which dataset or model"),
        ({"task": ["", "t"]}, "1 rows do not say which dataset or model"),
        ({"framework": ["a", "a"]}, "'a' on 't', fold 0, occurs twice"),
    ],
    ids=str,
)
def test_cells_that_cannot_be_meant_are_one_line(change, message, tmp_path, capsys):
    pd.DataFrame({**AMLB, **change}).to_csv(tmp_path / "t.csv", index=False)
    assert main(["import", "amlb", str(tmp_path / "t.csv"), "--out", str(tmp_path / "out")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert re.search(message, line)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "names", [["None", "NA"], ["null", "nan"], ["01", "1"], ["1", "1.0"], ["NA", "7"], ["=x", "../x"]], ids=str
)
@pytest.mark.parametrize("column", ["task", "framework"])
def test_names_of_datasets_and_models_are_what_is_written(column, names, tmp_path):
    pd.DataFrame({**AMLB, column: names}).to_csv(tmp_path / "t.csv", index=False)
    frame = import_results("amlb", tmp_path / "t.csv", tmp_path / "out")
    assert frame["task" if column == "task" else "model"].tolist() == names
    assert frame["roc_auc_ovo"].tolist() == [0.5, 0.6]
    assert open_results(tmp_path / "out").frame["key"].is_unique


def test_unknown_kind_and_missing_file(tmp_path, capsys):
    assert main(["import", "tabzila", "x.csv", "--out", str(tmp_path / "o")]) == 2
    assert "did you mean 'tabzilla'" in capsys.readouterr().err
    assert main(["import", "amlb", "x.csv", "--out", str(tmp_path / "o")]) == 2
    assert "no such file" in capsys.readouterr().err


@needs_tabzilla
@pytest.mark.parametrize(("metric", "theirs"), [("accuracy", "Accuracy"), ("log_loss", "LogLoss"), ("f1", "F1")])
def test_tabzillas_published_rank_tables(metric, theirs, tmp_path):
    import_results("tabzilla", TABZILLA / "final18_tuned_aggregated_results.csv", tmp_path / "out")
    ours = open_results(tmp_path / "out").leaderboard(metric, "min").set_index("model")
    published = pd.read_csv(TABZILLA / "rank_tables" / f"final18_{theirs}_rank.csv", header=[0, 1], index_col=0).dropna(how="all")
    published.index = own_names(published.index)
    rank = published.iloc[:, 2].astype(float)
    assert len(ours) == len(rank) == 18
    assert ours["mean_rank"].round(2).reindex(rank.index).tolist() == rank.tolist()
    scaled = published.iloc[:, 3].astype(float)
    normal = ours["mean_normalized_score"].reindex(scaled.index)
    np.testing.assert_allclose(1 - normal if metric == "log_loss" else normal, scaled, atol=0.0051)
    assert (ours["n_tasks"] == 104).all()


def test_what_was_not_taken_as_written_is_said_and_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path / "data"))
    rows = [(name, fold, model, 0.1 + fold / 10, "roc_auc", False) for name in "ab" for fold in (0, 1) for model in ("x", "y")]
    table = pd.DataFrame(rows, columns=["dataset", "fold", "method", "metric_error", "metric", "imputed"])
    text = table.assign(time_train_s=1.0, time_infer_s=0.1).to_csv(index=False)
    head, *lines = text.splitlines()
    (tmp_path / "t.csv").write_text("\n".join([head, *(f"{line}," for line in lines)]), encoding="utf-8")
    assert main(["import", "tabarena", str(tmp_path / "t.csv"), "--out", str(tmp_path / "r")]) == 0
    said = "8 rows end with an empty field that the header does not name: it is left out"
    assert f"t.csv: {said}" in capsys.readouterr().out
    assert open_results(tmp_path / "r").manifest["imported"][0]["remarks"] == [said]
