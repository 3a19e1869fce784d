"""Layouts of results tables: what is read how, what is said, and what is asked for."""

import io
import json
from pathlib import Path

import pandas as pd
import pytest

from tabbench.cli import main

WIDE = "dataset,RF,XGB\niris,0.95,0.96\nwine,0.97,0.94\nzoo,0.91,0.93\ncar,0.88,0.97\n"
FOLDS = "fold,a,b\n" + "".join(f"{i},{0.8 + i / 100},{0.7 + i * i / 1000}\n" for i in range(6))


def long(head, line):
    rows = [row.split(",") for row in WIDE.splitlines()[1:]]
    lines = [line.format(model=m, dataset=row[0], score=row[i]) for row in rows for i, m in ((1, "RF"), (2, "XGB"))]
    return "\n".join([head, *lines]) + "\n"


def beside(name, cells):
    """WIDE with one more column behind the datasets."""
    lines = [line.partition(",") for line in WIDE.splitlines()]
    return "".join(f"{first},{cell},{rest}\n" for (first, _, rest), cell in zip(lines, [name, *cells], strict=True))


@pytest.fixture
def stats(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(text, *words):
        (tmp_path / "t.csv").write_text(text, encoding="utf-8")
        code = main(["stats", "t.csv", "--format", "json", *words])
        shown = capsys.readouterr()
        return json.loads(shown.out) if code == 0 else shown.err

    return run


def ranks(found):
    return {row["model"]: row["mean_rank"] for row in found["models"]}


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        (WIDE.replace(",", ";"), "semicolons"),
        (WIDE.replace(",", "\t"), "tabs"),
        (WIDE.replace(",", ";").replace("0.", "0,"), "semicolons"),
        ("".join(f"{i},{line}\n" for i, line in zip(["", 0, 1, 2, 3], WIDE.splitlines(), strict=True)), "only numbers the rows"),
        (WIDE + "Average,0.9275,0.95\n", "'Average' sum up the others"),
        (WIDE + "Mean rank,1.75,1.25\n", "'Mean rank' sum up the others"),
        (
            "".join(f"{line},{more}\n" for line, more in zip(WIDE.splitlines(), ["best", 0.96, 0.97, 0.93, 0.97], strict=True)),
            "'best' sum up the others",
        ),
        ("model,iris,wine,zoo,car\nRF,0.95,0.97,0.91,0.88\nXGB,0.96,0.94,0.93,0.97\n", "turned"),
        (long("learner_id,task_id,score", "{model},{dataset},{score}"), None),
        (long("classifier_name,dataset_name,metric,value", "{model},{dataset},auc,{score}"), "of the metric auc"),
        (long("ModelName,DatasetName,testAccuracy", "{model},{dataset},{score}"), None),
        (long("flow_name,data_id,predictive accuracy", "{model},{dataset},{score}"), None),
        (long("model,dataset,rank,acc", "{model},{dataset},1,{score}"), None),
        (long("model,dataset,fold,acc", "{model},{dataset},0,{score}\n{model},{dataset},mean,{score}"), "'mean' sum up"),
        (long("model,dataset,split,acc", "{model},{dataset},test,{score}\n{model},{dataset},train,0.99"), "'train' are left out"),
        (long("model,dataset,acc", "{model},{dataset},{score}") + "RF,ALL,.5\nXGB,ALL,.4\n", "'ALL' sum up"),
        (WIDE + "Avg. Rank,1.75,1.25\n# wins,1,3\n", "'Avg. Rank', '# wins' sum up"),
        (WIDE + "W/T/L,1/0/3,3/0/1\n", "'W/T/L' sum up"),
        (beside("n_samples", [150, 178, 101, 1728]), "'n_samples' describe the datasets"),
        (beside("domain", ["plants", "food", "animals", "-"]), "'domain' describe the datasets"),
        (beside("Rank", [2, 1, 2, 1]), "'Rank' sum up the others"),
        (beside("Best", ["XGB", "RF", "XGB", "XGB"]), "'Best' describe"),
        (beside("No.", [1, 2, 3, 4]), "'No.' only numbers the rows"),
        (beside("id", [61, 187, 62, 40975]), "'id' only numbers the rows"),
        (beside("set", ["test"] * 4), None),
        (
            WIDE.replace("RF,XGB", "RF_mean,XGB_mean,RF_std").replace("\n", ",.1\n").replace("_std,.1", "_std"),
            "are deviations of others",
        ),
        ("Method,Year,Type,iris,wine,zoo,car,Avg.\nRF,1,t,.95,.97,.91,.88,.93\nXGB,2,t,.96,.94,.93,.97,.95\n", "turned"),
        ("model,iris,wine,zoo,car\nRF,0.95,0.97,0.91,0.88\nXGB,0.96,0.94,0.93,0.97\nAverage,.9,.9,.9,.9\n", "sum up the others"),
    ],
)
def test_layouts_that_say_the_same(stats, text, remark):
    found = stats(text)
    assert found["n_datasets"] == 4
    assert {name.removesuffix("_mean"): rank for name, rank in ranks(found).items()} == {"XGB": 1.25, "RF": 1.75}
    assert any(remark in line for line in found["remarks"]) if remark else not found["remarks"]


