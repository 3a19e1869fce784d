"""Figures and tables of a result folder as files, the metafeatures of the page, and labels that keep apart."""

import csv
import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from benchmarks.support.synthetic_results import make_manifest, make_results
from tabbench.errors import UserError
from tabbench.metafeatures.analysis import by_dataset, correlations
from tabbench.report.export import write_figures
from tabbench.report.gaps import gap_between
from tabbench.report.leaderboard import leaderboard, scores_of
from tabbench.report.page import render, write_report
from tabbench.report.plots import critical_difference, pareto_front, scatter, time_quality

SHOWN = ["roc_auc_ovo", "log_loss", "f1"]


def parts(results, seed=0) -> pd.DataFrame:
    """Two training parts of every dataset, three metafeatures; the first goes with the gap."""
    tasks = sorted(results["task"].unique())
    gap, _ = gap_between(scores_of(results, "roc_auc_ovo"), make_manifest(results)["families"])
    random = np.random.default_rng(seed)
    table = pd.DataFrame({"task": tasks, "nr_inst": gap.reindex(tasks).fillna(0).rank().to_numpy(), "nr_attr": 1.0})
    table = pd.concat([table.assign(fold=fold, class_ent=random.random(len(tasks))) for fold in (0, 1)], ignore_index=True)
    return table.assign(repeat=0, reasons="{}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder, results = tmp_path_factory.mktemp("r"), make_results(12, metrics=SHOWN)
    parts(results).to_parquet(folder / "metafeatures.parquet", index=False)
    write_report(folder, results, make_manifest(results))
    return folder


def test_the_page_shows_what_goes_with_the_gap(folder):
    results, page = make_results(12, metrics=SHOWN), (folder / "report.html").read_text()
    section = page[page.index('<section id="metafeatures">') : page.index('<section id="datasets">')]
    gap, _ = gap_between(scores_of(results, "roc_auc_ovo"), make_manifest(results)["families"])
    first = correlations(by_dataset(parts(results)), gap).iloc[0]
    assert first["metafeature"] == "nr_inst"
    cells = re.search(r'<th scope="row">nr_inst</th>(.*?)</tr>', section).group(1)
    assert f"<td>{first['correlation']:.2f}</td>" in cells
    assert section.count("<circle") == len(gap)
    assert "best network − best GBDT" in section
    assert "nr_attr" not in section  # it does not vary
    without = render(results, make_manifest(results))
    assert 'id="metafeatures"' not in without
    assert '"related":null' in without


def test_a_damaged_file_of_metafeatures_is_named(tmp_path):
    results = make_results(7)
    (tmp_path / "metafeatures.parquet").write_bytes(b"no table")
    with pytest.raises(UserError, match=r"metafeatures\.parquet: cannot be read"):
        write_report(tmp_path, results, make_manifest(results))


def test_without_both_families_the_two_best_models_are_compared():
    results = make_results(8, metrics=SHOWN[:1], models=["tree", "knn", "logreg"])
    table = by_dataset(parts(make_results(8)))
    page = render(results, make_manifest(results), table)
    assert '"sides":["logreg","knn"]' in page
    assert "Metafeatures</h2>" not in render(results[results["task"] < "task05"], make_manifest(results), table)


def test_every_figure_and_table_is_a_file(folder, tmp_path):
    results = make_results(12, metrics=SHOWN)
    files = write_figures(folder, results, make_manifest(results), tmp_path / "f")
    names = {file.name for file in files}
    assert names == {file.name for file in (tmp_path / "f").iterdir()}
    for figure in ("critical-difference", "time-quality", "metafeature"):
        root = ElementTree.parse(tmp_path / "f" / f"{figure}-log_loss.svg").getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert float(root.get("width")) > 300
        assert root.find("{*}style") is not None
    for table in ("leaderboard-log_loss", "win-rates-f1", "scores-f1", "kinds-f1", "metafeatures-f1", "datasets"):
        assert {f"{table}.{ending}" for ending in ("csv", "md", "tex")} <= names
    for table in ("failures", "subsampling", "policies-f1", "pairs-f1"):
        assert {f"{table}.{ending}" for ending in ("csv", "md", "tex")} <= names
    assert not {"audit.csv", "full-size-f1.csv", "training-size-f1.svg"} & names  # there is none
    pairs = list(csv.DictReader((tmp_path / "f" / "pairs-f1.csv").open()))
    assert len(pairs) == 11 * 10 / 2
    board = list(csv.DictReader((tmp_path / "f" / "leaderboard-log_loss.csv").open()))
    assert [row["model"] for row in board] == leaderboard(results, "log_loss")["model"].tolist()
    markdown = (tmp_path / "f" / "win-rates-f1.md").read_text().splitlines()
    assert len(markdown) == 2 + 11
    latex = (tmp_path / "f" / "leaderboard-log_loss.tex").read_text()
    assert r"random\_forest & " in latex
    assert latex.count(r"\\") == 12


def test_what_only_some_runs_have_is_a_file_as_well(tmp_path):
    results = make_results(5, sizes=(128, 256, 512), models=["logreg", "catboost"], metrics=SHOWN[:1])
    finding = {"task": "task00", "kind": "leak", "message": "x & y tell the target", "columns": ["x", "y"]}
    names = {file.name for file in write_figures(tmp_path, results, {**make_manifest(results), "audit": [finding]}, tmp_path)}
    assert {"audit.tex", "full-size-roc_auc_ovo.md", "training-size-roc_auc_ovo.svg"} <= names
    assert (tmp_path / "audit.csv").read_text().splitlines()[1] == 'task00,leak,x & y tell the target,"x, y"'
    assert r"x \& y tell" in (tmp_path / "audit.tex").read_text()


def test_png_has_ink_where_the_library_is(folder, tmp_path):
    pytest.importorskip("resvg_py")
    image = pytest.importorskip("PIL.Image")
    results = make_results(12, metrics=SHOWN)
    write_figures(folder, results, make_manifest(results), tmp_path)
    with image.open(tmp_path / "critical-difference-log_loss.png") as picture:
        width = float(ElementTree.parse(tmp_path / "critical-difference-log_loss.svg").getroot().get("width"))
        assert picture.width == pytest.approx(2 * width, abs=2)
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 20)}
    assert {(255, 255, 255), (28, 36, 48), (10, 95, 158)} <= colours  # ground, axis, bars


