"""The page's own statistics, in a browser, against Python's: for everything, and for choices of datasets and models."""

import html
import json
import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from benchmarks.support.browser import browse
from benchmarks.support.synthetic_results import MODELS, make_manifest, make_results
from tabbench.metafeatures.analysis import correlations
from tabbench.report.gaps import gap_between
from tabbench.report.leaderboard import Table, leaderboard, scores_of
from tabbench.report.page import render
from tabbench.report.tables import dataset_facts
from tabbench.report.verdict import compare
from tabbench.stats.draws import N_DRAWS
from tabbench.stats.failures import fill_worst
from tabbench.stats.ranks import normalized_scores, outcomes, rank_table, win_rates
from tabbench.stats.ratings import rank_intervals, ratings
from tabbench.stats.significance import cliques, friedman, nemenyi_cd, pairwise_wilcoxon
from tests.support.browser import needs_chromium

CHOICES = {
    "everything": ({}, [], lambda f: f["n_rows"] > 0),
    "sizes": ({"rows-from": "1000", "rows-to": "12000"}, ["dummy", "pfn"], lambda f: f["n_rows"].between(1000, 12000)),
    "two classes": ({"classes": "two", "missing": "none"}, [], lambda f: (f["n_classes"] == 2) & (f["n_missing"] == 0)),
    "categories": (
        {"categorical": "none", "features-from": "6"},
        ["tree"],
        lambda f: (f["n_categorical"] == 0) & (f["n_features"] >= 6),
    ),
    "two models": ({"classes": "more"}, MODELS[2:], lambda f: f["n_classes"] > 2),
}
METRICS_TRIED = ["roc_auc_ovo", "log_loss"]
DRIVER = """<pre id="answers"></pre><script>
  const answers = {};
  for (const [name, [fields, off]] of Object.entries(CHOICES)) for (const measure of METRICS) {
    form.reset();
    for (const [id, value] of Object.entries(fields)) document.getElementById(id).value = value;
    form.querySelectorAll("[name=model]").forEach((box, i) => { box.checked = !off.includes(numbers.models[i]); });
    metric.value = measure; metric.dispatchEvent(new Event("change"));
    answers[`${name} ${measure}`] = { ...pool(), said: document.getElementById("choice-said").textContent };
  }
  form.reset();
  metric.value = "log_loss"; metric.dispatchEvent(new Event("change"));
  document.getElementById("rows-to").value = "8000";
  document.getElementById("side-first").value = "pfn";
  document.getElementById("side-second").value = "tree";
  relate();
  document.getElementById("metafeature").value = "3";
  relate();
  answers.relation = { ...relation(), said: document.getElementById("related-said").textContent, names: related.names };
  answers.scatter = document.querySelector("#related-result svg").outerHTML;
  form.reset();
  document.getElementById("rows-from").value = "1e9";
  explore();
  answers.nothing = document.getElementById("choice-said").textContent;
  for (const id of ["rows-from", "rows-to"]) document.getElementById(id).value = numbers.datasets[0].rows;
  explore();
  const firstRow = [...document.querySelector("#choice-result tbody tr").cells];
  answers.single = { ...pool(), row: firstRow.map((cell) => cell.textContent) };
  form.reset();
  explore();
  showFolds("task02");
  answers.saved = {
    csv: tableTexts.CSV([["a,b", 'c"d']]),
    tex: tableTexts.LaTeX([["a_b", "c"], ["1%", "2"]]),
    md: tableTexts.Markdown([["a", "b"], ["x|y", "2"]]),
    svg: svgText(document.querySelector("#choice-result svg")),
  };
  document.getElementById("answers").textContent = JSON.stringify(answers);
</script></body>"""


@pytest.fixture(scope="module")
def results():
    results = make_results(
        60, metrics=METRICS_TRIED
    )  # more than 50 datasets: Wilcoxon's test by the normal approximation, and exact for the choices
    results.loc[results["task"] == "task09", "roc_auc_ovo"] = np.nan  # a dataset without a score
    results.loc[(results["task"] == "task07") & (results["model"].isin(["pfn", "catboost"])), "log_loss"] = 0.25  # a tie
    return results