def test_folds_without_a_dataset_are_one_dataset(stats):
    found, named = stats(FOLDS), stats(FOLDS.replace("fold,", "dataset,fold,").replace("\n", "\nx,")[:-2])
    assert found["n_datasets"] == 1
    assert found["within"] == named["within"]
    assert found["within"][0]["t"] is not None
    assert "folds of one" in found["remarks"][0]
    long = "seed,method,acc\n" + "".join(f"{i},{m},{0.5 + i / 50}\n" for i in range(4) for m in "ab")
    assert stats(long)["n_datasets"] == 1


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("a,b\n0.1,0.2\n0.3,0.4\n", "--dataset"),
        (",iris,wine\nRF,0.9,0.8\nXGB,0.8,0.9\nKNN,0.7,0.6\n", "--model-column"),
        ("model,accuracy,f1\nRF,0.9,0.8\nXGB,0.8,0.9\n", "--dataset"),
        ("dataset,model,metric,score\na,x,auc,0.5\na,y,auc,0.6\na,x,f1,0.1\na,y,f1,0.2\n", "--metric: auc, f1"),
        ("dataset,model,auc,f1\na,x,0.5,0.4\na,y,0.6,0.1\n", "--score: auc, f1"),
        ("dataset,task,model,auc\na,p,x,0.5\na,q,x,0.6\nb,p,x,0.6\nb,q,x,0.7\n", "'dataset' or 'task'"),
        ("model,score\nx,0.5\nx,0.6\ny,0.1\n", "--dataset"),
        (",a,b\n0,0.1,0.2\n1,0.3,0.4\n", "numbers the rows: are they datasets, --dataset '', or folds"),
        ("Datensatz,Modell,Wert\nd,x,0.5\nd,y,0.6\ne,x,0.5\ne,y,0.6\n", "column 'Modell' holds texts"),
        ("dataset,x_acc,x_auc,y_acc,y_auc\nd,0.5,0.6,0.7,0.8\n", "--metric: acc, auc"),
        ("dataset,accuracy,f1\nd,0.5,0.6\n", "'accuracy' is called like a measure"),
        ("name,x,y\naccuracy,0.5,0.6\nauc,0.4,0.5\n", "called like measures"),
        ("dataset,x,y\nd/0,0.5,0.6\nd/1,0.4,0.5\ne/0,0.5,0.6\ne/1,0.4,0.5\n", "are these folds?"),
        ("dataset,iris,wine\nRF,0.9,0.8\nXGB,0.8,0.9\nKNN,0.7,0.6\n", "--model-column 'dataset'"),
        ("dataset,model,split,acc\nd,x,train,.5\nd,x,val,.5\n", "says train, val: keep the rows of one"),
        ("dataset,fold,x,y\nd,0,.5,.6\nd,1,.4,\n", "y has a score on 1 of 2 folds: --empty failed or --empty not-run?"),
        ("dataset,x,y\nd,0.50 ± 0.01,.6\n", "'0.50 ± 0.01' in column 'x' is no finite score"),
        ("dataset,x,y\nd,91.2%,.6\n", "'91.2%' in column 'x'"),
        ("dataset,model,acc,status\nd,x,.5,ok\nd,y,.6,weird\n", "'weird': is that a failure?"),
        (",acc,acc\nmodel,x,y\ndataset,,\nd,.5,.6\n", "'acc'"),
    ],
)
def test_what_cannot_be_known_is_asked_for(stats, text, asked):
    error = stats(text)
    assert asked in error
    assert error.count("\n") == 1


