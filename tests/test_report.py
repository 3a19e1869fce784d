"""The report: what it says, that it escapes and is self-contained, and that a browser shows it."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from benchmarks.support.browser import browse
from benchmarks.support.synthetic_results import MODELS, make_manifest, make_results, spoil
from tabbench.metrics import METRICS
from tabbench.report.curves import learning_curves
from tabbench.report.leaderboard import Table
from tabbench.report.page import render, write_report
from tabbench.report.plots import pareto_front
from tabbench.report.tables import dataset_facts, heat_map, n_not_run, reasons
from tabbench.report.verdict import compare, verdict
from tabbench.stats.bayes import nadeau_bengio
from tests.support.browser import needs_chromium

FEW = ["roc_auc_ovo", "log_loss"]


@pytest.fixture(scope="module")
def page():
    results = make_results(23)
    return render(results, make_manifest(results))


def two_models(n_tasks, lead):
    """Models a and b on one fold of n_tasks datasets; lead(i) is by how much a is better on dataset i."""
    return pd.DataFrame(
        [
            {"task": f"t{i}", "repeat": 0, "fold": 0, "model": m, "status": "ok", "n_train": 10, "n_test": 5}
            | {"roc_auc_ovo": 0.7 + (lead(i) if m == "a" else 0), "fit_seconds": 1.0, "predict_seconds": 1.0}
            for i in range(n_tasks)
            for m in "ab"
        ]
    )


def said(results):
    answer = verdict(compare(Table(results), "roc_auc_ovo"), "AUC")
    return answer.certainty, " ".join([answer.headline, *answer.sentences])


def test_it_says_what_matters(page):
    assert "pfn has the best mean rank by ROC AUC" in page
    assert "These datasets do not decide between pfn and lightgbm, catboost, random_forest and xgboost" in page
    for expected in (*MODELS, *(f'data-metric="{metric}"' for metric in METRICS)):
        assert expected in page
    assert "stopped after the time limit of 60 s" in page
    assert "memory 1/3" in page
    assert "1,024 of " in page
    assert "tabbench run --data &#39;my table.csv&#39;" in page
    assert "0123456789abcdef" in page
    assert "of the Nemenyi test, α = 0.05" in page


def test_data_is_escaped(page):
    assert "<b>odd</b>" not in page
    assert "&lt;b&gt;odd" in page
    assert "no such &lt;file&gt;" in page
    assert "javascript:" not in page


def test_nothing_is_loaded_from_elsewhere(page):
    assert "default-src 'none'" in page
    assert not re.search(r"url\(|@import|<link|<iframe|<img|<base|fetch\(|XMLHttpRequest|import\(", page)
    assert not re.search(r"\b(src|srcset|action|data|poster|xlink:href)\s*=", page)
    elsewhere = re.findall(r"<[^>]*https?://[^>]*>", page)
    assert elsewhere == ['<a href="https://example.org/task00" rel="noreferrer">']


TEXT_ON_GROUND = [("ink", "paper"), ("soft", "paper"), ("soft", "tint"), ("ink", "tint"), ("mark", "paper"), ("bad", "paper")]
TEXT_ON_GROUND += [("ink", "h1"), ("ink", "h2"), ("ink", "h3"), ("on4", "h4")]


def test_text_keeps_its_contrast_in_both_themes(page):
    """4.5 : 1 at least, WCAG 2.1, success criterion 1.4.3."""

    def luminance(colour):
        digits = colour if len(colour) == 6 else "".join(2 * digit for digit in colour)
        parts = np.array([int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    themes = [dict(re.findall(r"--(\w+): #(\w+)", block)) for block in re.findall(r":root \{(.*?)\}", page, re.DOTALL)]
    assert len(themes) == 2
    for theme in themes:
        for text, ground in TEXT_ON_GROUND:
            low, high = sorted((luminance(theme[text]), luminance(theme[ground])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)


def test_figures_have_words_and_what_scrolls_or_asks_has_a_name(page):
    assert page.count("<svg ") == len(re.findall(r'<svg [^>]*role="img" aria-label="[^"]{20,}"', page))
    regions = re.findall(r'class="scroll" tabindex="0" role="region" aria-label="[^"]+"', page)
    assert page.count('class="scroll"') == len(regions) > 20
    asked = re.findall(r'<(?:input|select) [^>]*id="([\w-]+)"[^>]*>', page)
    assert len(asked) >= 9
    for field in asked:
        assert re.search(rf'for="{field}"|<label>[^<]*<(?:input|select) [^>]*id="{field}"', page), field


def test_same_numbers_same_bytes():
    results = make_results(6, models=["dummy", "logreg", "catboost"], metrics=FEW)
    manifest = make_manifest(results)
    assert render(results, manifest) == render(results.sample(frac=1, random_state=0), manifest)


@pytest.mark.parametrize("n_tasks", [1, 2])
@pytest.mark.parametrize("models", [["logreg"], ["dummy", "tree"]])
def test_little_data_is_enough(n_tasks, models, tmp_path):
    results = make_results(n_tasks, models=models, metrics=FEW)
    write_report(tmp_path, results, make_manifest(results))
    assert {path.name for path in tmp_path.iterdir()} == {"leaderboard.csv", "leaderboard.md", "report.html"}
    shown = "Pairs on the folds of the dataset" in (tmp_path / "report.html").read_text()
    assert shown == (n_tasks == 1 and len(models) == 2)


def test_everything_failed():
    results = make_results(3)
    for model in MODELS:
        for task in results["task"].unique():
            spoil(results, model, task, "failed", "no luck")
    text = render(results, make_manifest(results))
    assert "no model has a score on any dataset" in text
    assert "no luck" in text
    assert "task00, task01, task02" in text
    assert text.count('class="view"') == 1


def test_metrics_that_were_not_recorded_are_not_offered():
    results = make_results(3, models=["dummy", "tree"], metrics=["log_loss", "accuracy"])
    selector = render(results, make_manifest(results)).split('<select id="metric">')[1].split("</select>")[0]
    offered = re.findall(r'<option value="(\w+)"( selected)?>', selector)
    assert offered == [("accuracy", " selected"), ("log_loss", "")]


def test_an_unfinished_run_from_elsewhere_is_shown():
    results = make_results(5, metrics=FEW).iloc[:-7]
    manifest = {**make_manifest(results), "tasks": [], "finished": None, "git": None}
    text = render(results, manifest)
    assert n_not_run(results) == 7
    assert "7 have not run" in text
    assert "not run" in text
    assert dataset_facts(results, [])["n_rows"].notna().all()


def test_a_run_that_was_stopped_at_once_has_a_report():
    results = make_results(2)
    assert "no model has a score on any dataset" in render(results.iloc[:0], make_manifest(results))


def test_learning_curves_appear_with_several_sizes():
    results = make_results(5, sizes=(128, 256, 512), models=["logreg", "catboost"], metrics=FEW)
    text = render(results, make_manifest(results))
    assert 'id="curves-log_loss"' in text
    assert "mean of 5 datasets" in text
    assert ">128<" in text
    assert "1 thread a job" in text
    assert "At full size, fitted" in text
    assert "At full size, fitted" not in render(results[results["max_rows"] > 128], make_manifest(results))


def test_learning_curves_lead_to_full_size():
    results = make_results(6, models=["logreg", "dummy"], sizes=(None, 64, 128, 256, 512), metrics=FEW)
    comparison = compare(Table(results), "roc_auc_ovo")
    endings = {ending.model: ending for ending in learning_curves(comparison, results, "AUC").endings}
    assert set(endings) == {"logreg", "dummy"}
    end = endings["logreg"]
    assert end.n_sizes == 4
    assert end.measured == pytest.approx(comparison.scores.table["logreg"].mean())
    assert end.largest == pytest.approx(comparison.scores.table["logreg [stratified 512 rows]"].mean())
    assert 0 <= end.error < 0.2
    assert end.largest <= end.fitted <= end.doubled  # a power law of a score only rises


def test_learning_curves_tell_configurations_and_policies_apart():
    results = make_results(5, sizes=(128, 256), models=["logreg"], metrics=FEW)
    coreset = results.assign(row_policy="coreset", model=results["model"].str.replace("stratified", "coreset"))
    named = coreset.assign(model=coreset["model"].str.replace("[", "[C=2, "))
    text = render(pd.concat([results, coreset, named], ignore_index=True), make_manifest(results))
    for line in ("logreg [stratified]", "logreg [coreset]", "logreg [C=2, coreset]"):
        assert f">{line}<" in text
    assert ">logreg [C=2]<" in render(named, make_manifest(results))


def test_heat_map_tells_scores_and_reasons():
    results = make_results(4)
    comparison = compare(Table(results), "log_loss")
    rows = heat_map(comparison, ["task02", "task00", "task01", "task03"], reasons(results))
    assert [row.name for row in rows] == ["task02", "task00", "task01", "task03"]
    cells = dict(zip(comparison.board["model"], rows[0].cells, strict=True))
    assert (cells["tree"].text, cells["tree"].shade) == ("failed", "bad")
    assert cells["svm"].text == "memory 1/3"
    best = comparison.scores.table.loc["task02"].idxmin()
    assert [model for model, cell in cells.items() if cell.marked] == [best]
    assert cells[best].text == f"{comparison.scores.table.loc['task02', best]:.3f}"
    assert cells[best].shade == 4


def test_a_fold_that_has_not_run_is_told_from_an_undefined_score():
    results = make_results(4, models=["logreg", "tree"])
    results.loc[(results["task"] == "task00") & (results["model"] == "tree"), "roc_auc_ovo"] = np.nan
    results = results.drop(results.index[(results["task"] == "task01") & (results["model"] == "tree")][:2])
    why = reasons(results)
    assert (why["task00", "tree"], why["task01", "tree"], why["task02", "tree"]) == ("undefined", "not run 2/3", "failed")


def test_verdict_of_chance():
    noise = np.random.default_rng(3).normal(size=12)
    certainty, text = said(two_models(12, lambda i: 0.01 * noise[i]))
    assert certainty == "low"
    assert "no larger than chance" in text


def test_verdict_names_the_fastest_of_the_undecided():
    rows = two_models(20, lambda i: 0.01 if i < 12 else -0.02)
    c = rows[rows["model"] == "b"].assign(model="c", roc_auc_ovo=0.5)
    rows.loc[rows["model"] == "a", "fit_seconds"] = 7.0
    certainty, text = said(pd.concat([rows, c], ignore_index=True))
    assert certainty == "moderate"
    assert said(pd.concat([rows, c, rows[rows["model"] == "b"].assign(model="d")]))[0] == "low"  # ahead of c alone
    assert "do not decide between a and b" in text
    seconds = [1000 * fit / 10 + 1000 / 5 for fit in (7, 1)]
    assert f"of its rank, b is the fastest (fit and predict): a takes {seconds[0] / seconds[1]:.1f} times as long." in text


def test_verdict_names_a_few_of_many():
    one = two_models(20, lambda i: 0.0)
    crowd = [one[one["model"] == "a"].assign(model=f"m{j:02}") for j in range(12)]
    assert (
        "m00, m01, m02, m03, m04, m05, m06 and 5 others share the best mean rank" in said(pd.concat(crowd, ignore_index=True))[1]
    )


def test_verdict_of_a_clear_lead():
    certainty, text = said(two_models(20, lambda i: 0.01 + 0.001 * i))
    assert certainty == "high"
    assert "a has the best mean rank by AUC: 1.00 among 2 models on 20 datasets." in text
    assert "a is ahead of every other model beyond chance" in text
    assert "Few datasets" not in text


def test_verdict_is_more_careful_with_few_datasets():
    certainty, text = said(two_models(8, lambda i: 0.01 + 0.001 * i))
    assert certainty == "moderate"
    assert "Few datasets (8)" in text


def test_verdict_without_a_test():
    rows = two_models(6, lambda i: 0.01)
    assert said(rows[rows["model"] == "a"])[0] == "none"
    assert "ran alone" in said(rows[rows["model"] == "a"])[1]
    assert said(rows[rows["task"] == "t0"])[0] == "none"
    assert "One dataset says nothing" in said(rows[rows["task"] == "t0"])[1]
    assert "a and b share the best mean rank" in said(two_models(6, lambda i: 0.0))[1]


def test_of_one_dataset_the_folds_are_compared():
    """The share of test rows is that of the folds; a model without one of them is left out."""
    noise = np.random.default_rng(0).normal(size=(10, 3))
    rows = [
        {"task": "t", "repeat": 0, "fold": fold, "model": m, "status": "ok", "n_train": 90, "n_test": 10}
        | {"roc_auc_ovo": 0.8 + 0.01 * noise[fold, i] - 0.05 * (m == "c"), "fit_seconds": 1.0, "predict_seconds": 1.0}
        for fold in range(10)
        for i, m in enumerate("abc")
    ]
    results = pd.DataFrame(rows)
    pairs = compare(Table(results), "roc_auc_ovo").scores.within.set_index(["model_a", "model_b"])
    scores = results.pivot(index="fold", columns="model", values="roc_auc_ovo")
    best, other = scores[["a", "b"]].mean().sort_values(ascending=False).index
    assert pairs.index.tolist() == [(best, other), (best, "c"), (other, "c")]
    assert pairs.loc[(best, "c"), "p"] == pytest.approx(nadeau_bengio((scores[best] - scores["c"]).to_numpy(), 0.1)[1])
    certainty, text = said(results)
    assert certainty == "none"
    assert f"On its folds {best} is ahead of c beyond chance" in text
    assert "do not tell" in said(results[results["model"] != "c"])[1]
    assert len(compare(Table(results.drop(index=5)), "roc_auc_ovo").scores.within) == 1
    assert compare(Table(results[results["fold"] == 0]), "roc_auc_ovo").scores.within.empty


def test_verdict_owns_up_to_a_leader_that_loses_the_direct_comparison():
    """b beats a widely on 15 of 20 datasets; narrowly behind on the rest, it falls behind four others as well."""
    rows = two_models(20, lambda i: -0.1 if i < 15 else 0.01)
    b = rows[rows["model"] == "b"]
    others = [b.assign(model=f"c{j}", roc_auc_ovo=np.where(np.arange(20) < 15, 0.3, 0.7001) + 0.001 * j) for j in range(4)]
    certainty, text = said(pd.concat([rows, *others], ignore_index=True))
    assert certainty == "low"
    assert "a has the best mean rank by AUC: 1.75" in text
    assert "b is ahead of a beyond chance" in text
    assert "a is ahead of c3, c2, c1 and c0" in text


def test_pareto_front():
    cost, quality = np.array([1.0, 2.0, 3.0, 2.0, 4.0]), np.array([0.1, 0.5, 0.4, 0.2, 0.9])
    assert pareto_front(cost, quality).tolist() == [0, 1, 4]


@needs_chromium
def test_a_browser_shows_it_and_asks_nobody(page, tmp_path):
    """The page sorts and switches by its own buttons, and the browser's log names no host but those the browser itself calls."""
    script = """<script>
      const metric_ = document.getElementById("metric"); metric_.value = "log_loss"; metric_.dispatchEvent(new Event("change"));
      document.querySelector('.view:not([hidden]) .board th:nth-child(6) button').click();
    </script></body>"""
    driven, plain = tmp_path / "driven.html", tmp_path / "report.html"
    plain.write_text(page)
    driven.write_text(page.replace("</body>", script))
    dom = browse(plain, tmp_path)
    assert dom.count("<svg") >= 2
    assert re.findall(r'class="view" data-metric="(\w+)">', dom) == ["roc_auc_ovo"]
    maker = ("google.com", "googleapis.com", "gstatic.com", "gvt1.com")  # Chromium may call it
    assert [host for host in hosts(tmp_path / "net.json") if not host.endswith(maker)] == []  # not even the link it shows
    dom = browse(driven, tmp_path)
    shown = re.findall(r'class="view" data-metric="(\w+)">', dom)
    assert shown == ["log_loss"]
    board = dom[dom.index('id="leaderboard-log_loss"') :]
    assert 'aria-sort="ascending"' in board[: board.index("</thead>")]
    first = re.search(r'<tbody>\s*<tr><th scope="row" title="(\w+)">', board)
    assert first
    assert first.group(1) == "dummy"


def hosts(log):
    events = json.loads(log.read_text())["events"]
    urls = [event.get("params", {}).get("url", "") for event in events if isinstance(event.get("params"), dict)]
    return {url.split("/")[2].split(":")[0] for url in urls if url.startswith(("http", "ws"))}
