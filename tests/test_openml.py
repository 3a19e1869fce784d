"""The real OpenML client against a server on loopback: what is fetched, what goes wrong, what works without a network."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import requests

pytest.importorskip("openml")

from tabbench import api
from tabbench.cli import main
from tabbench.cli.suite_table import suite_table
from tabbench.data.openml import patience
from tabbench.data.openml.cache import open_cache
from tabbench.data.openml.pull import pull
from tabbench.data.split import make_splits
from tabbench.data.suite import load_spec, load_suite
from tabbench.errors import UserError
from tests.support.openml_fixtures import SUITE, N, contents, folds, only
from tests.support.openml_server import Fault, OpenMLServer, Table


def test_a_task_is_what_the_metadata_say(server, catalogue):
    assert pull(["task/1"], quiet=True) == {}
    task = load_spec(only("openml:task/1"))
    sent = catalogue.tables[11].frame
    assert task.name == "mixed-1"
    assert list(task.X) == ["a b", "kind", "code"]
    assert task.categorical == ["kind", "code"]
    np.testing.assert_array_equal(task.X["a b"], sent["a b"])
    assert task.X["kind"].astype(object).fillna("?").tolist() == sent["kind"].astype(object).fillna("?").tolist()
    assert task.X["code"].tolist() == sent["code"].tolist()
    assert [task.classes[code] for code in task.y] == sent["class"].tolist()
    assert task.info["licence"] == "CC0"
    assert task.info["openml_id"] == 11


def test_splits_are_the_official_ones(server, catalogue):
    assert pull(["task/1", "task/2"], quiet=True) == {}
    for number, shape in ((1, [(0, f) for f in range(10)]), (2, [(r, f) for r in range(2) for f in range(5)])):
        splits = make_splits(load_spec(only(f"openml:task/{number}")), None, 2, seed=5)
        assert [(s.repeat, s.fold) for s in splits] == shape
        for split in splits:
            fold_of = catalogue.tasks[number][1][:, split.repeat]
            assert split.test.tolist() == np.flatnonzero(fold_of == split.fold).tolist()
            assert split.train.tolist() == np.flatnonzero(fold_of != split.fold).tolist()


def test_a_dataset_without_a_task_has_the_target_of_its_description(server):
    assert pull(["data/11"], quiet=True) == {}
    task = load_spec(only("openml:data/11"))
    assert task.name == "mixed-11"
    assert task.classes == ("no", "yes")
    assert task.test_fold is None


def test_sparse_files_and_text_columns(server, catalogue):
    frame = pd.DataFrame({"x": [0.0, 2.0, 0.0, 3.0] * 5, "y": pd.Categorical(["a", "b"] * 10)})
    catalogue.tables[21] = Table("sparse", frame, "y", sparse=True)
    catalogue.tables[22] = Table("text", frame.assign(t=[f"word {i}" for i in range(20)]), "y")
    assert pull(["data/21", "data/22"], quiet=True) == {}
    assert load_spec(only("openml:data/21")).X["x"].tolist() == frame["x"].tolist()
    assert load_spec(only("openml:data/22")).categorical == ["t"]


def test_nothing_is_pickled_and_no_scratch_is_left(server, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    assert pull(["task/1"], quiet=True) == {}
    assert sorted({path.suffix for path in contents(tmp_path / "data")}) == [".json", ".parquet"]
    assert list(scratch.iterdir()) == []


RETRIED = [
    Fault("500", "/data/11"),
    Fault("500", "/download", times=3),
    Fault("429", "/task", retry_after="0"),
    Fault("429", "/download", retry_after="date"),
    Fault("slow", "/download"),
    Fault("silent", "/download"),
    Fault("truncated", "/download"),
    Fault("truncated", "/splits"),
    Fault("half", "/splits"),
    Fault("half", "/features"),
    Fault("wrong checksum", "/download"),
    Fault("reset", "/data"),
    Fault("reset", "/download", times=2),
]


@pytest.mark.parametrize("fault", RETRIED, ids=lambda fault: f"{fault.kind} {fault.path}")
def test_faults_that_pass_are_sat_out(server, monkeypatch, fault):
    clean = _digest_of_a_clean_fetch(server, monkeypatch)
    if fault.kind in ("slow", "silent"):  # else a busy machine would seem to be at fault
        monkeypatch.setattr(patience, "SILENCE_SECONDS", 0.5)
        monkeypatch.setattr(patience, "GRACE_SECONDS", 0.2)
    server.faults.append(Fault(fault.kind, fault.path, fault.times, fault.retry_after))
    assert pull(["task/1"], quiet=True) == {}
    assert server.faults[0].times == 0
    assert load_spec(only("openml:task/1")).digest == clean


def _digest_of_a_clean_fetch(server, monkeypatch):
    here = os.environ["TABBENCH_DATA"]
    monkeypatch.setenv("TABBENCH_DATA", here + "-clean")
    pull(["task/1"], quiet=True)
    digest = load_spec(only("openml:task/1")).digest
    monkeypatch.setenv("TABBENCH_DATA", here)
    return digest


LASTING = [
    (Fault("500", "/download", 99), "the server answers 500, 5 times"),
    (Fault("429", "/task", 99, retry_after="3600"), "asks to wait 3600 s: try again later"),
    (Fault("truncated", "/download", 99), "the answer was cut short, 5 times"),
    (Fault("reset", "/download", 99), "connection reset, 5 times"),
    (Fault("half", "/splits", 99), "its folds are incomplete"),
]


@pytest.mark.parametrize(("fault", "says"), LASTING, ids=lambda part: getattr(part, "kind", None))
def test_faults_that_last_end_in_one_line_and_harm_nothing(server, tmp_path, fault, says):
    assert pull(["task/3"], quiet=True) == {}
    before = contents(tmp_path / "data")
    server.faults.append(Fault(fault.kind, fault.path, fault.times, fault.retry_after))
    [reason] = pull(["task/1", "task/3"], quiet=True).values()
    assert says in reason
    assert "\n" not in reason
    after = contents(tmp_path / "data")
    assert {path: after[path] for path in before} == before
    assert not open_cache().has("tasks", 1)


def test_a_lasting_wrong_checksum_ends_in_one_line(server, monkeypatch):
    monkeypatch.setattr("tabbench.data.openml.client.HASH_TRIES", 1)
    server.faults.append(Fault("wrong checksum", "/download", 99))
    [reason] = pull(["task/1"], quiet=True).values()
    assert "Checksum" in reason
    assert "\n" not in reason


def test_a_server_that_goes_away_is_resumed_later(server, catalogue, tmp_path, monkeypatch):
    server.faults.append(Fault("gone", "/download/13"))
    failed = pull([f"task/{n}" for n in (1, 2, 3, 4)], workers=1, quiet=True)
    assert set(failed) == {"task/3", "task/4"}
    assert all("cannot reach OpenML" in reason or "connection" in reason for reason in failed.values())
    before = contents(tmp_path / "data")
    with OpenMLServer(catalogue, port=server.port) as again:
        assert pull([f"task/{n}" for n in (1, 2, 3, 4)], quiet=True) == {}
        assert not [path for path in again.asked if path.endswith(("/task/1", "/task/2", "/download/11/mixed.arff"))]
    after = contents(tmp_path / "data")
    assert {path: after[path] for path in before} == before


def test_unknown_and_unfit_tasks_say_so(server):
    failed = pull(["task/999", "task/9"], quiet=True)
    assert "the server says: Unknown" in failed["task/999"]
    assert "Supervised Regression" in failed["task/9"]


def test_a_damaged_table_is_noticed_and_fetched_again(server):
    assert pull(["task/1"], quiet=True) == {}
    file = open_cache().path("datasets", 11) / "data.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[:-4] + b"oops")
    with pytest.raises(UserError, match="damaged: run `tabbench fetch` again"):
        load_spec(only("openml:task/1"))
    assert main(["fetch", "openml:task/1", "--quiet"]) == 0
    assert file.read_bytes() == whole


def test_fetch_counts_and_reports(server, capsys):
    server.faults.append(Fault("500", "/download/13", 99))
    assert main(["fetch", f"openml:suite/{SUITE}", "--quiet", "--workers", "2"]) == 1
    captured = capsys.readouterr()
    assert captured.out == "3 of 4 tables are on this machine\n"
    assert captured.err.count("\n") == 1
    table = suite_table(f"openml:suite/{SUITE}")
    assert table["here"].tolist() == [True, True, False, True]
    assert table["name"].tolist() == ["mixed-1", "numbers2-2", "task-3", "numbers2-4"]
    assert table["rows"].tolist()[0] == N
    assert table["features"].tolist()[0] == 3


RUN = ["run", "--suite", "openml:suite/8", "--models", "tree", "--workers", "1", "--quiet"]


def test_run_pulls_then_needs_no_server_and_says_so_when_there_is_neither(server, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*RUN, "--out", "first"]) == 0
    capsys.readouterr()
    frame = pd.read_parquet("first/results.parquet")
    assert frame.groupby("task")["fold"].nunique().to_dict() == {"mixed-1": 10, "numbers3-3": 3}
    assert set(frame["status"]) == {"ok"}
    assert "mixed-1" in Path("first/report.html").read_text()
    server.stop()
    assert main([*RUN, "--out", "second"]) == 0
    metrics = ["task", "fold", "model", "log_loss"]
    pd.testing.assert_frame_equal(frame[metrics], pd.read_parquet("second/results.parquet")[metrics])
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path / "empty"))
    capsys.readouterr()
    for arguments in ([*RUN, "--out", "third"], ["run", "--suite", "openml:task/1"], ["fetch", "openml:task/1"]):
        assert main(arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1
        assert "cannot reach OpenML" in captured.err
        assert "tabbench mirror" in captured.err


@pytest.mark.parametrize("seconds", [0.0, patience.CONNECT_SECONDS], ids=["refused", "swallowed"])
def test_without_a_network_patience_ends_within_20_seconds(monkeypatch, seconds):
    now = 0.0

    def pass_time(more):
        nonlocal now
        now += more

    def fail(*_, **__):
        pass_time(seconds)
        raise requests.ConnectionError("Connection refused")

    monkeypatch.setattr(patience.time, "monotonic", lambda: now)
    monkeypatch.setattr(requests.Session, "request", fail)
    line = patience.Line("http://127.0.0.1:9/api")
    monkeypatch.setattr(line, "sleep", pass_time)
    with patience.patient_requests(line), pytest.raises(UserError, match="cannot reach OpenML"):
        requests.Session().get("http://127.0.0.1:9/api")
    assert 3 < now < 20


@pytest.mark.parametrize("reference", ["openml:", "openml:suite", "openml:suit/99", "openml:task/x"])
def test_bad_references_are_one_line(capsys, reference):
    assert main(["run", "--suite", reference]) == 2
    assert "write openml:suite/99, openml:task/3 or openml:data/31" in capsys.readouterr().err


def test_the_server_is_the_environments_or_the_clients(tmp_path, monkeypatch):
    from tabbench.data.openml.cache import DEFAULT_SERVER, server_url

    monkeypatch.delenv("OPENML_SERVER", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert server_url() == DEFAULT_SERVER
    (tmp_path / "openml").mkdir()
    (tmp_path / "openml" / "config").write_text("apikey = k\nserver = http://mirror.example/api/v1/xml\n")
    assert server_url() == "http://mirror.example/api/v1/xml"
    monkeypatch.setenv("OPENML_SERVER", "http://other.example/api")
    assert open_cache().folder.name == "other.example"


def test_columns_of_a_file_in_another_order_than_the_metadata_keep_their_names(tmp_path):
    """By position the target would be another column, silently."""
    client = pytest.importorskip("tabbench.data.openml.client")
    file = tmp_path / "d.arff"
    file.write_text("@relation d\n@attribute y {p,q}\n@attribute 'a b' numeric\n@data\np,1\nq,2\n", encoding="utf-8")
    frame, remarks = client._read_arff(file, [("a_b", "numeric"), ("y", "nominal")], {"y": ["p", "q"]})
    assert list(frame) == ["a_b", "y"]
    assert frame["a_b"].tolist() == [1.0, 2.0]
    assert frame["y"].tolist() == ["p", "q"]
    assert remarks == []
    with pytest.raises(client.Damaged, match=r"column 2 is 'a b' in the file and 'z' in its description"):
        client._read_arff(file, [("y", "nominal"), ("z", "numeric")], {})


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", ["tabarena", "amlb", "grinsztajn-numerical", "grinsztajn-categorical", "talent"])
def test_the_small_form_of_a_suite_runs(server, catalogue, tmp_path, name):
    """Its ids are fetched, its official folds and repeats taken; the tables themselves are stand-ins."""
    specs = load_suite(f"{name}-smoke").tasks
    for spec in specs:
        rng = np.random.default_rng(spec.openml_id)
        labels = pd.Categorical([f"c{i % spec.classes}" for i in range(N)])
        frame = pd.DataFrame(rng.normal(size=(N, 2)), columns=["x", "z"]).assign(target=labels)
        catalogue.tables[spec.openml_id] = Table(f"t{spec.openml_id}", frame, "target")
        if spec.path.startswith("task/"):
            official = folds(3, 10) if name == "tabarena" else folds(10)
            catalogue.tasks[int(spec.path.removeprefix("task/"))] = (spec.openml_id, official, 1)
    results = api.run(f"{name}-smoke", models=["dummy"], out=tmp_path / "out", quiet=True)
    frame = results.frame
    assert frame["status"].eq("ok").all()
    n_jobs = {"tabarena": 3 * sum(spec.repeats or 1 for spec in specs), "talent": 3}.get(name, 30)
    assert len(frame) == n_jobs
    assert not results.manifest["missing_tasks"]
    assert {task["name"] for task in results.manifest["tasks"]} == {spec.name for spec in specs}


class Written(Table):
    """A table whose file says other things than its description."""

    def arff(self):
        return self.text.encode()


def written(catalogue, number, head, rows, **facts):
    """A table of 12 rows in a file with the given attributes; a and y are what the description tells of it."""
    n = 12
    frame = pd.DataFrame({"a": np.arange(n, dtype=float), "y": pd.Categorical(["p", "q"] * (n // 2))})
    table = catalogue.tables[number] = Written(f"written{number}", frame, "y", **facts)
    table.text = f"@relation r\n{head}@data\n" + "".join(f"{rows(i, 'pq'[i % 2])}\n" for i in range(n))


A, Y = "@attribute a numeric\n", "@attribute y {p,q}\n"


def test_a_file_in_another_order_goes_by_name_from_end_to_end(server, catalogue):
    written(catalogue, 31, Y + A, lambda i, label: f"{label},{i}")
    assert pull(["data/31"], quiet=True) == {}
    task = load_spec(only("openml:data/31"))
    assert task.X["a"].tolist() == list(range(12))
    assert task.classes == ("p", "q")


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("word", ["Infinity", "inf", "-inf", "1e999"])
def test_infinity_in_whole_numbers_leaves_out_its_table_and_no_other(server, catalogue, capsys, word, tmp_path, monkeypatch):
    written(catalogue, 31, "@attribute a INTEGER\n" + Y, lambda i, label: f"{word if i == 3 else i},{label}")
    monkeypatch.chdir(tmp_path)
    Path("s.toml").write_text(
        "".join(f'[[tasks]]\nname = "t{n}"\nsource = "openml"\npath = "data/{n}"\n' for n in (31, 12)), encoding="utf-8"
    )
    assert main(["run", "--suite", "s.toml", "--models", "dummy", "--folds", "2", "--out", "r", "--quiet"]) == 0
    assert "not run: t31: " in (out := capsys.readouterr().out)
    assert "infinite values" in out


def test_comments_and_dates_are_read(server, catalogue):
    head = "% c\n@attribute a DATE 'dd-MMM-yyyy' % when\n" + "@attribute\ty\t{p,q} % what\n"
    written(catalogue, 31, head, lambda i, label: f"{i + 1:02d}-Jan-2020,{label}")
    assert pull(["data/31"], quiet=True) == {}
    task = load_spec(only("openml:data/31"))
    assert set(np.diff(task.X["a"])) == {86400.0}


def test_levels_that_the_description_does_not_declare_are_said(server, catalogue):
    written(
        catalogue,
        31,
        A + "@attribute y {p,q,'r s'}\n",
        lambda i, label: f"{i},{label if i < 10 else repr('r s')}",
    )
    assert pull(["data/31"], quiet=True) == {}
    task = load_spec(only("openml:data/31"))
    assert task.classes == ("p", "q", "r s")
    assert task.info["remarks"] == ["column 'y': 1 levels that OpenML's description does not declare ('r s')"]


@pytest.mark.usefixtures("undrawn")
def test_a_deactivated_dataset_is_run_with_a_word(server, catalogue, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    catalogue.tables[12].status = "deactivated"
    assert main(["run", "--suite", "openml:task/2", "--models", "dummy", "--folds", "2", "--out", "r", "--quiet"]) == 0
    assert "OpenML lists the dataset as deactivated" in capsys.readouterr().out
    assert main(["audit", "openml:task/2"]) == 0
    assert "deactivated" in capsys.readouterr().out


@pytest.mark.parametrize("lack", ["input", "url"])
def test_a_task_without_an_estimation_procedure_is_one_line(server, catalogue, lack):
    catalogue.lacking[2] = lack
    [reason] = pull(["task/2"], quiet=True).values()
    assert "has no estimation procedure" in reason
    assert "openml:data/" in reason


def test_a_form_of_date_that_is_not_known_is_named(server, catalogue):
    written(catalogue, 31, "@attribute a DATE 'yyyy-ww'\n" + Y, lambda i, label: f"2020-0{i % 9},{label}")
    [reason] = pull(["data/31"], quiet=True).values()
    assert "the date form 'yyyy-ww' has 'ww', which is not known" in reason


# Servers that mean no good


HOSTILE = [
    (Fault("endless", "/download", 99), "larger than a table may be"),
    (Fault("endless", "/task", 99), "larger than a table may be"),
    (Fault("bomb", "/download", 99), "larger than a table may be: "),
    (Fault("bomb", "/data/features", 99), "larger than a table may be: "),
    (Fault("endless redirect", "/download", 99), "Unknown: /elsewhere"),
    (Fault("redirect", "/download", 999, "/api/v1/xml/download/11/mixed.arff"), "TooManyRedirects"),
    (Fault("redirect", "/download", 99, "file:///etc/passwd"), "InvalidSchema"),
    (Fault("garbage", "/task", 99, "<a>" * 50_000), "damaged on the way"),
    (Fault("garbage", "/task", 99, ""), "damaged on the way"),
    (Fault("garbage", "/data/11", 99, "\udcff\udcfe"), "not understood"),
    (Fault("garbage", "/data/features", 99, "{}"), "damaged on the way"),
    (Fault("garbage", "/splits", 99, "@RELATION s\n@ATTRIBUTE a REAL\n@DATA\n" + "1\n" * 9), "not understood"),
    (
        Fault(
            "garbage",
            "/splits",
            99,
            "@RELATION s\n@ATTRIBUTE type {TRAIN,TEST}\n@ATTRIBUTE rowid INTEGER\n@ATTRIBUTE repeat INTEGER\n"
            "@ATTRIBUTE fold INTEGER\n@DATA\nTRAIN,1,0,0\nTEST,999999999,0,0\nTRAIN,1,0,1\nTEST,0,0,1\n",
        ),
        "incomplete: they name row 999999999",
    ),
]


@pytest.mark.parametrize(("fault", "says"), HOSTILE, ids=lambda part: f"{part.kind} {part.path}" if part != str(part) else "")
def test_a_server_without_measure_is_left_in_one_line(server, tmp_path, monkeypatch, fault, says):
    monkeypatch.setattr(patience, "MAX_BYTES", 2**22)
    monkeypatch.setattr(patience, "FREE_BYTES", 2**20)
    monkeypatch.setattr("tabbench.data.openml.client.HASH_TRIES", 1)
    server.faults.append(Fault(fault.kind, fault.path, fault.times, fault.retry_after))
    before = {path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "data")}
    [reason] = pull(["task/1"], quiet=True).values()
    assert says in reason
    assert reason.isprintable()
    assert not open_cache().has("tasks", 1)
    assert {path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "data")} == before


NAMES = ["../../../x", "/abs/x", "..", "", "a\nb", "x" * 300, "<b>&amp;</b>", "=1+1", "\u202eevil", "con\u0085trol"]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_dataset_of_any_name_is_fetched_and_run_and_writes_only_where_it_should(server, catalogue, tmp_path, capsys, name):
    catalogue.tables[12].name = name
    if pull(["task/4"], quiet=True):
        return  # refused
    before = {path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "data")}
    assert main(["run", "--suite", "openml:task/4", "--models", "dummy", "--out", str(tmp_path / "r"), "--quiet"]) == 0
    for command in ("status", "report", "verify"):
        assert main([command, str(tmp_path / "r")]) == 0
    new = {path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "data")} - before
    assert all(path == tmp_path / "r" or path.is_relative_to(tmp_path / "r") for path in new)
    assert all(line.isprintable() for line in capsys.readouterr().out.splitlines())


def test_a_name_without_end_is_refused_before_it_is_stored(server, catalogue):
    catalogue.tables[12].name = "x" * 2_000
    [reason] = pull(["task/2"], quiet=True).values()
    assert "OpenML dataset 12" in reason
    assert not open_cache().has("datasets", 12)


META = {"format": 1, "name": "a", "version": 1, "licence": None, "url": None, "target": "t", "rows": 1, "columns": 1}
SPOILT = [
    "[" * 100_000,
    "5",
    '{"format": 1}',
    '{"format": "²"}',
    json.dumps({**META, "features": [5]}),
    json.dumps({**META, "features": [], "name": ["a"]}),
    json.dumps({**META, "features": [], "licence": {}, "url": 5}),
    json.dumps({**META, "features": [], "rows": -1}),
]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("text", SPOILT, ids=range(len(SPOILT)))
def test_what_a_mirror_says_of_a_table_is_held_to_a_form(server, capsys, tmp_path, text):
    assert pull(["task/4"], quiet=True) == {}
    (open_cache().path("datasets", 12) / "meta.json").write_text(text)
    words = ["run", "--suite", "openml:task/4", "--models", "dummy", "--out", str(tmp_path / "r"), "--quiet"]
    assert main(words) in (0, 2)
    assert len(capsys.readouterr().err.splitlines()) <= 1