def test_a_name_settles_it(stats):
    assert ranks(stats(",iris,wine\nRF,0.9,0.8\nXGB,0.8,0.9\n", "--model-column", "")) == {"RF": 1.5, "XGB": 1.5}
    tidy = "dataset,model,metric,score\na,x,auc,0.5\na,y,auc,0.6\na,x,f1,0.3\na,y,f1,0.2\n"
    assert ranks(stats(tidy, "--metric", "f1")) == {"x": 1.0, "y": 2.0}
    assert "no metric 'r2'" in stats(tidy, "--metric", "r2")
    assert "no column 'z'" in stats(tidy, "--dataset", "z")


def test_a_model_may_be_called_none_or_mean(stats):
    assert set(ranks(stats("dataset,model,auc\na,None,0.5\na,NA,0.6\nb,None,0.4\nb,NA,0.1\n"))) == {"None", "NA"}
    assert set(ranks(stats("dataset,Mean,x,y\na,0.5,0.6,0.9\nb,0.4,0.1,0.2\n"))) == {"Mean", "x", "y"}


def test_the_unit_of_the_rope_is_said_where_scores_are_no_shares(tmp_path, capsys):
    percent = WIDE.replace("0.", "")
    for text, said in ((percent, True), (WIDE, False)):
        (tmp_path / "t.csv").write_text(text, encoding="utf-8")
        assert main(["stats", str(tmp_path / "t.csv")]) == 0
        assert ("±0.01, is in units of the score" in capsys.readouterr().out) is said


def test_a_model_that_lacks_folds_or_datasets_has_not_failed(stats):
    rows = [f"{d},{m},{f},{0.5 + 0.1 * 'cba'.index(m) + f / 100}" for d in "pqr" for m in "abc" for f in range(3)]
    head = "dataset,model,fold,auc\n"
    one_fold = stats(head + "\n".join(row for row in rows if not (",a," in row and ",0," not in row)))
    assert ranks(one_fold) == {"a": 1.0, "b": 2.0, "c": 3.0}
    assert "a: 1 of 3 folds on 3 datasets (p, …): compared on the 1 in common" in one_fold["remarks"]
    one_dataset = stats(head + "\n".join(row for row in rows if not (",a," in row and not row.startswith("q"))))
    assert (one_dataset["n_datasets"], one_dataset["n_known"]) == (1, 3)
    assert {row["model"]: row["n_not_run"] for row in one_dataset["models"]} == {"a": 2, "b": 0, "c": 0}
    apart = stats("dataset,model,auc\n" + "\n".join(["p,a,0.1", "p,b,0.2", "q,a,0.3", "q,b,0.2", "s,mine,0.9"]))
    assert apart["left_out"] == ["mine"]
    assert set(ranks(apart)) == {"a", "b"}


def test_folds_in_names_of_rows_and_columns_are_folds(stats):
    by_fold = FOLDS.splitlines()[1:]
    right = stats(FOLDS)["within"]
    for head in ("name", "", "dataset"):
        named = f"{head},a,b\n" + "".join(f"fold {line}\n" for line in by_fold)
        assert stats(named)["within"] == right
    assert stats(FOLDS.replace("fold", "cv split"))["within"] == right
    columns = zip(*(line.split(",") for line in by_fold), strict=True)
    heads = ["model," + ",".join(f"split{i}" for i in next(columns))]
    assert stats("\n".join(heads + [f"{m},{','.join(cells)}" for m, cells in zip("ab", columns, strict=True)]))["within"] == right
    two = "dataset,a,b\n" + "".join(f"{d}_fold{line}\n" for d in ("p", "q") for line in by_fold)
    assert stats(two)["n_datasets"] == 2
    assert stats(two, "--dataset", "dataset")["n_datasets"] == 12


