"""Analysis of metafeatures on synthetic results with a planted effect and without one, and both commands from end to end."""

import re
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, binom, spearmanr

from benchmarks.support.synthetic_results import make_manifest, make_results
from tabbench.api import open_results
from tabbench.cli import main
from tabbench.data.split import make_splits
from tabbench.data.task import make_task
from tabbench.engine import extract
from tabbench.errors import UserError
from tabbench.folders import describe
from tabbench.folders.describe import read_parts
from tabbench.metafeatures import analysis
from tabbench.metafeatures.analysis import (
    by_dataset,
    correlations,
    irregularity,
    meta_models,
    nearest,
    spearman_interval,
    usable,
)
from tabbench.report.gaps import gap_between, tuning_or_family
from tabbench.report.leaderboard import scores_of
from tabbench.resources import Resources
from tabbench.stats.ranks import rank_table
from tabbench.store.importers import tabzilla
from tests.support.published import TABZILLA, needs_tabzilla


@pytest.fixture
def few_permutations(monkeypatch):
    """Commands that try their meta-models once on shuffled gaps: the number is tested elsewhere."""
    monkeypatch.setattr("tabbench.folders.analyze.meta_models", partial(meta_models, n_permutations=1))


def metafeatures(m=30, f=40, seed=0) -> pd.DataFrame:
    values = np.random.default_rng(seed).lognormal(size=(m, f))
    return pd.DataFrame(values, [f"t{i}" for i in range(m)], [f"m{i}.mean" for i in range(f)])


def planted(table: pd.DataFrame, noise: float, seed=0) -> pd.Series:
    """A gap that the metafeature m7 decides, upside down, up to noise."""
    random = np.random.default_rng(seed)
    return -table["m7.mean"].rank() / len(table) + 0.5 + noise * random.normal(size=len(table))


def test_a_planted_effect_is_found_and_its_interval_holds_it():
    table = metafeatures()
    gap = planted(table, 0.1)
    found = correlations(table, gap, n_permutations=1000)
    first = found.iloc[0]
    assert first["metafeature"] == "m7.mean"
    assert first["correlation"] == pytest.approx(spearmanr(table["m7.mean"], gap).statistic)
    assert first["low"] < first["correlation"] < first["high"] < -0.5
    assert first["p_adjusted"] < 0.01
    assert (found["p_adjusted"] >= found["p"]).all()
    assert found["p"].to_numpy()[1:] == pytest.approx(spearmanr(table[found["metafeature"]], gap).pvalue[-1, 1:-1], abs=0.05)


def test_no_effect_is_rarely_found_among_all_yet_often_by_single_ones():
    """All sixty together find something by chance on 5% of tables, single tests on 1 - 0.95^60: permutations are exact.

    The bounds are binomial; a right test crosses either with a probability of 0.1%.
    """
    n_tables, n_permutations, false_alarm = 100, 199, 0.001
    first, single = 0, 0
    for seed in range(n_tables):
        gap = pd.Series(np.random.default_rng(seed).normal(size=20), [f"t{i}" for i in range(20)])
        found = correlations(metafeatures(20, 60, seed=1000 + seed), gap, n_permutations, seed)
        first += bool(found["p_adjusted"].min() <= 0.05)
        single += bool(found["p"].min() <= 0.05)
    assert first <= binom.isf(false_alarm, n_tables, 0.05)
    assert single >= binom.ppf(false_alarm, n_tables, 1 - 0.95**60)


def test_datasets_do_not_depend_on_their_order_or_names():
    table = metafeatures()
    gap = planted(table, 0.5)
    turned = correlations(table[::-1], gap.sample(frac=1, random_state=1), n_permutations=50)
    named = table.set_axis([f"x{name}" for name in table.index])
    assert turned["correlation"].tolist() == pytest.approx(correlations(table, gap, 50)["correlation"].tolist())
    again = correlations(named, gap.set_axis([f"x{name}" for name in gap.index]), 50)
    assert again["correlation"].tolist() == pytest.approx(turned["correlation"].tolist())


def test_what_is_not_usable_is_left_out():
    table = metafeatures(10, 3)
    table["constant.mean"], table["twin.mean"] = 1.0, np.exp(table["m1.mean"])
    table["gaps.mean"] = [np.nan, np.inf, -np.inf, *range(7)]
    table["few_gaps.mean"] = [np.nan, 5, 3, 1, 7, 2, 9, 4, 8, 6]
    assert list(usable(table)) == ["m0.mean", "m1.mean", "m2.mean", "few_gaps.mean"]
    assert not usable(table).isna().to_numpy().any()