@pytest.mark.parametrize("k", [2, 11, 15, 16, 22, 40, 120])
def test_labels_of_ranks_keep_apart(k):
    svg = critical_difference(pd.Series(np.arange(1.0, k + 1), [f"m{i}" for i in range(k)]), [], 2.0)
    places = [float(x) for x, label in re.findall(r'<text x="([\d.]+)" y="51.0"[^>]*>(\d+)<', svg)]
    assert len(places) >= 2
    assert min(np.diff(places)) >= 24
    assert svg.count('class="axis"') == k + 2  # a tick for every rank, the axis, the scale


def test_of_many_models_only_those_with_room_or_on_the_front_have_a_label():
    random, names = np.random.default_rng(0), [f"a_model_of_some_length_{i}" for i in range(60)]
    seconds, quality = pd.Series(random.lognormal(0, 1, 60), names), pd.Series(random.random(60), names)
    svg = time_quality(seconds, quality, "score")
    boxes = [(float(x), float(y), name) for x, y, name in re.findall(r'<text x="([\d.]+)" y="([\d.]+)"[^>]*>(a_model\w+)<', svg)]
    labelled = {name for _, _, name in boxes}
    front = {names[i] for i in pareto_front(seconds.to_numpy(), quality.to_numpy())}
    assert front < labelled < set(names)
    assert set(re.findall(r"<title>(\w+)</title>", svg)) == set(names)  # told by a dot
    beside = [box for box in boxes if box[2] not in front]
    for x, y, name in beside:
        others = [box for box in beside if box[2] != name and abs(box[1] - y) < 12 and abs(box[0] - x) < 100]
        assert others == []
    few = time_quality(seconds[:12], quality[:12], "score")
    assert {name for name in names[:12] if f">{name}</text>" in few} == set(names[:12])


def test_a_scatter_of_great_range_has_a_logarithmic_axis():
    x, y = pd.Series([1.0, 10.0, 1e8, np.inf]), pd.Series([0.1, -0.2, 0.3, 0.4])
    svg = scatter(x, y, "nr_inst", "gap")
    assert "nr_inst (log scale)" in svg
    places = [float(cx) for cx in re.findall(r'cx="([\d.]+)"', svg)]
    assert (places[1] - places[0]) * 7 == pytest.approx(places[2] - places[1], rel=0.01)
    assert "log scale" not in scatter(x - 5, y, "nr_inst", "gap")