def test_losses_are_known_by_their_names(stats):
    rows = [("d", 0.1, 0.2), ("e", 0.3, 0.4), ("f", 0.5, 0.6)]

    def score(name, sign=1):
        return f"dataset,model,{name}\n" + "".join(f"{d},a,{sign * a}\n{d},b,{sign * b}\n" for d, a, b in rows)

    for name in ("log_loss", "test error", "RMSE", "brier", "ece"):
        found = stats(score(name))
        assert ranks(found) == {"a": 1.0, "b": 2.0}
        assert "less is better" in found["remarks"][-1]
        assert ranks(stats(score(name), "--greater-is-better")) == {"a": 2.0, "b": 1.0}
    for name in ("auc", "neg_log_loss", "score"):
        assert ranks(stats(score(name))) == {"a": 2.0, "b": 1.0}
    assert ranks(stats(score("log_loss", -1))) == {"a": 1.0, "b": 2.0}  # negated, though not called so
    tidy = score("value").replace("value", "value,metric").replace("\n", ",logloss\n").replace("metric,logloss", "metric")
    assert ranks(stats(tidy)) == {"a": 1.0, "b": 2.0}
    assert ranks(stats("dataset,a_error,b_error\nd,0.1,0.2\n")) == {"a_error": 1.0, "b_error": 2.0}
    both = "dataset,a_auc,a_loss,b_auc,b_loss\nd,0.1,0.1,0.2,0.2\n"
    assert ranks(stats(both, "--metric", "loss")) == {"a_loss": 1.0, "b_loss": 2.0}
    assert ranks(stats(both, "--metric", "auc")) == {"a_auc": 2.0, "b_auc": 1.0}


def test_names_are_what_is_written(stats):
    text = "dataset,model,auc\n" + "".join(f"{d},{m},{s}\n" for d in ("1", "01", "1.0") for m, s in (("1", 0.5), ("01", 0.6)))
    found = stats(text)
    assert (found["n_datasets"], ranks(found)) == (3, {"01": 1.0, "1": 2.0})
    found = stats("dataset,model,auc\nd,RF,.5\nd,XGB,.6\ne,rf,.5\ne,XGB,.6\n")
    assert "'RF' and 'rf' are taken for two models" in found["remarks"]


