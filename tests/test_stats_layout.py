"""Layouts of results tables: what is read how, what is said, and what is asked for."""

import json

import pytest

from tabbench.cli import main

WIDE = "dataset,RF,XGB\niris,0.95,0.96\nwine,0.97,0.94\nzoo,0.91,0.93\ncar,0.88,0.97\n"
FOLDS = "fold,a,b\n" + "".join(f"{i},{0.8 + i / 100},{0.7 + i * i / 1000}\n" for i in range(6))


def long(head, line):
    rows = [row.split(",") for row in WIDE.splitlines()[1:]]
    lines = [line.format(model=m, dataset=row[0], score=row[i]) for row in rows for i, m in ((1, "RF"), (2, "XGB"))]
    return "\n".join([head, *lines]) + "\n"


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
        (WIDE + "Average,0.9275,0.95\n", "'Average' sum up the datasets"),
        (WIDE + "Mean rank,1.75,1.25\n", "'Mean rank' sum up the datasets"),
        (
            "".join(f"{line},{more}\n" for line, more in zip(WIDE.splitlines(), ["best", 0.96, 0.97, 0.93, 0.97], strict=True)),
            "'best' sum up the models",
        ),
        ("model,iris,wine,zoo,car\nRF,0.95,0.97,0.91,0.88\nXGB,0.96,0.94,0.93,0.97\n", "turned"),
        (long("learner_id,task_id,score", "{model},{dataset},{score}"), None),
        (long("classifier_name,dataset_name,metric,value", "{model},{dataset},auc,{score}"), "of the metric auc"),
    ],
)
def test_layouts_that_say_the_same(stats, text, remark):
    found = stats(text)
    assert (found["n_datasets"], ranks(found)) == (4, {"XGB": 1.25, "RF": 1.75})
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
