"""What a user sees of a run before it ends: standings, a draft of the report; and of its results in a notebook."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tabbench import api
from tabbench.cli import main
from tabbench.engine.standings import METRIC, Standings
from tabbench.folders import draft
from tabbench.job import Job

JOBS = [Job(task, task, 0, fold, "s", model) for task in ("a", "b") for fold in (0, 1) for model in ("good", "bad", "lost")]
SCORES = {"good": 0.9, "bad": 0.6}


def outcomes(jobs):
    for job in jobs:
        status = "failed" if job.model == "lost" else "ok"
        yield job, status, {METRIC: SCORES[job.model]} if status == "ok" else {}


def test_a_dataset_counts_when_everybody_has_ended():
    standings = Standings(JOBS)
    complete = [standings.add(*outcome) for outcome in outcomes(JOBS)]
    assert [i for i, is_complete in enumerate(complete) if is_complete] == [5, 11]
    assert standings.mean_ranks == [("good", 1.0), ("bad", 2.0), ("lost", 3.0)]
    assert str(standings) == "mean ranks on 4 folds of 2 datasets: good 1.00, bad 2.00, lost 3.00"


def test_of_one_dataset_every_fold_counts_and_of_none_nothing():
    standings = Standings(JOBS[:6])
    assert standings.mean_ranks == []
    assert [standings.add(*outcome) for outcome in outcomes(JOBS[:6])] == [False, False, True] * 2
    trials = Standings([replace(job, protocol="tabbench") for job in JOBS])
    assert not trials.add(replace(JOBS[0], protocol="tabbench"), "ok", {METRIC: 1.0})


def test_a_fold_without_a_score_is_not_ranked():
    standings = Standings(JOBS[:3])
    assert standings.add(JOBS[0], "ok", {METRIC: np.nan}) is False
    assert [standings.add(*outcome) for outcome in outcomes(JOBS[1:3])] == [False, True]
    assert standings.n_folds == 0


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path / "data"))
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=90), "y": np.arange(90) % 2})
    frame.to_csv("t.csv", index=False)
    return frame


def test_ranks_are_printed_as_they_come_and_the_report_can_be_read_meanwhile(table, capsys, monkeypatch):
    drafts = []
    monkeypatch.setattr(draft, "FIRST_SECONDS", 0.0)
    written = draft.Draft._write
    monkeypatch.setattr(
        draft.Draft, "_write", lambda self: (written(self), drafts.append((self.folder / "report.html").read_text()))
    )
    monkeypatch.setattr("webbrowser.open", lambda address: print(f"opened {address}") or True)
    assert main(["run", "--data", "t.csv", "--target", "y", "--models", "dummy,tree", "--out", "r", "--open"]) == 0
    out, err = capsys.readouterr()
    assert [int(n) for n in re.findall(r"mean ranks on (\d) folds of 1 dataset", err)] == [1, 2, 3]
    assert "opened file://" in out
    assert "not finished" in drafts[0]
    assert main(["verify", "r"]) == 0


def test_results_are_a_table_in_a_notebook(table, tmp_path):
    results = api.run(data=table, target="y", models=["dummy", "tree"], out=tmp_path / "r", quiet=True)
    html = results._repr_html_()
    assert "<td>tree</td>" in html
    assert "report.html" in html