@pytest.mark.parametrize(
    "text",
    [
        "dataset;a;a\nd;0,5;0,6\ne;0,6;0,7\n",
        "Dataset & A & A \\\\\nd1 & .5 & .6 \\\\\nd2 & .6 & .7 \\\\\n",
        "Dataset & A & B \\\\\nd1 & 0,5 & 0,6 \\\\\nd2 & 0,6 & 0,7 \\\\\n",
    ],
)
def test_two_columns_of_one_name_are_one_line_whatever_their_numbers(text, tmp_path, capsys):
    (tmp_path / "t.csv").write_text(text)
    assert main(["stats", str(tmp_path / "t.csv")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(("cell", "state"), [("timeout", "failed"), ("OOM", "failed"), ("", "failed"), ("not run", "absent")])
def test_a_cell_says_whether_a_model_failed_or_was_not_run(stats, cell, state):
    found = stats(f"dataset,a,b\np,.5,{cell}\nq,.5,.6\nr,.5,.6\n")
    b = next(row for row in found["models"] if row["model"] == "b")
    assert (b["n_missing"], b["n_not_run"], b["mean_rank"]) == {"failed": (1, 0, 4 / 3), "absent": (0, 1, 1.0)}[state]
    assert (found["n_datasets"], found["n_known"]) == {"failed": (3, 3), "absent": (2, 3)}[state]
    assert any("count as failures" in line for line in found["remarks"]) is (state == "failed")
    if cell == "":
        assert stats("dataset,a,b\np,.5,\nq,.5,.6\n", "--empty", "not-run")["n_datasets"] == 1


def test_rows_with_a_status_count_as_it_says(stats):
    rows = "dataset,model,acc,status\np,a,.9,ok\np,b,0,failed\nq,a,.9,ok\nq,b,1,ok\nr,a,.8,ok\nr,b,,skipped\n"
    found = stats(rows)
    b = next(row for row in found["models"] if row["model"] == "b")
    assert (b["n_missing"], b["n_not_run"], b["mean_score"]) == (1, 1, 1.0)


def test_gaps_of_folds_are_what_one_says(stats):
    text = "dataset,fold,a,mine\n" + "".join(f"{d},{f},.5,{'' if f else 0.6}\n" for d in "pqr" for f in range(3))
    assert ranks(stats(text, "--empty", "not-run")) == {"mine": 1.0, "a": 2.0}
    assert ranks(stats(text, "--empty", "failed")) == {"mine": 2.0, "a": 1.0}
    undefined = "dataset,fold,a,b\np,0,.5,.6\np,1,,\nq,0,.4,.7\nq,1,.4,.7\n"
    found = stats(undefined)
    assert (found["n_missing"], ranks(found)) == (0, {"b": 1.0, "a": 2.0})


def test_seeds_of_every_model_for_itself_are_averaged(stats):
    lines = [f"{d},{m},{10 * i + s},{0.5 + 0.1 * i + s / 100}" for d in "pq" for i, m in enumerate("ab") for s in range(3)]
    found = stats("dataset,model,seed,acc\n" + "\n".join(lines))
    assert {row["model"]: round(row["mean_score"], 6) for row in found["models"]} == {"a": 0.51, "b": 0.61}


def test_an_index_of_parquet_names_the_rows(tmp_path, capsys):
    table = pd.read_csv(io.StringIO(WIDE)).set_index("dataset")
    table.to_parquet(tmp_path / "t.parquet")
    assert main(["stats", str(tmp_path / "t.parquet"), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["n_datasets"] == 4


CASES = Path(__file__).parents[2] / "shared" / "cases"


@pytest.mark.skipif(not CASES.exists(), reason="the examples are not beside this checkout")
class TestExamples:
    """Each file of ../shared/cases as its README says."""

    def found(self, capsys, *words):
        code = main(["stats", *map(str, words), "--format", "json"])
        shown = capsys.readouterr()
        return json.loads(shown.out) if code == 0 else shown.err

    def test_folds_of_one_dataset(self, capsys):
        with_name = self.found(capsys, CASES / "stats_layout/dataset_fold.csv")
        without = self.found(capsys, CASES / "stats_layout/fold.csv")
        assert with_name["within"] == without["within"]
        assert without["within"][0]["t"] == pytest.approx(15.28, abs=0.005)

    def test_an_index_is_no_model(self, capsys):
        assert not [name for name in ranks(self.found(capsys, CASES / "stats_layout/wide_index.csv")) if "Unnamed" in name]

    def test_models_in_rows_are_asked_for_or_turned(self, capsys):
        found = self.found(capsys, CASES / "stats_layout/transposed.csv")
        assert "--model-column" in found if isinstance(found, str) else any("turned" in line for line in found["remarks"])

    def test_a_model_with_one_fold_of_ten(self, capsys):
        found = self.found(capsys, CASES / "absent/onefold.csv", "--score", "auc")
        assert found["models"][0]["model"] == "mine"
        assert found["models"][0]["mean_rank"] == 1.0
        assert any("mine: 1 of 10 folds" in line for line in found["remarks"])

    def test_six_datasets_that_agree(self, capsys):
        first = self.found(capsys, CASES / "intervals/dominates.csv")["models"][0]
        assert first["rating_high"] - first["rating_low"] > 100
        assert first["rank_high"] > first["rank_low"]