@pytest.fixture(scope="module")
def metafeatures(results):
    """Twelve by dataset: of few values and of many, of great range, with gaps; one decides over pfn and tree."""
    tasks = sorted(results["task"].unique())
    table = pd.DataFrame(np.random.default_rng(5).lognormal(0, 3, size=(60, 11)), tasks, [f"m{i}" for i in range(11)])
    table["m1"] = table["m1"].round()
    table.iloc[4:12, 2] = np.nan
    gap, _ = gap_between(scores_of(results, "log_loss"), {}, ("pfn", "tree"))
    table["told"] = gap.reindex(tasks).fillna(0).rank() + 20 * np.random.default_rng(6).random(60)
    return table


@pytest.fixture(scope="module")
def dom(results, metafeatures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pool")
    choices = {name: [fields, off] for name, (fields, off, _) in CHOICES.items()}
    driver = DRIVER.replace("CHOICES", json.dumps(choices)).replace("METRICS", json.dumps(METRICS_TRIED))
    (folder / "page.html").write_text(render(results, make_manifest(results), metafeatures).replace("</body>", driver))
    return browse(folder / "page.html", folder)


@pytest.fixture(scope="module")
def answers(dom):
    return json.loads(html.unescape(re.search(r'<pre id="answers">(.*?)</pre>', dom, re.DOTALL).group(1)))


@needs_chromium
@pytest.mark.parametrize("metric", METRICS_TRIED)
@pytest.mark.parametrize("name", CHOICES)
def test_the_page_computes_what_python_computes(name, metric, results, answers):
    _, off, chosen = CHOICES[name]
    answer, found = answers[f"{name} {metric}"], answers[f"{name} {metric}"]["found"]
    scores = compare(Table(results), metric).scores
    facts = dataset_facts(results, make_manifest(results)["tasks"])
    names = [model for model in sorted(MODELS) if model not in off]
    datasets = [task for task in sorted(facts.index[chosen(facts)]) if task in scores.table.index]
    better, table = scores.settings.greater_is_better, scores.table.loc[datasets, names].dropna(how="all")
    filled = fill_worst(table, better)
    n, k = filled.shape
    assert (answer["names"], answer["n_chosen"], found["n"], found["k"]) == (names, int(chosen(facts).sum()), n, k)
    assert n > 5

    ranks = rank_table(filled, better)
    np.testing.assert_allclose(found["meanRanks"], ranks.mean(), rtol=1e-12)
    np.testing.assert_allclose(found["normalized"], normalized_scores(filled, better).mean(), rtol=1e-9)
    np.testing.assert_allclose(found["rates"], win_rates(filled, better), rtol=1e-12)
    assert found["wins"] == outcomes(filled, better)[0].tolist()
    assert found["scored"] == table.notna().sum().tolist()
    elo = ratings(filled, better, n_draws=N_DRAWS).loc[names]
    np.testing.assert_allclose(found["rating"], elo["rating"], rtol=1e-9)
    np.testing.assert_allclose(found["ratingInterval"], elo[["low", "high"]], rtol=1e-8)
    np.testing.assert_allclose(np.transpose(found["rankInterval"]), rank_intervals(ranks, N_DRAWS), rtol=1e-9)

    if name == "everything":  # the leaderboard beside it says the same
        board = leaderboard(results, metric).set_index("model").loc[names]
        np.testing.assert_allclose(found["ratingInterval"], board[["rating_low", "rating_high"]], rtol=1e-8)

    omnibus = friedman(filled, better)
    assert (found["omnibus"]["chi2"], found["omnibus"]["f"]) == pytest.approx((omnibus.chi2, omnibus.f), rel=1e-9)
    assert found["omnibus"]["p"] == pytest.approx(omnibus.f_p, rel=1e-6, abs=1e-12)
    assert found["cd"] == pytest.approx(nemenyi_cd(k, n))
    means = ranks.mean()
    groups = cliques(means, pd.DataFrame(np.abs(np.subtract.outer(*[means.to_numpy()] * 2)) >= found["cd"], names, names))
    assert [tuple(names[i] for i in group) for group in found["groups"]] == groups
    tests = pairwise_wilcoxon(filled, better)
    assert [[names[i], names[j]] for i, j, *_ in found["tests"]] == tests[["model_a", "model_b"]].to_numpy().tolist()
    np.testing.assert_allclose([test[2] for test in found["tests"]], tests["p_adjusted"], rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose([test[3] for test in found["tests"]], tests["mean_difference"], rtol=1e-6, atol=1e-12)
    assert f"{int(chosen(facts).sum())} of 60 datasets, {k} of 11 models. " in answer["said"]
    assert f"{means.idxmin()} has the best mean rank, {means.min():.2f}" in answer["said"]


@needs_chromium
def test_the_page_relates_metafeatures_as_python_does(results, metafeatures, answers):
    answer = answers["relation"]
    facts = dataset_facts(results, make_manifest(results)["tasks"])
    gap, _ = gap_between(scores_of(results, "log_loss"), {}, ("pfn", "tree"))
    gap = gap[[task for task in gap.index if facts.loc[task, "n_rows"] <= 8000]]
    expected = correlations(metafeatures, gap).set_index("metafeature")
    found = pd.DataFrame(answer["found"])
    assert [answer["names"][f] for f in found["f"]] == expected.index.tolist()
    assert len(found) == 12
    assert expected.index[0] == "told"
    for mine, python in {"r": "correlation", "low": "low", "high": "high", "p": "p", "adjusted": "p_adjusted"}.items():
        np.testing.assert_allclose(found[mine], expected[python], rtol=1e-9)
    assert answer["gap"] == pytest.approx(gap.tolist())
    assert f"pfn is ahead of tree on {(gap > 0).sum()} of {len(gap)} datasets; " in answer["said"]
    dots = ElementTree.fromstring(answers["scatter"]).findall(".//{*}circle")
    assert len(dots) == metafeatures.loc[gap.index, "m3"].notna().sum()
    assert "m3" in answers["scatter"]
    from tabbench.report.plots import scatter

    ours, theirs = (
        sorted(text.text for text in ElementTree.fromstring(svg).findall(".//{*}text"))
        for svg in (scatter(metafeatures["m3"], gap, "m3", "log loss: pfn − tree"), answers["scatter"])
    )
    assert ours == theirs  # the same ticks, so that a figure does not change when it is drawn again


@needs_chromium
def test_an_empty_choice_says_so(answers):
    assert answers["nothing"] == "0 of 60 datasets, 11 of 11 models. Nothing is left to compare: widen the choice."


@needs_chromium
def test_one_dataset_has_ranks_without_intervals(answers, results):
    single = answers["single"]
    assert single["found"]["n"] == single["n_chosen"] == 1
    assert sum(single["found"]["meanRanks"]) == 11 * 12 / 2
    assert single["found"]["ratingInterval"] == single["found"]["rankInterval"] == [[None, None]] * 11
    assert "omnibus" not in single["found"]
    assert (single["row"][2], single["row"][4]) == ("–", "–")
    alone = leaderboard(results[results["task"] == "task00"], "log_loss")
    assert alone[["rank_low", "rank_high", "rating_low", "rating_high"]].isna().all(axis=None)


@needs_chromium
def test_folds_of_a_dataset_are_shown(dom, results):
    dialog = dom[dom.index('<dialog id="folds"') :]
    assert "task02: log loss by fold" in dialog
    mine = results[(results["task"] == "task02") & (results["model"] == "xgboost")].sort_values("fold")["log_loss"]
    row = re.search(r"<tr><th[^>]*>xgboost</th>(.*?)</tr>", dialog).group(1)
    cells = [float(cell) for cell in re.findall(r"<td>([\d.]+)</td>", row)]
    assert cells == pytest.approx([mine.mean(), *mine], abs=5.1e-5)
    assert re.search(r"<th[^>]*>svm</th>.*?memory 1/3", dialog)


@needs_chromium
def test_figures_and_tables_are_saved_as_they_stand(answers, dom):
    saved = answers["saved"]
    assert saved["csv"] == '"a,b","c""d"'
    assert saved["md"] == "| a | b |\n| --- | --: |\n| x\\|y | 2 |"
    assert "\\begin{tabular}{lr}\n\\toprule\na\\_b & c \\\\\n\\midrule\n1\\% & 2 \\\\" in saved["tex"]
    assert ElementTree.fromstring(saved["svg"]).tag == "{http://www.w3.org/2000/svg}svg"
    assert "var(" not in saved["svg"]
    assert "stroke:rgb(" in saved["svg"]
    for what in (
        "Save Leaderboard of the choice as CSV",
        "Save Critical-difference diagram of the choice as PNG",
        "Save Time against quality as SVG",
    ):
        assert what in dom


FULL_SIZE = """<pre id="answers"></pre><script>
  const before = byId("related-said").textContent;
  byId("rows-from").value = "1000";
  form.querySelectorAll("[name=model]")[0].click();
  byId("metafeatures").scrollIntoView();
  setTimeout(() => {
    const shown = [...document.querySelectorAll("main table, main svg")].map((element) => element.closest(".scroll"));
    const rows = [...document.querySelectorAll("#choice-result .board tbody tr")];
    byId("answers").textContent = JSON.stringify({
      before, said: byId("choice-said").textContent, related: byId("related-said").textContent,
      ranks: rows.map((row) => [row.cells[0].textContent, row.cells[1].textContent]),
      figures: document.querySelectorAll("#choice-result svg").length,
      rates: document.querySelectorAll("#choice-result .heat td").length,
      shown: shown.length, bare: shown.filter((place) => !place?.nextElementSibling?.matches(".tools")).length,
    });
  }, 2000);
</script></body>"""


@needs_chromium
def test_a_page_of_176_datasets_20_models_and_10_folds_answers_a_click(tmp_path):
    """How long that takes is what benchmarks/report_page.py measures."""
    results = make_results(176, sizes=(None, 1024), models=MODELS[1:], n_folds=10, metrics=METRICS_TRIED)
    tasks = sorted(results["task"].unique())
    table = pd.DataFrame(np.random.default_rng(5).lognormal(0, 3, size=(176, 50)).round(4), tasks, [f"m{i}" for i in range(50)])
    page = render(results, make_manifest(results), table)
    assert len(page.encode()) < 2_000_000
    (tmp_path / "page.html").write_text(page.replace("</body>", FULL_SIZE))
    answer = json.loads(
        html.unescape(re.search(r'<pre id="answers">(.*?)</pre>', browse(tmp_path / "page.html", tmp_path)).group(1))
    )
    facts = dataset_facts(results, make_manifest(results)["tasks"])
    models = sorted(results["model"].unique())[1:]
    scores = compare(Table(results), "roc_auc_ovo").scores
    chosen = scores.table.loc[sorted(facts.index[facts["n_rows"] >= 1000]), models].dropna(how="all")
    assert answer["said"].startswith(f"{len(chosen)} of 176 datasets, 19 of 20 models. ")
    assert dict(answer["ranks"]) == {
        name: f"{mean:.2f}" for name, mean in rank_table(fill_worst(chosen, True), True).mean().items()
    }
    assert (answer["figures"], answer["rates"]) == (1, 19 * 19)
    assert answer["before"] == ""
    assert " of 50 metafeatures correlate" in answer["related"]
    assert answer["shown"] > 20
    assert answer["bare"] == 0  # every figure and table can be saved
