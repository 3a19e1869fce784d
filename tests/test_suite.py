"""Suites: what starter holds, what a suite file may say, and what is refused."""

import gzip
import io
import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tabbench.cli import main
from tabbench.data import sources
from tabbench.data.arff import read_arff
from tabbench.data.suite import list_suites, load_spec, load_suite
from tabbench.errors import UserError

# rows, features, categorical, missing cells, classes
STARTER = {
    "iris": (150, 4, 0, 0, 3),
    "wine": (178, 13, 0, 0, 3),
    "breast_cancer": (569, 30, 0, 0, 2),
    "digits": (1797, 64, 0, 0, 10),
    "kr_vs_kp": (3196, 36, 36, 0, 2),
    "titanic": (1309, 7, 3, 266, 2),
    "penguins": (344, 6, 2, 19, 3),
    "zoo": (101, 16, 15, 0, 7),
    "glass2": (163, 9, 0, 0, 2),
    "phishing": (1250, 9, 0, 0, 2),
    "segment": (2310, 18, 0, 0, 7),
    "bananas": (5300, 2, 0, 0, 2),
    "shuttle": (49097, 9, 0, 0, 2),
    "arrests": (5226, 7, 4, 0, 2),
    "hearts": (303, 13, 7, 0, 2),
    "abalone": (4177, 8, 1, 0, 28),
    "ad_data": (333, 130, 1, 0, 2),
    "attrition": (1470, 30, 14, 0, 2),
    "cells": (2019, 56, 0, 0, 2),
    "credit_data": (4454, 13, 4, 455, 2),
    "scat": (110, 18, 3, 47, 3),
    "stackoverflow": (5594, 20, 1, 0, 2),
    "wa_churn": (7043, 19, 10, 11, 2),
}


def test_starter_lists_what_is_expected():
    assert [spec.name for spec in load_suite("starter").tasks] == list(STARTER)


@pytest.mark.parametrize("spec", load_suite("starter").tasks, ids=lambda spec: spec.name)
def test_starter_tables(spec):
    facts = load_spec(spec).summary()
    assert tuple(facts[f"n_{what}"] for what in ("rows", "features", "categorical", "missing", "classes")) == STARTER[spec.name]
    assert facts["title"]
    assert facts["licence"]
    assert facts["source"]


@pytest.mark.parametrize("name", ["smoke", "starter"])
def test_no_column_of_a_shipped_table_gives_the_target_away(name):
    for spec in load_suite(name).tasks:
        task = load_spec(spec)
        for column in task.categorical:
            purest = pd.crosstab(task.X[column], task.y).max(axis=1).sum() / len(task.y)
            assert purest < 0.97, (spec.name, column)


OPENML_SUITES = {
    "tabzilla": 176,
    "tabzilla-98": 98,
    "tabzilla-small": 57,
    "tabzilla-hard": 36,
    "cc18": 72,
    "tabpfn-30": 30,
    "tabpfn-18": 18,
}


NEW_SUITES = {  # datasets, and those published with them that are left out
    "tabarena": (38, 13),
    "amlb": (71, 33),
    "grinsztajn-numerical": (16, 0),
    "grinsztajn-categorical": (7, 0),
    "talent": (73, 227),
}
LISTS = {
    "tabzilla": "tabzilla_full_176",
    "tabzilla-hard": "tabzilla_hard_36",
    "cc18": "openml_cc18_72",
    "tabarena": "tabarena_51",
    "amlb": "amlb_classification_71",
    "grinsztajn-numerical": "grinsztajn_numerical_classification_337",
    "grinsztajn-categorical": "grinsztajn_categorical_classification_334",
}


def test_openml_suites_list_what_was_published():
    suites = {name: {spec.path: spec for spec in load_suite(name).tasks} for name in list_suites()}
    openml = [*OPENML_SUITES, *NEW_SUITES]
    assert set(suites) == {"smoke", "quick", "starter", "engineering", *openml, *(f"{name}-smoke" for name in openml)}
    for name, size in OPENML_SUITES.items():
        assert len(suites[name]) == size
        assert len(suites[f"{name}-smoke"]) == 3
        assert suites[f"{name}-smoke"].keys() <= suites[name].keys()
    for name in ("tabzilla-98", "tabzilla-small", "tabzilla-hard", "cc18"):
        assert suites[name].keys() <= suites["tabzilla"].keys(), name
    assert suites["tabpfn-18"].keys() <= suites["tabpfn-30"].keys() <= suites["cc18"].keys()
    facts = {path: replace(spec, folder=Path()) for path, spec in suites["tabzilla"].items()}
    for name in OPENML_SUITES:
        for path, spec in suites[name].items():
            assert replace(spec, folder=Path()) == facts[path]  # a task has one name and one size everywhere
    assert all(spec.classes <= 10 for spec in suites["tabzilla-98"].values())


@pytest.mark.parametrize("name", NEW_SUITES)
def test_suites_of_others_say_what_they_have_and_what_not(name):
    here, left_out = NEW_SUITES[name]
    suite, smoke = load_suite(name), load_suite(f"{name}-smoke")
    assert (len(suite.tasks), len(suite.left_out)) == (here, left_out)
    assert len({spec.openml_id for spec in suite.tasks}) == here
    assert all(spec.rows and spec.features and spec.classes >= 2 for spec in suite.tasks)
    assert {spec.path for spec in smoke.tasks} <= {spec.path for spec in suite.tasks}
    assert len(smoke.tasks) == 3
    assert all(reason for _, reason in suite.left_out)


