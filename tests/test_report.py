"""The report: what it says, that it escapes and is self-contained, and that a browser shows it."""

import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from tabbench.report.leaderboard import score_table
from tabbench.report.page import render, verdict, write_report
from tabbench.report.plots import pareto_front
from tests.synthetic_results import MODELS, make_manifest, make_results, spoil

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def page():
    results = make_results(23)
    return render(results, make_manifest(results))


def test_it_says_what_matters(page):
    assert "catboost leads on 23 datasets" in page
    assert "beyond chance (Wilcoxon signed-rank, Holm, 5%)" in page
    for model in MODELS:
        assert model in page
    assert "stopped after the time limit of 60 s" in page
    assert "100 of 900 rows (stratified)" in page
    assert "tabbench run --suite synthetic" in page
    assert "0123456789abcdef" in page


def test_data_is_escaped(page):
    assert "<b>odd</b>" not in page
    assert "&lt;b&gt;odd" in page
    assert "no such &lt;file&gt;" in page


def test_nothing_is_loaded_from_elsewhere(page):
    assert "default-src 'none'" in page
    assert not re.search(r"""(src|srcset|action|data)\s*=\s*["']?\s*(https?:)?//""", page)
    assert not re.search(r"url\(|@import|<link|<iframe|fetch\(|XMLHttpRequest", page)


def test_same_numbers_same_bytes():
    results = make_results(6)
    manifest = make_manifest(results)
    assert render(results, manifest) == render(results.sample(frac=1, random_state=0), manifest)


@pytest.mark.parametrize("n_tasks", [1, 2])
@pytest.mark.parametrize("models", [["tree"], ["dummy", "tree"]])
def test_little_data_is_enough(n_tasks, models, tmp_path):
    results = make_results(n_tasks)
    results = results[results["model"].isin(models)].reset_index(drop=True)
    write_report(tmp_path, results, make_manifest(results))
    assert {path.name for path in tmp_path.iterdir()} == {"leaderboard.csv", "leaderboard.md", "report.html"}


def test_everything_failed():
    results = make_results(3)
    for model in MODELS:
        for task in results["task"].unique():
            spoil(results, model, task, "failed", "no luck")
    text = render(results, make_manifest(results))
    assert "No model has a score on any dataset" in text
    assert "no luck" in text


def test_learning_curves_appear_with_several_sizes():
    results = make_results(5, sizes=(128, 256, 512))
    text = render(results, make_manifest(results))
    assert 'id="curves"' in text
    assert ">128<" in text


def test_verdicts():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        [
            {"task": f"t{i}", "repeat": 0, "fold": 0, "model": m, "status": "ok", "roc_auc_ovo": rng.random()}
            for i in range(6)
            for m in "ab"
        ]
    )
    text = " ".join(verdict(score_table(rows)))
    assert "could be chance" in text
    assert "6 datasets are few" in text
    assert "ran alone" in " ".join(verdict(score_table(rows[rows["model"] == "a"])))
    assert "One dataset says nothing" in " ".join(verdict(score_table(rows[rows["task"] == "t0"])))


def test_pareto_front():
    cost, quality = np.array([1.0, 2.0, 3.0, 2.0, 4.0]), np.array([0.1, 0.5, 0.4, 0.2, 0.9])
    assert pareto_front(cost, quality).tolist() == [0, 1, 4]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_browser_shows_it_and_asks_nobody(page, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(page)
    log = tmp_path / "net.json"
    options = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    options += " --disable-component-update --disable-sync --virtual-time-budget=3000 --dump-dom"
    command = [CHROMIUM, *options.split(), f"--user-data-dir={tmp_path / 'profile'}", f"--log-net-log={log}", path.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert "catboost leads on 23 datasets" in dom
    assert dom.count("<svg") >= 2
    hosts = set(re.findall(r'"url":"(?:https?|wss?)://([^/"]+)', log.read_text()))
    assert {host for host in hosts if "google" not in host} == set()  # the browser's own calls are not the page's