def test_meta_models_beat_chance_only_where_there_is_something_to_learn():
    table = metafeatures(16, 8)
    effect = meta_models(table, planted(table, 0.03), n_permutations=4).set_index(["target", "model"])
    assert effect.loc[("winner", "tree"), "score"] > 0.8 > effect.loc[("winner", "tree"), "by_chance"]
    assert effect.loc[("gap", "boosted trees"), "score"] > 0.5
    assert (effect["p"] == 0.2).all()
    assert (effect["low"] < effect["score"]).all()
    assert (effect["score"] < effect["high"]).all()
    assert effect.loc["winner", "high"].max() <= 1
    random = pd.Series(np.random.default_rng(3).normal(size=16), table.index)
    by_chance = meta_models(table, random, n_permutations=1).set_index(["target", "model"])
    assert (by_chance["score"] < effect["score"]).all()
    assert (by_chance["low"] < by_chance["baseline"]).all()


@pytest.mark.parametrize(("gap", "says"), [([1.0] * 30, "nothing to explain"), ([1.0, 2.0] + [np.nan] * 28, "at least 6")])
def test_too_little_to_go_on_is_said(gap, says):
    table = metafeatures()
    with pytest.raises(UserError, match=says):
        correlations(table, pd.Series(gap, table.index))


def test_irregularity_by_hand():
    parts = pd.DataFrame({name: [1.0, 1.0, 1.0] for name in analysis.IRREGULARITY}, index=list("abc"))
    parts["eigenvalues.min"] = [3.0, 0.0, 0.0]
    parts["kurtosis.sd"] = [np.nan, 1.0, -1.0]
    z = np.sqrt(2)
    found = irregularity(parts)
    assert found["a"] == pytest.approx(-0.33 * z)
    assert found["b"] == pytest.approx(0.33 * z / 2 + 0.21 * np.sqrt(1.5))
    assert irregularity(parts[["kurtosis.sd"]]).isna().all()


def test_the_nearest_dataset_of_a_known_one_is_itself():
    table = metafeatures(12, 20)
    near = nearest(table, table.loc["t4"], count=3)
    assert near.index[0] == "t4"
    assert len(near) == 3
    assert near.iloc[0] < near.iloc[1] / 3
    assert near.is_monotonic_increasing
    assert nearest(table, table.loc["t4"].where(table.columns != "m1.mean"), 1).index[0] == "t4"


def test_the_gap_is_between_the_best_of_two_families_or_two_models():
    results = make_results(8)
    families = make_manifest(results)["families"]
    gap, sides = gap_between(scores_of(results, "roc_auc_ovo"), families)
    assert sides == ("best network", "best GBDT")
    means = results.groupby(["task", "model"])["roc_auc_ovo"].mean().unstack()
    expected = means[["mlp", "pfn"]].max(axis=1) - means[["catboost", "lightgbm", "xgboost"]].max(axis=1)
    assert gap["task05"] == pytest.approx(expected["task05"])
    loss, sides = gap_between(scores_of(results, "log_loss"), families, ("knn", "tree"))
    assert sides == ("knn", "tree")
    means = results.groupby(["task", "model"])["log_loss"].mean().unstack()
    assert loss["task05"] == pytest.approx(means.loc["task05", "tree"] - means.loc["task05", "knn"])
    assert "task02" not in loss  # tree failed there
    with pytest.raises(UserError, match="no results of 'luck'"):
        gap_between(scores_of(results, "log_loss"), families, ("luck", "tree"))
    with pytest.raises(UserError, match="name two models"):
        gap_between(scores_of(results[results["model"].isin(["tree", "knn", "mlp"])], "log_loss"), families)


@needs_tabzilla
def test_tuning_gains_more_than_the_family_matters_on_as_many_datasets_as_published():
    """TabZilla's table with defaults: CatBoost on 27 of 104 datasets in log loss, ResNet on 39."""
    table = pd.read_csv(TABZILLA / "final18_tuned_aggregated_results_with_default.csv")
    names = table["alg_name"].where(table["alg_name"].str.endswith(" (default)"), table["alg_name"] + " (tuned)")
    results = tabzilla(table).assign(model=names, repeat=0, fold=0, status="ok", n_train=np.nan, n_test=np.nan)
    simple = {"KNN", "SVM", "DecisionTree", "RandomForest", "LinearModel"}
    families = {
        name: "boosting" if "Boost" in name or "GBM" in name else "simple" if name.split(" ")[0] in simple else "network"
        for name in results["model"].unique()
    }
    scores = scores_of(results, "log_loss")
    found = tuning_or_family(scores, families).set_index("model")
    assert (found.loc["CatBoost", "share"] * 104, found.loc["ResNet", "share"] * 104) == pytest.approx((27, 39))
    assert tuning_or_family(scores_of(results[names.str.endswith("(tuned)")], "log_loss"), families).empty
    assert tuning_or_family(scores, dict.fromkeys(families, "simple")).empty


