"""Mirrors: out of one cache, into another, nothing believed without its hash."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("openml")

from tabbench.cli import main
from tabbench.data.openml.cache import open_cache
from tabbench.data.suite import load_spec, load_suite
from tests.support.openml_fixtures import SUITE, contents, only
from tests.support.openml_server import Catalogue, OpenMLServer, Table

MIRROR = Path(__file__).parents[2] / "shared" / "data" / "openml"


@pytest.fixture
def fetched(server):
    assert main(["fetch", f"openml:suite/{SUITE}", "--quiet"]) == 0
    return server


def elsewhere(monkeypatch, tmp_path):
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path / "elsewhere"))


def test_a_mirror_stands_for_the_server(fetched, tmp_path, monkeypatch, capsys):
    digests = [load_spec(spec).digest for spec in load_suite(f"openml:suite/{SUITE}").tasks]
    here = open_cache().folder
    assert main(["mirror", "export", str(tmp_path / "m")]) == 0
    assert "3 datasets, 4 tasks, 1 suites" in capsys.readouterr().out
    fetched.stop()
    elsewhere(monkeypatch, tmp_path)
    assert main(["mirror", "import", str(tmp_path / "m")]) == 0
    assert [load_spec(spec).digest for spec in load_suite(f"openml:suite/{SUITE}").tasks] == digests
    assert sorted(path.read_bytes() for path in contents(here)) == sorted(path.read_bytes() for path in contents(tmp_path / "m"))


def test_a_part_is_exported_with_what_it_needs_and_added_to(fetched, tmp_path):
    assert main(["mirror", "export", str(tmp_path / "m"), "--suite", "openml:task/2"]) == 0
    index = json.loads((tmp_path / "m" / "index.json").read_text())
    assert (list(index["datasets"]), list(index["tasks"]), list(index["suites"])) == (["12"], ["2"], [])
    assert main(["mirror", "export", str(tmp_path / "m"), "--suite", f"openml:suite/{SUITE}"]) == 0
    index = json.loads((tmp_path / "m" / "index.json").read_text())
    assert (list(index["datasets"]), list(index["suites"])) == (["11", "12", "13"], [str(SUITE)])


def test_damage_is_found_and_the_rest_taken_in(fetched, tmp_path, monkeypatch, capsys):
    main(["mirror", "export", str(tmp_path / "m")])
    (tmp_path / "m" / "datasets" / "12" / "data.parquet").write_bytes(b"PAR1")
    elsewhere(monkeypatch, tmp_path)
    assert main(["mirror", "import", str(tmp_path / "m")]) == 2
    assert "1 of 8 entries are damaged (datasets/12" in capsys.readouterr().err
    assert not open_cache().has("datasets", 12)
    assert load_spec(only("openml:task/1")).name == "mixed-1"


def test_bad_folders_are_one_line(server, tmp_path, capsys):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("precious")
    for arguments, says in (
        (["mirror", "export", str(tmp_path / "m")], "run `tabbench fetch` first"),
        (["mirror", "export", str(tmp_path / "thesis")], "holds something else"),
        (["mirror", "import", str(tmp_path / "thesis")], "is no mirror"),
        (["mirror", "export", str(tmp_path / "m"), "--suite", "tabzilla-smoke"], "is not on this machine"),
    ):
        assert main(arguments) == 2
        captured = capsys.readouterr()
        assert says in captured.err
        assert captured.err.count("\n") == 1
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("number", [25, 31, 40945])
def test_real_tables_come_through_unchanged(tmp_path, monkeypatch, number):
    if not MIRROR.is_dir():
        pytest.skip("the real tables are not beside this checkout")
    frame = pd.read_parquet(MIRROR / str(number) / "data.parquet")
    test_fold = np.random.default_rng(0).permutation(np.arange(len(frame)) % 10)[:, None]
    catalogue = Catalogue({number: Table("real", frame, "target")}, {7: (number, test_fold, 1)})
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path / "data"))
    with OpenMLServer(catalogue) as running:
        monkeypatch.setenv("OPENML_SERVER", running.url)
        assert main(["fetch", "openml:task/7", "--quiet"]) == 0
    assert main(["mirror", "export", str(tmp_path / "m")]) == 0
    elsewhere(monkeypatch, tmp_path)
    assert main(["mirror", "import", str(tmp_path / "m")]) == 0
    task = load_spec(only("openml:task/7"))
    assert task.test_fold.tolist() == test_fold[:, 0].tolist()
    for column in task.X:
        sent = frame[column]
        if column in task.categorical:
            np.testing.assert_array_equal(task.X[column].astype(object).fillna("?"), sent.astype(object).fillna("?"))
        else:
            np.testing.assert_array_equal(task.X[column], sent)