@pytest.mark.parametrize("name", NEW_SUITES)
def test_a_suite_is_planned_without_its_tables(name, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path))
    monkeypatch.setenv("OPENML_SERVER", "http://127.0.0.1:9")  # nobody is there
    assert main(["plan", "--suite", name, "--models", "dummy,tree"]) == 0
    specs = load_suite(name).tasks
    official = {"tabarena": 3, "talent": 1}.get(name, 10)
    jobs = 2 * sum(official * (spec.repeats or 1) for spec in specs)
    out = capsys.readouterr().out
    assert f"jobs    {jobs:,}: {len(specs)} datasets" in out
    assert f"{len(specs)} datasets are not on this machine" in out


def test_openml_suites_agree_with_the_lists_they_were_made_from():
    folder = Path(__file__).parents[2] / "shared" / "suites"
    if not folder.is_dir():
        pytest.skip("the lists are not beside this checkout")
    for name, file in LISTS.items():
        table = pd.read_csv(folder / f"{file}.csv")
        ids = table.loc[table["n_classes"].notna(), "task_id"] if name in NEW_SUITES else table["task_id"]
        assert sorted(f"task/{number}" for number in ids) == sorted(spec.path for spec in load_suite(name).tasks)


def test_a_missing_fixture_is_a_user_error(monkeypatch):
    monkeypatch.setattr(sources, "FIXTURES", "sklearn/nowhere")
    spec = next(spec for spec in load_suite("starter").tasks if spec.name == "zoo")
    with pytest.raises(UserError, match="zoo: the installed 'sklearn' lacks nowhere/id_62"):
        load_spec(spec)


def test_a_missing_package_is_a_user_error(tmp_path):
    spec = only_task(tmp_path, 'name = "t"\nsource = "package"\npath = "no_such_package/t.csv"')
    with pytest.raises(UserError, match="'no_such_package' that carries it is not installed"):
        load_spec(spec)


def only_task(folder, task):
    path = folder / "s.toml"
    path.write_text(f'title = "s"\n[[tasks]]\n{task}\n')
    return load_suite(str(path)).tasks[0]


def test_file_source_is_relative_to_the_suite_and_obeys_every_key(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"zip": rng.integers(0, 3, 20), "a": ["?", "1"] * 10, "id": range(20), "g": np.arange(20) // 2})
    frame.assign(y=["p", "q"] * 10).to_csv(tmp_path / "my.csv", index=False)
    keys = 'name = "t"\nsource = "file"\npath = "my.csv"\ntarget = "y"\n'
    keys += 'categorical = ["zip"]\ndrop = ["id"]\nna = ["?"]\ngroups = "g"'
    task = load_spec(only_task(tmp_path, keys))
    assert list(task.X) == ["zip", "a"]
    assert task.categorical == ["zip"]
    assert task.X["a"].isna().sum() == 10
    assert len(np.unique(task.groups)) == 10


GOOD = 'name = "t"\nsource = "file"\npath = "t.csv"\n'


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("title = ", "not a TOML file"),
        ('title = "x"', "no tasks"),
        ('tittle = "x"\n[[tasks]]\n' + GOOD, "unknown key 'tittle': did you mean 'title'?"),
        ("[[tasks]]\n" + GOOD + 'targget = "y"', "unknown key 'targget': did you mean 'target'?"),
        ('[[tasks]]\nname = "t"\nsource = "file"', "key 'path' is missing"),
        ("[[tasks]]\n" + GOOD.replace('"file"', '"fil"'), "no data source 'fil': did you mean 'file'?"),
        ("[[tasks]]\n" + GOOD + "[[tasks]]\n" + GOOD, "'t' is listed twice"),
        ("[[tasks]]\n" + GOOD.replace('"t"', '"../t"'), "without slashes"),
    ],
)
def test_bad_suite_files(tmp_path, content, says):
    path = tmp_path / "s.toml"
    path.write_text(content)
    with pytest.raises(UserError, match=re.escape(says)):
        load_suite(str(path))


def test_unknown_suites():
    with pytest.raises(UserError, match="did you mean 'starter'"):
        load_suite("strater")
    with pytest.raises(UserError, match="no such suite file"):
        load_suite("strater.toml")


def test_arff_reader_agrees_with_scipy():
    from scipy.io import arff

    folder = Path(find_spec("sklearn").submodule_search_locations[0]) / "datasets/tests/data/openml/id_3"
    text = gzip.decompress(next(folder.glob("*.arff.gz")).read_bytes()).decode()
    rows, _ = arff.loadarff(io.StringIO(text))
    assert read_arff(text).frame.to_numpy().tolist() == [[value.decode() for value in row] for row in rows.tolist()]


def test_arff_quotes_and_missing():
    text = "@relation r\n@attribute 'a b' string\n@attribute c numeric\n@data\n\"x, 'y'\",?\n% note\n?,2\n"
    content = read_arff(text)
    frame = content.frame
    assert content.names == ["a b", "c"]
    assert frame[0].tolist()[0] == "x, 'y'"
    assert frame.isna().to_numpy().tolist() == [[False, True], [True, False]]