def test_by_dataset_is_the_mean_over_training_parts_of_metafeatures_alone():
    parts = pd.DataFrame({"task": ["b", "a", "a"], "repeat": 0, "fold": [0, 0, 1], "nr_inst": [1.0, 2.0, 4.0], "reasons": "{}"})
    found = by_dataset(parts)
    assert found.to_dict() == {"nr_inst": {"a": 3.0, "b": 1.0}}


def few_groups(patch, place):
    patch.chdir(place)
    patch.setenv("TABBENCH_DATA", str(place / "cache"))
    patch.setattr(extract, "GROUPS", ("general", "tabular"))  # the others take their time
    patch.setattr(describe, "BRIEF_GROUPS", ("tabular",))
    patch.setattr(describe, "BRIEF_SECONDS", 600.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run r of two models on seven tables t0.csv … t6.csv; few groups of metafeatures."""
    place = tmp_path_factory.mktemp("made")
    rng, entries = np.random.default_rng(0), []
    for i in range(7):
        n = 40 + 10 * i
        frame = pd.DataFrame(rng.normal(size=(n, 2 + i % 3)))
        frame.assign(y=(frame[0] + rng.normal(size=n) > 0).astype(int)).to_csv(place / f"t{i}.csv", index=False)
        entries.append(f'[[tasks]]\nname = "t{i}"\nsource = "file"\npath = "t{i}.csv"\ntarget = "y"\n')
    (place / "s.toml").write_text("\n".join(entries))
    with pytest.MonkeyPatch.context() as patch:
        few_groups(patch, place)
        assert main("run --suite s.toml --models tree,knn --folds 2 --out r --quiet --workers 1".split()) == 0
    return place


@pytest.fixture
def finished_run(made, tmp_path, monkeypatch, capsys):
    """A copy of it in the working folder."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    few_groups(monkeypatch, tmp_path)
    capsys.readouterr()
    return tmp_path / "r"


def test_analyze_from_the_command_line(finished_run, capsys, few_permutations):
    brief = pd.read_parquet("r/metafeatures.parquet")
    assert len(brief) == 7  # of the report: one training part each, the quick groups
    assert 'id="metafeatures"' in (finished_run / "report.html").read_text()
    (finished_run / "metafeatures.parquet").rename("kept.parquet")
    assert main(["merge", "r", "--out", "m"]) == 0  # computed where no part has them
    assert 'id="metafeatures"' in Path("m/report.html").read_text()
    pd.testing.assert_frame_equal(pd.read_parquet("m/metafeatures.parquet"), pd.read_parquet("kept.parquet"))
    assert main(["analyze", "r", "--models", "tree,knn"]) == 0
    said = capsys.readouterr().out
    assert "of 7 datasets" in said
    assert "nr_inst" in (finished_run / "metafeature_correlations.csv").read_text()
    assert set(pd.read_csv(finished_run / "metafeature_gap.csv")["task"]) == {f"t{i}" for i in range(7)}
    assert said.count(" … ") >= 4  # an interval with every correlation and every meta-model
    assert len(pd.read_parquet("r/metafeatures.parquet")) == 14
    assert main(["analyze", "r", "--models", "DecisionTree,KNN"]) == 0  # as TabZilla calls them
    assert said.endswith(capsys.readouterr().out)
    assert main(["verify", "r"]) == 0
    assert main(["analyze", "r"]) == 2
    assert "name two models" in capsys.readouterr().err
    assert main(["analyze", "r", "--models", "tree"]) == 2
    capsys.readouterr()
    assert main(["analyze", "r", "--models", "tree,SAINT"]) == 2
    assert capsys.readouterr().err == "tabbench: no results of 'saint': there are knn, tree\n"


def test_recommend_from_the_command_line(finished_run, capsys, few_permutations):
    command = ["recommend", "t3.csv", "--target", "y"]
    assert main([*command, "--results", "r"]) == 0
    said = capsys.readouterr().out
    assert "Left out, for it is the table itself: t3." in said
    assert not any(line.startswith("t3 ") for line in said.splitlines())
    near, every = (re.search(pattern, said)[1] for pattern in (r"tree +(\S+) \(", r"tree .*\) +(\S+)"))
    ranks = rank_table(open_results(finished_run).frame.groupby(["task", "model"])["roc_auc_ovo"].mean().unstack(), True)["tree"]
    ranks = ranks.drop("t3")
    assert float(every) == pytest.approx(ranks.mean(), abs=0.006)
    assert float(near) == pytest.approx(ranks[[line.split()[0] for line in said.splitlines()[2:7]]].mean(), abs=0.006)
    (finished_run / "metafeatures.parquet").unlink()
    assert main([*command, "--results", "r"]) == 0
    assert capsys.readouterr().out == said  # computed again
    assert not (finished_run / "metafeatures.parquet").exists()
    assert main(["analyze", "r", "--models", "tree,knn"]) == 0
    capsys.readouterr()
    assert main([*command, "--results", "r"]) == 0  # now with the group general
    assert "the table itself: t3." in capsys.readouterr().out
    assert main([*command, "--results", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_a_run_describes_only_what_is_not_described_yet(tmp_path, monkeypatch):
    rng, asked = np.random.default_rng(0), []
    frames = [pd.DataFrame({"x": rng.normal(size=12), "y": np.arange(12) % 2}) for _ in range(6)]
    pairs = [(task, make_splits(task, 2, 1, 0)[0]) for task in (make_task(f, "y", name=f"t{i}") for i, f in enumerate(frames))]

    def extracted(pairs, *_, **__):
        asked.append([task.name for task, _ in pairs])
        return pd.DataFrame({"task": asked[-1], "repeat": 0, "fold": 0, "nr_inst": 1.0})

    monkeypatch.setattr(describe, "extract", extracted)
    all_folds = pd.DataFrame({"task": "t2", "repeat": 0, "fold": [0, 1], "nr_inst": 2.0, "n4.mean": 0.5})
    all_folds.to_parquet(tmp_path / "metafeatures.parquet")
    describe.describe_briefly(tmp_path, pairs[:5], Resources())
    assert asked == []  # too few datasets
    for _ in range(2):
        describe.describe_briefly(tmp_path, pairs, Resources())
    assert asked == [["t0", "t1", "t3", "t4", "t5"]]
    found = pd.read_parquet(tmp_path / "metafeatures.parquet")
    assert len(found) == 7
    assert found[found["task"] == "t2"]["n4.mean"].tolist() == [0.5, 0.5]
    (tmp_path / "metafeatures.parquet").write_bytes(b"damaged")
    describe.describe_briefly(tmp_path, pairs, Resources())
    assert len(asked[-1]) == 6


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Results of two algorithms of TabZilla on eight tasks of OpenML, imported into r; the folder, and the tasks."""
    place = tmp_path_factory.mktemp("published")
    names, rng = [f"openml__set-{i}__{30 + i}" for i in range(8)], np.random.default_rng(0)
    table = pd.DataFrame([(alg, name) for alg in ("MLP", "XGBoost") for name in names], columns=["alg_name", "dataset_name"])
    table["Accuracy__test_mean"] = rng.random(16)
    for metric in ("Log Loss", "F1"):
        table[f"normalized_{metric}__test_mean"] = rng.random(16)
        table[f"{metric}__test_mean_min"], table[f"{metric}__test_mean_max"] = 0.1, 0.9
    table.assign(time__train_mean=1.0).to_csv(place / "t.csv")
    assert main(["import", "tabzilla", str(place / "t.csv"), "--out", str(place / "r")]) == 0
    return place / "r", names


@pytest.fixture
def imported(published, tmp_path, monkeypatch, few_permutations):
    """A copy of it in the working folder; the tasks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path / "cache"))
    folder, names = published
    shutil.copytree(folder, "r")
    return names


def test_imported_results_are_analysed_with_published_metafeatures(imported, capsys):
    rng = np.random.default_rng(1)
    rows = [(f"{name}__fold_{fold}", *rng.random(2)) for name in imported for fold in (0, 1)]
    columns = ["dataset_fold_id", "f__pymfe.general.nr_inst", "f__pymfe.statistical.cor.mean"]
    pd.DataFrame(rows, columns=columns).to_csv("m.csv", index=False, sep=";")
    assert main(["analyze", "r", "--metafeatures", "m.csv", "--metric", "accuracy"]) == 0
    said = capsys.readouterr().out
    assert "m.csv: fields are separated by semicolons" in said
    assert "of 8 datasets" in said
    assert "cor.mean " in said
    assert "No irregularity: it takes eigenvalues.min, sd.skewness" in said


@pytest.mark.parametrize("write", ["semicolon", "trailing", "feather", "jsonl", "gz", "words"])
def test_metafeatures_are_read_as_every_table_is(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"task": list("abcdefgh"), "nr_inst": rng.integers(9, 99, 8), "cor.mean": rng.random(8)})
    table.loc[2, "cor.mean"] = np.nan
    table.to_csv("plain.csv", index=False)
    expected, none = read_parts(Path("plain.csv"))
    if write == "feather":
        table.to_feather(name := "m.feather")
    elif write == "jsonl":
        table.to_json(name := "m.jsonl", orient="records", lines=True)
    elif write == "gz":
        table.to_csv(name := "m.csv.gz", index=False)
    else:
        text = table.to_csv(index=False, na_rep="NaN" if write == "words" else "", sep=";" if write == "semicolon" else ",")
        head, *lines = text.splitlines()
        Path(name := "m.csv").write_text(
            "\n".join([head, *(f"{line}," for line in lines)] if write == "trailing" else [head, *lines])
        )
    found, remarks = read_parts(Path(name))
    pd.testing.assert_frame_equal(by_dataset(found), by_dataset(expected))
    assert none == []
    assert bool(remarks) == (write in ("semicolon", "trailing"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a,b\n1,2\n", "no column task"),
        ("task,b\nx,2\n", "no metafeatures in it"),
        ("", "the file is empty"),
        ("task,nr_inst,cor.mean\nx,2,0.1\ny,many,0.2\n", "'nr_inst' holds 'many', which is no number"),
        ("task,nr_inst\nx,2\n,3\n", "1 rows do not say which dataset"),
        ("task,nr_inst,f__pymfe.general.nr_inst\nx,2,3\n", "two columns are called 'nr_inst'"),
        ("task,nr_inst\nx,2,3\n", "line 2 has 3 fields, the header 2"),
    ],
)
def test_a_file_that_is_no_table_of_metafeatures_is_refused_in_one_line(imported, content, says, tmp_path, capsys):
    (tmp_path / "m.csv").write_text(content)
    capsys.readouterr()
    assert main(["analyze", "r", "--metafeatures", "m.csv", "--metric", "accuracy"]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_imported_results_are_described_by_the_tables_that_were_fetched(imported, monkeypatch, capsys):
    monkeypatch.setattr(extract, "GROUPS", ("general",))
    capsys.readouterr()
    assert main(["analyze", "r", "--metric", "accuracy"]) == 2
    assert "tabbench fetch tabzilla" in capsys.readouterr().err

    def load(spec):
        number = int(spec.path.removeprefix("task/"))
        if number == 33:
            raise UserError("not fetched")
        rng, n = np.random.default_rng(number), number + 10
        frame = pd.DataFrame(rng.normal(size=(n, number % 4 + 1))).add_prefix("x").assign(y=np.arange(n) % 2)
        return make_task(frame, "y", name=spec.name)

    monkeypatch.setattr(describe, "load_spec", load)
    assert main(["analyze", "r", "--metric", "accuracy"]) == 0
    assert "of 8 datasets" in capsys.readouterr().out
    assert sorted(pd.read_parquet("r/metafeatures.parquet")["task"]) == [name for name in imported if name != imported[3]]


@pytest.mark.parametrize("m", [6, 7, 12])
def test_few_datasets_that_agree_are_no_certainty(m):
    for r in (1.0, -1.0):
        low, high = (float(end) for end in spearman_interval(np.array(r), m))
        assert -1 <= low <= r <= high <= 1
        assert high - low > 0.4 / m
    at_swap = 1 - 12 / (m * (m**2 - 1))
    before = spearman_interval(np.array(at_swap), m)
    assert before[0] == pytest.approx(spearman_interval(np.array(1.0), m)[0], abs=0.1)
    drawn = np.concatenate(list(analysis._drawn("winner", np.zeros(m), np.ones(m), 0)))
    assert np.quantile(drawn, 0.025) == pytest.approx(beta(m + 0.5, 0.5).ppf(0.025), abs=0.05)
