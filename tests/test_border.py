"""What comes from strangers, models and odd machines is held at the border: nothing lies, leaks, writes elsewhere or hangs."""

import json
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import psutil
import pytest

import tabbench
from tabbench.border.texts import markdown_cell, printable, spreadsheet_cell, xml_text
from tabbench.cli import main
from tabbench.data.split import make_splits
from tabbench.data.suite import load_spec, load_suite
from tabbench.data.task import make_task
from tabbench.engine import sandbox
from tabbench.engine.execute import execute
from tabbench.engine.sandbox import start_server, stop_server
from tabbench.errors import UserError
from tabbench.files import file_name, replace_text
from tabbench.job import Job
from tabbench.resources import Resources
from tabbench.store.checksums import write_checksums
from tabbench.store.runs import Row, row_digest
from tests.support.children import double, end_of, finish, sleep_stubbornly, start

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(scope="module", autouse=True)
def private_data(tmp_path_factory):
    os.environ["TABBENCH_DATA"] = str(tmp_path_factory.mktemp("data"))
    os.environ["STORE"] = str(tmp_path_factory.mktemp("attacked") / "r" / "store.sqlite")
    stop_server()
    yield
    del os.environ["TABBENCH_DATA"], os.environ["STORE"]


def table(n=60):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 2))
    return pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": np.where(x[:, 0] + 0.3 * rng.normal(size=n) > 0, "yes", "no")})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of two models on a file, made once."""
    place = tmp_path_factory.mktemp("made")
    table().to_csv(place / "one.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tabbench.report.page.render", lambda *_: "drawing takes seconds")
        tabbench.run(data=place / "one.csv", target="y", models=["dummy", "tree"], out=place / "r", folds=3, quiet=True)
    return place


@pytest.fixture
def folder(made, tmp_path):
    """A copy to spoil."""
    shutil.copytree(made / "r", tmp_path / "r")
    return tmp_path / "r"


def around(place, *leave_out):
    """Every file below a place, with its content, but for what lies in the folders left out."""
    paths = [path for path in Path(place).rglob("*") if not any(path.is_relative_to(inner) for inner in leave_out)]
    return {path: path.read_bytes() if path.is_file() else None for path in paths}


def said(capsys, *words):
    """Exit code and standard error of a command, which must be one line where it fails."""
    code = main([str(word) for word in words])
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert code in (0, 1) or (code == 2 and len(err.splitlines()) == 1), err
    return code, err


# Names that come from data


NAMES = [
    "../../../x",
    "/abs/x",
    "..",
    ".",
    "a/b",
    "a\\b",
    ".hidden",
    "n\0l",
    "two\nlines",
    "x" * 300,
    "\udc80",
    "ä" * 200,
    "\x1b[2J",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_named_by_data_lies_in_its_folder(tmp_path, name):
    place = tmp_path / "folder"
    path = place / f"{file_name(name)}-0123456789ab.parquet"
    replace_text(path, "x")
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == [path]
    assert path.parent == place
    assert not path.name.startswith(".")


def test_plain_names_are_their_own_file_names():
    for name in ("iris", "with blank (2)", "Größe", "a.b-c_d", "50%"):
        assert file_name(name) == name


@pytest.mark.parametrize("name", ["../../../x", "{here}/abs/x", "x" * 300, "a\nb"])
def test_a_dataset_cannot_name_a_place_outside_the_folder(tmp_path, name):
    from tabbench.engine.runner import LocalEngine
    from tabbench.folders.run import Request, make_request, run_request
    from tabbench.request import Spec

    out = tmp_path / "deep" / "in" / "r"
    asked = make_request(Spec(target="y", models=("dummy",), folds=2), table()).spec
    task = make_task(table(), "y", name=name.format(here=tmp_path))
    before = around(tmp_path, tmp_path / "deep")
    run_request(Request(replace(asked, tasks=(task.name,)), [task], []), out, LocalEngine(asked.resources), quiet=True)
    assert around(tmp_path, tmp_path / "deep") == before
    assert set((tmp_path / "deep").rglob("*.parquet")) == {*out.glob("splits/*.parquet"), *out.glob("*.parquet")}
    assert len(list(out.glob("splits/*.parquet"))) == 1


@pytest.mark.parametrize(
    "path", ["tests.evil/x", "os.path/x", "tabbench/../../x", "tabbench//etc/passwd", "/etc/passwd", "tabbench"]
)
def test_a_suite_reads_only_files_of_packages_and_imports_none(tmp_path, path):
    (tmp_path / "s.toml").write_text(f'[[tasks]]\nname = "a"\nsource = "package"\npath = "{path}"\n')
    with pytest.raises(UserError, match="no file in a package"):
        load_spec(load_suite(str(tmp_path / "s.toml")).tasks[0])


@pytest.mark.parametrize(("source", "path"), [("sklearn", "sample_images"), ("sklearn", "x"), ("sklearn_openml", "../1")])
def test_other_sources_take_no_strange_paths(tmp_path, source, path):
    (tmp_path / "s.toml").write_text(f'[[tasks]]\nname = "a"\nsource = "{source}"\npath = "{path}"\n')
    with pytest.raises(UserError, match="a: "):
        load_spec(load_suite(str(tmp_path / "s.toml")).tasks[0])


@pytest.mark.parametrize("name", ["report.html", "store.lock", "store.sqlite", "splits", "more", "manifest.json"])
def test_a_folder_with_links_is_neither_written_nor_packed(folder, capsys, name):
    secret = folder.parent / "secret"
    if (folder / name).exists():
        (folder / name).rename(secret)
    else:
        secret.write_text("precious")
    (folder / name).symlink_to(secret)
    before = around(folder.parent)
    for words in (
        ["report", folder],
        ["pack", folder, "--out", folder.parent / "p.zip"],
        ["verify", folder],
        ["status", folder],
        ["merge", folder, "--out", folder.parent / "m"],
        ["run", "--data", folder.parent / "one.csv", "--target", "y", "--out", folder],
    ):
        code, _ = said(capsys, *words)
        assert code == 2, words
    assert around(folder.parent) == before


def test_a_link_laid_where_a_temporary_file_will_be_is_not_followed(folder):
    outside = folder.parent / "outside"
    outside.write_text("precious")
    (folder / f".leaderboard.csv.{os.getpid()}.tmp").symlink_to(outside)
    replace_text(folder / "leaderboard.csv", "new")
    assert outside.read_text() == "precious"
    assert (folder / "leaderboard.csv").read_text() == "new"
    assert not (folder / "leaderboard.csv").is_symlink()


# What a model does and a child sends


BAD = "tests.support.hostile"


def reasons(frame):
    return {model.removeprefix(f"{BAD}:"): (set(rows["status"]), set(rows["reason"])) for model, rows in frame.groupby("model")}


def test_a_model_that_walks_the_stack_finds_no_label_of_a_test_row(tmp_path):
    models = [f"{BAD}:WalksTheStack"]
    task = make_task(table(), "y", name="t")
    split = make_splits(task, 2, 1, 0)[0]
    assert execute(Job("t", task.digest, 0, 0, split.digest, *models), task, split).facts["accuracy"] == 1  # it looks well
    frame = tabbench.run(data=table(), target="y", models=models, out=tmp_path / "r", folds=2, quiet=True).frame
    assert set(frame["status"]) == {"ok"}
    assert frame["log_loss"].tolist() == pytest.approx([np.log(2)] * 2)  # it knows nothing
    for protocol, configs in (("tabbench", 2), ("tabzilla", 2)):
        out = tmp_path / protocol
        run = tabbench.run(data=table(), target="y", models=models, out=out, protocol=protocol, configs=configs, quiet=True)
        assert (run.frame["status"] == "ok").all()
        assert run.frame["accuracy"].mean() < 0.8


def test_impossible_labels_and_classes_fail_and_possible_ones_in_any_form_are_scored(tmp_path):
    names = ["PredictsMinusOne", "PredictsTooMuch", "PredictsHalves", "PredictsWords", "LacksAClass"]
    good = ["PredictsText", "PredictsFloats", "ReversesItsClasses"]
    models = [f"{BAD}:{name}" for name in (*names, *good)]
    frame = tabbench.run(data=table(), target="y", models=models, out=tmp_path / "r", folds=2, quiet=True).frame
    found = reasons(frame)
    for name in names:
        statuses, texts = found[name]
        assert statuses == {"failed"}, name
        assert all("no label it was fitted to" in text for text in texts), name
    scores = frame.set_index("model")["accuracy"].groupby(level=0).mean()
    assert scores[f"{BAD}:PredictsText"] == scores[f"{BAD}:PredictsFloats"] == pytest.approx((table()["y"] == "yes").mean())
    assert scores[f"{BAD}:ReversesItsClasses"] == pytest.approx((table()["y"] == "no").mean())


def test_answers_that_are_none_fail_and_the_folder_stays_readable(tmp_path, capsys):
    from tests.support.hostile import ANSWERS

    answers = [f"Answers{name.title().replace(' ', '')}" for name in ANSWERS]
    others = ["RaisesSurrogates", "RaisesTheUntellable", "CutsStrangely"]
    models = [f"{BAD}:{name}" for name in (*answers, *others)]
    out = tmp_path / "r"
    resources = Resources(workers=2, time_limit=60)
    frame = tabbench.run(
        data=table(), target="y", models=[*models, "dummy"], out=out, folds=2, quiet=True, resources=resources
    ).frame
    found = reasons(frame)
    assert found.pop("dummy") == ({"ok"}, {""})
    for name in answers:
        assert found[name] == ({"failed"}, {"the process sent an answer that cannot be read"}), name
    assert {status for statuses, _ in found.values() for status in statuses} == {"failed"}
    assert all(text.isprintable() and text for _, texts in found.values() for text in texts)
    for command in ("status", "report", "leaderboard"):
        assert said(capsys, command, out) == (0, "")
    assert said(capsys, "verify", out, "--level", "1")[0] == 0


def test_a_table_that_vanishes_is_written_again_and_no_model_is_blamed(tmp_path):
    models = [f"{BAD}:RemovesTheTables", "tree", "dummy"]
    frame = tabbench.run(data=table(), target="y", models=models, out=tmp_path / "r", folds=3, quiet=True).frame
    assert set(frame["status"]) == {"ok"}
    assert len(frame) == 9


# The store


def change(folder, *statements):
    with sqlite3.connect(folder / "store.sqlite") as db:
        for statement in statements:
            db.execute(statement)


TRIGGER = "CREATE TRIGGER t AFTER INSERT ON runs BEGIN DELETE FROM runs WHERE id < NEW.id; END"
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS key FROM n"
STRANGE = [
    [TRIGGER],
    ["CREATE TABLE more (a)"],
    ["CREATE VIEW more AS SELECT * FROM runs"],
    ["CREATE INDEX more ON runs(status)"],
    ["ALTER TABLE runs RENAME TO hidden", f"CREATE VIEW runs AS {ENDLESS}"],
    ["ALTER TABLE runs ADD COLUMN more TEXT"],
]


@pytest.mark.parametrize("statements", STRANGE, ids=lambda statements: statements[0][:30])
def test_a_store_with_anything_of_somebody_elses_is_refused(folder, capsys, statements):
    change(folder, *statements)
    path = made_from(folder)
    before = around(folder.parent)
    for words in (
        ["status", folder],
        ["report", folder],
        ["leaderboard", folder],
        ["diff", folder, folder],
        ["merge", folder, "--out", folder.parent / "m"],
        ["run", "--data", path, "--target", "y", "--folds", "3", "--models", "dummy", "--out", folder, "--quiet"],
    ):
        code, err = said(capsys, *words)
        assert code == 2, words
        assert "store.sqlite" in err, words
    assert said(capsys, "verify", folder)[0] == 1
    new = {path for path in around(folder.parent) if path not in before and not path.is_relative_to(folder.parent / "m")}
    assert new <= {folder / "store.sqlite-wal", folder / "store.sqlite-shm"}


@pytest.mark.parametrize("statement", ["UPDATE meta SET value = '1'", "DROP TABLE meta", "UPDATE meta SET value = x'00'"])
def test_a_store_of_a_wrong_format_is_one_line_and_written_anew_by_a_run(folder, capsys, statement):
    change(folder, statement)
    assert said(capsys, "report", folder)[0] == 2
    words = ["--data", made_from(folder), "--target", "y", "--folds", "3", "--models", "dummy,tree", "--out", folder, "--quiet"]
    assert said(capsys, "run", *words)[0] == 0
    assert rows(folder) == 6


def made_from(folder):
    path = folder.parent / "one.csv"
    table().to_csv(path, index=False)
    return path


def rows(folder):
    with sqlite3.connect(folder / "store.sqlite") as db:
        return db.execute("SELECT count(*) FROM runs").fetchone()[0]


@pytest.mark.parametrize("name", ["PlantsATrigger", "DeletesRows", "ForgesRows", "RemovesTheStore", "ReplacesTheStore"])
def test_a_model_that_gets_at_the_store_loses_no_result_in_silence(capsys, name):
    out = Path(os.environ["STORE"]).parent
    shutil.rmtree(out, ignore_errors=True)
    words = ["run", "--data", made_from(out), "--target", "y", "--folds", "3", "--out", out, "--quiet", "--workers", "1"]
    code, err = said(capsys, *words, "--models", f"dummy,{BAD}:{name},tree")
    frame = None if code else pd.read_parquet(out / "results.parquet")
    if code == 0:  # it could not
        assert (len(frame), rows(out)) == (9, 9)
        assert (frame.loc[frame["model"] != f"{BAD}:{name}", "status"] == "ok").all()
    else:
        assert "store.sqlite" in err


IMPOSSIBLE = [
    "facts = '[]'",
    "facts = '5'",
    "facts = replace(facts, 'n_test', 'm_test')",
    "facts = json_set(facts, '$.n_test', -1)",
    "facts = json_set(facts, '$.n_train', 1e300)",
    "facts = json_set(facts, '$.note', 5)",
    "facts = json_set(facts, '$.status', 'ok')",
    "facts = json_set(facts, '$.accuracy', 'good')",
    "facts = printf('%.*c', 100000, '[')",
    "job = json_set(job, '$.fold', -1)",
    "job = json_set(job, '$.fold', 'one')",
    "job = json_set(job, '$.config', '5')",
    "job = '{}'",
    "limits = '{}'",
    "limits = json_set(limits, '$.seconds', 'long')",
    "status = 'splendid'",
    "reason = x'ff'",
    "proba = 'text'",
    "proba = x'00'",
]


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_impossible_rows_with_fitting_hashes_are_one_line_and_done_again(folder, capsys, what):
    change(folder, f"UPDATE runs SET {what} WHERE id = (SELECT min(id) FROM runs)")
    with sqlite3.connect(folder / "store.sqlite") as db:
        for key, *content in db.execute("SELECT key, job, status, reason, details, facts, limits, proba FROM runs").fetchall():
            with suppress(TypeError):
                db.execute("UPDATE runs SET sha256 = ? WHERE key = ?", (row_digest(Row(key, *content)), key))
    for words in (["status", folder], ["report", folder], ["verify", folder], ["merge", folder, "--out", folder.parent / "m"]):
        said(capsys, *words)
    assert main(["verify", str(folder), "--level", "1"]) == 1
    assert "does not match its hash" in capsys.readouterr().out
    words = ["--data", made_from(folder), "--target", "y", "--folds", "3", "--models", "dummy,tree", "--out", folder, "--quiet"]
    code, err = main(["run", *map(str, words)]), capsys.readouterr().err
    assert (code, rows(folder)) == (0, 6), err
    assert set(pd.read_parquet(folder / "results.parquet")["status"]) == {"ok"}


# Folders of strangers


class Watch:
    """Notes which modules are asked for."""

    def __init__(self):
        self.asked = []

    def find_spec(self, name, path=None, target=None):
        self.asked.append(name)


def hand_over(folder, change):
    """As a stranger would: the manifest says something else, and the hashes fit."""
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    write_checksums(folder)


def name_programs(manifest):
    manifest["run"] |= {"models": ["dummy", "evil_module:Boom", "os:abort", "evil.sub:X"], "protocol": "tabbench", "configs": 3}


def name_packages(manifest):
    manifest["run"] |= {"suite": "evil.toml", "data": None, "file": None}


@pytest.mark.parametrize("change", [name_programs, name_packages])
def test_below_level_3_nothing_is_imported_that_a_folder_names_and_nothing_written_elsewhere(folder, capsys, monkeypatch, change):
    place = folder.parent
    monkeypatch.chdir(place)
    (place / "evil_module.py").write_text("import os; os.abort()")
    (place / "evil.toml").write_text('[[tasks]]\nname = "a"\nsource = "package"\npath = "evil_module.sub/x"\n')
    hand_over(folder, change)
    watch = Watch()
    monkeypatch.setattr(sys, "meta_path", [watch, *sys.meta_path])
    before = around(place, folder)
    for words in (["status"], ["verify", "--level", "1"], ["verify", "--level", "2"], ["report"], ["leaderboard"]):
        assert said(capsys, *words, folder)[0] in (0, 1), words
    assert said(capsys, "diff", folder, folder) == (0, "")
    assert around(place, folder) == before
    said(capsys, "pack", folder, "--out", place / "p.zip")
    said(capsys, "merge", folder, "--out", place / "m")
    assert not [name for name in watch.asked if name.startswith("evil")]


def test_level_3_and_rerun_say_what_they_would_import_and_ask_for_trust(folder, capsys, monkeypatch):
    hand_over(folder, name_programs)
    for words in (["verify", folder, "--level", "3"], ["rerun", folder, "--out", folder.parent / "again"]):
        code, err = said(capsys, *words)
        assert code == 2
        assert "evil_module:Boom, os:abort, evil.sub:X" in err
        assert "--trust" in err
    (folder.parent / "nice.py").write_text("from sklearn.dummy import DummyClassifier as Mine")
    monkeypatch.syspath_prepend(folder.parent)
    stop_server()
    words = ["--data", made_from(folder), "--target", "y", "--folds", "2", "--models", "nice:Mine", "--quiet"]
    assert said(capsys, "run", *words, "--out", folder.parent / "n")[0] == 0
    assert said(capsys, "verify", folder.parent / "n", "--level", "3", "--trust")[0] == 0
    stop_server()


def test_the_trials_of_a_model_that_is_not_imported_are_those_that_are_stored(tmp_path, capsys):
    out = tmp_path / "r"
    models = ["tests.support.hostile:SEARCHED"]
    tabbench.run(data=made_from(out), target="y", models=models, out=out, configs=3, folds=2, quiet=True)
    assert main(["verify", str(out)]) == 0
    assert "not imported" in capsys.readouterr().out
    change(out, "DELETE FROM runs WHERE json_extract(job, '$.trial') = 0")
    write_checksums(out)
    assert main(["verify", str(out)]) == 1
    assert "not stored" in capsys.readouterr().out


LEAVERS = ["import sys; sys.exit(0)", "raise SystemExit", "raise RuntimeError('a\\nb')", "x = (", "import absent"]


@pytest.mark.parametrize("program", [*LEAVERS, "import sys\ndef Mine(): sys.exit(0)"])
def test_a_module_that_ends_when_it_is_imported_does_not_end_a_run_as_done(tmp_path, capsys, monkeypatch, program):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "leaver.py").write_text(program)
    words = ["--data", made_from(tmp_path / "r"), "--target", "y", "--out", tmp_path / "r", "--models"]
    assert said(capsys, "run", *words, "dummy,leaver:Mine")[0] == 2
    sys.modules.pop("leaver", None)
    assert not (tmp_path / "r" / "leaderboard.csv").exists()


# Arguments, suites, manifests


ARGUMENTS = [
    ["--seed", "-1"],
    ["--seed", "1" + "0" * 23],
    ["--repeats", "0"],
    ["--repeats", "1000000000"],
    ["--folds", "0"],
    ["--folds", "-3"],
    ["--configs", "1000000000"],
    ["--time-limit", "nan"],
    ["--time-limit", "inf"],
    ["--memory-limit", "nan"],
    ["--memory-limit", "inf"],
    ["--memory-limit", "-1"],
    ["--workers", "-1"],
    ["--threads", "1" + "0" * 30],
    ["--max-rows", "1" + "0" * 20],
    ["--max-rows", "1" + "0" * 400],
    ["--max-columns", "-5"],
    ["--train-sizes", "10,-10"],
    ["--models", ""],
    ["--models", ","],
    ["--models", "a" * 5000],
    ["--models", "\0:x"],
    ["--models", "..:x"],
    ["--models", ":"],
    ["--shard", "0/0"],
    ["--shard", "1/" + "9" * 5000],
    ["--search", "x\ny"],
    ["--protocol", "\x1b[2J"],
    ["--out", "x" * 300],
    ["--target", "\udc80"],
    ["--row-policy", "random", "--max-rows", "nan"],
]


@pytest.mark.parametrize("words", ARGUMENTS, ids=lambda words: "".join(words)[:25].encode("ascii", "replace").decode())
@pytest.mark.parametrize("command", ["run", "plan"])
def test_an_impossible_argument_is_one_line(made, tmp_path, capsys, monkeypatch, command, words):
    monkeypatch.chdir(tmp_path)
    if command == "plan" and words[0] == "--shard":
        pytest.skip("a plan has no shard")
    code, err = said(capsys, command, "--data", made / "one.csv", "--target", "y", "--models", "dummy", *words)
    assert code == 2 or (command, words[0]) == ("plan", "--out")
    assert all(line.isprintable() for line in err.splitlines())
    assert len(err) < 6000


@pytest.mark.parametrize("limits", [{"time_limit": float("nan")}, {"memory_limit": float("inf")}, {"workers": 10**9}])
def test_limits_that_hold_nothing_are_refused(limits):
    with pytest.raises(UserError, match="must be positive"):
        Resources(**limits)


SUITES = [
    "x = " + "[" * 100_000,
    "tasks = 5",
    "tasks = [1, 2]",
    "[[tasks]]\nname = 5\nsource = 'file'\npath = 'a'",
    "[[tasks]]\nname = 'a\\nb'\nsource = 'file'\npath = 'a'",
    '[[tasks]]\nname = "a\\u001b[2J"\nsource = "file"\npath = "a"',
    '[[tasks]]\nname = "a"\nsource = 5\npath = "a"',
    '[[tasks]]\nname = "a"\nsource = ["file"]\npath = "a"',
    '[[tasks]]\nname = "a"\nsource = "file"\npath = "a\\u0000b"',
    '[[tasks]]\nname = "a"\nsource = "file"\npath = "' + "x" * 300 + '"',
    '[[tasks]]\nname = "a"\nsource = "file"\npath = "a"\ntarget = 7',
    '[[tasks]]\nname = "a"\nsource = "file"\npath = "a"\ncategorical = "c"',
    '[[tasks]]\nname = "a"\nsource = "file"\npath = "a"\ndrop = [1]',
    '[[tasks]]\nname = "a"\nsource = "file"\npath = "a"\ngroups = ["g"]',
    '[[tasks]]\nname = "a"\nsource = "file"\npath = "a"\ntest_fold = {a = 1}',
    '[[tasks]]\nname = "a"\nsource = "file"\npath = "a"\nopenml_id = -1',
    '[[tasks]]\nname = "a"\nsource = "file"\npath = "a"\nlicence = 1999-01-01',
    '[[tasks]]\nname = "a"\nsource = "openml"\npath = "task/99999999999999999999999999"',
    '[[tasks]]\nname = "a"\nsource = "openml"\npath = "data/²"',
    '[[tasks]]\nname = "a"\nsource = "openml"\npath = "task/-1"',
    "\udc80",
]


@pytest.mark.parametrize("text", SUITES, ids=range(len(SUITES)))
def test_an_impossible_suite_is_one_line(tmp_path, capsys, monkeypatch, text):
    monkeypatch.setattr("tabbench.data.openml.pull.find_spec", lambda _: None)  # no server is asked
    (tmp_path / "s.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    for words in (["run", "--suite", tmp_path / "s.toml", "--out", tmp_path / "r"], ["suites", "show", tmp_path / "s.toml"]):
        assert said(capsys, *words)[0] == 2 or words[0] == "suites"


MANIFESTS = [
    lambda m: m.update(format="1"),
    lambda m: m.update(format=-1),
    lambda m: m.update(format=10**30),
    lambda m: m.update(run=5),
    lambda m: m["run"].update(configs=10**9, protocol="tabbench"),
    lambda m: m["run"].update(repeats=10**9),
    lambda m: m["run"].update(seed=-1),
    lambda m: m["run"].update(time_limit=float("nan")),
    lambda m: m["run"].update(subsamples=[]),
    lambda m: m["run"].update(models=[]),
    lambda m: m["run"].update(workers=10**30),
    lambda m: m.update(earlier=[5]),
    lambda m: m["tasks"][0].update(digest="../../x"),
    lambda m: m["tasks"][0].update(n_rows=-1),
    lambda m: m["tasks"][0].update(minority_share="half"),
    lambda m: m["tasks"][0].update(title=["a"]),
    lambda m: m["tasks"][0].update(licence={"a": 1}),
    lambda m: m["environment"].update(packages={"a": 5}),
    lambda m: m.update(audit=[{"task": 5}]),
    lambda m: m.update(finished=5),
    lambda m: m.update(argv="x"),
]


@pytest.mark.parametrize("change", MANIFESTS, ids=range(len(MANIFESTS)))
def test_an_impossible_manifest_is_one_line(folder, capsys, change):
    hand_over(folder, change)
    for words in (["status"], ["report"], ["verify"], ["leaderboard"], ["pack", "--out", folder.parent / "p"]):
        code, err = said(capsys, *words, folder)
        assert code == 2, words
        assert "manifest" in err or "format" in err


@pytest.mark.parametrize("text", ["", "5", "[" * 100_000, "{", "\0", '{"format": ' + "9" * 5000 + "}"])
def test_a_manifest_that_is_no_json_is_one_line(folder, capsys, text):
    (folder / "manifest.json").write_text(text)
    for words in (["status"], ["report"], ["verify"]):
        assert said(capsys, *words, folder)[0] == 2


def command(*words, **options):
    line = [sys.executable, "-m", "tabbench", *map(str, words)]
    return subprocess.run(line, capture_output=options.pop("capture_output", True), check=False, timeout=300, **options)


def test_terminals_and_disks_that_take_nothing_are_no_traceback(folder, tmp_path, capsys):
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "POSIX"}
    done = command("leaderboard", folder, env=ascii_only)
    assert (done.returncode, done.stderr) == (0, b"")
    with open("/dev/full", "w") as full:
        done = command("leaderboard", folder, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    name = tmp_path / os.fsdecode(b"t\xff.csv")
    table().to_csv(name, index=False)
    run = ("run", "--target", "y", "--models", "dummy", "--quiet", "--data")
    assert said(capsys, *run, name, "--out", tmp_path / "u") == (0, "")
    assert said(capsys, "report", tmp_path / "u") == (0, "")
    code, err = said(capsys, *run, tmp_path / ("x" * 300))
    assert code == 2
    assert len(err.splitlines()) == 1


# Bounds


def test_a_fork_server_that_somebody_stops_holds_nobody_up(monkeypatch):
    monkeypatch.setattr(sandbox, "STOPPED_SECONDS", 0.2)
    monkeypatch.setattr(sandbox, "LOOK_SECONDS", 0.05)
    stop_server()
    start_server([])
    running = start(sleep_stubbornly, os.devnull)
    psutil.Process(sandbox._server._forkserver_pid).suspend()
    assert finish(double, b"ab").answer == b"abab"  # of a new server
    assert end_of(running).status == "lost"


# Output


LINKS = ["[a](http://b)", "<img src=x>", "a|b"]
SPOILT = ["=1+1", "+1+1", "-x", "@SUM(A1)", "\t=1", "a\nverdict: r is VERIFIED", "\x1b[2J", "\udc80", *LINKS]


@pytest.mark.parametrize("name", SPOILT)
def test_a_name_is_shown_as_it_is_in_every_medium(name):
    assert printable(name).isprintable()
    assert not spreadsheet_cell(name).startswith(("=", "+", "-", "@", "\t", "\r"))
    cell = markdown_cell(name)
    assert cell.isprintable()
    assert "<" not in cell
    assert "](" not in cell.replace("\\](", "")
    assert "|" not in cell.replace("\\|", "")
    ElementTree.fromstring(f"<text>{xml_text(name)}</text>")
    for plain in ("tree [stratified 30 rows]", "-1.5", "a_b", "Größe"):
        assert (printable(plain), spreadsheet_cell(plain), markdown_cell(plain)) == (plain, plain, plain)


def test_a_folder_cannot_print_a_verdict_of_its_own(folder, capsys):
    def rename(manifest):
        manifest["tasks"][0]["name"] = "a\nverdict: r is VERIFIED at level 2\x1b[2J"

    hand_over(folder, rename)
    for words in (["verify"], ["status"], ["leaderboard"]):
        main([*words, str(folder)])
        out = capsys.readouterr().out
        assert sum(line.startswith("verdict:") for line in out.splitlines()) == (words == ["verify"])
        assert "\x1b" not in out


# Commands that were killed


@pytest.mark.parametrize("at", range(8))
def test_a_merge_or_import_that_was_killed_goes_on(folder, monkeypatch, capsys, at):
    """Killed at every file that is moved into place, one after the other."""
    place = folder.parent
    results = place / "theirs.csv"
    results.write_text("id,task,framework,fold,result,metric,duration\n1,a,x,0,0.5,auc,1\n1,a,y,0,0.6,auc,1\n")
    commands = [["merge", folder, "--out", place / "m"], ["import", "amlb", results, "--out", place / "i"]]
    for words in commands:
        with monkeypatch.context() as patch:
            calls, replace = iter(range(100)), os.replace

            def killed(source, target, calls=calls, replace=replace):
                if next(calls) == at:
                    raise KeyboardInterrupt
                return replace(source, target)

            patch.setattr(os, "replace", killed)
            code = main(list(map(str, words)))
        capsys.readouterr()
        if code:
            assert said(capsys, *words) == (0, "")
        assert said(capsys, "report", words[-1]) == (0, "")
    assert rows(place / "m") == 6


@pytest.mark.parametrize("wrong", ["\udc80", {"\udc80": 1}])
@pytest.mark.parametrize("name", ["run", "environment", "argv", "started"])
def test_a_manifest_with_text_that_is_none_is_no_traceback(folder, capsys, name, wrong):
    hand_over(folder, lambda manifest: manifest.update({name: wrong}))
    for words in (["status"], ["report"], ["leaderboard"]):
        said(capsys, *words, folder)


# Relatives that were found later


def forge(folder, **changes):
    """Let the first row of the store be of another job, with a key and a hash that fit."""
    with sqlite3.connect(folder / "store.sqlite") as db:
        key, *content = db.execute(
            "SELECT key, job, status, reason, details, facts, limits, proba FROM runs ORDER BY key LIMIT 1"
        ).fetchone()
        job = Job(**{**json.loads(content[0]), **changes})
        row = Row(job.key, json.dumps(asdict(job)), *content[1:])
        db.execute("UPDATE runs SET key = ?, job = ?, sha256 = ? WHERE key = ?", (row.key, row.job, row_digest(row), key))
    write_checksums(folder)


FORGED = [{"model": "evil_module:Boom"}, {"config": '{"criterion": "entropy"}'}, {"threads": 10**6}, {"max_rows": 7}]


@pytest.mark.parametrize("changes", FORGED, ids=lambda changes: next(iter(changes)))
def test_level_3_fits_no_job_that_the_manifest_does_not_ask_for(folder, capsys, monkeypatch, changes):
    place = folder.parent
    monkeypatch.chdir(place)
    (place / "evil_module.py").write_text("import os; os.abort()")
    forge(folder, **changes)
    made_from(folder)
    fitted = []
    monkeypatch.setattr("tabbench.folders.refit._fit", lambda chosen, *_: fitted.extend(chosen) or {})
    main(["verify", str(folder), "--level", "3", "--sample", "100"])
    assert "1 stored jobs are none that the manifest asks for: not fitted again" in capsys.readouterr().out
    assert len(fitted) == 5
    assert all(getattr(stored.job, name) != value for stored in fitted for name, value in changes.items())


def test_a_row_that_names_a_program_is_shown_by_all_commands_and_imported_by_none(folder, capsys, monkeypatch):
    place = folder.parent
    monkeypatch.chdir(place)
    (place / "evil_module.py").write_text("import os; os.abort()")
    forge(folder, model="evil_module:Boom")
    watch = Watch()
    monkeypatch.setattr(sys, "meta_path", [watch, *sys.meta_path])
    before = around(place, folder, place / "out")
    said(capsys, "report", folder)
    for words in (
        ["status"],
        ["leaderboard"],
        ["verify", "--level", "1"],
        ["verify", "--level", "2"],
        ["diff", folder],
        ["stats"],
        ["recommend"],
        ["analyze"],
        ["merge", "--out", place / "out" / "m"],
        ["pack", "--out", place / "out" / "p.zip"],
    ):
        main([words[0], str(folder), *map(str, words[1:])])
    capsys.readouterr()
    assert not [name for name in watch.asked if name.startswith("evil")]
    assert around(place, folder, place / "out") == before


def test_a_journal_that_names_a_file_of_ours_for_deletion_is_not_played_back(folder, capsys):
    victim = folder.parent / "precious"
    victim.write_text("precious")
    magic, name = bytes.fromhex("d9d505f920a163d7"), os.fsencode(victim)
    pages = (folder / "store.sqlite").stat().st_size // 4096
    head = (magic + struct.pack(">IIIII", 0, 0, pages, 512, 4096)).ljust(512, b"\0")
    tail = struct.pack(">I", 2**30 // 4096 + 1) + name + struct.pack(">II", len(name), sum(name)) + magic
    journal = folder / "store.sqlite-journal"
    journal.write_bytes(head + tail)
    for words in (["status"], ["report"], ["verify"], ["leaderboard"], ["merge", "--out", folder.parent / "m"]):
        code, err = said(capsys, *words, folder)
        assert code in (1, 2)
        assert code == 1 or "is a rollback journal" in err
    assert said(capsys, "run", "--data", made_from(folder), "--target", "y", "--folds", "3", "--out", folder, "--quiet")[0] == 2
    assert victim.read_text() == "precious"
    journal.unlink()
    assert said(capsys, "report", folder) == (0, "")


def test_a_run_that_was_killed_when_its_store_was_nothing_but_a_journal_goes_on(folder, capsys):
    (folder / "store.sqlite").write_bytes(b"")
    (folder / "store.sqlite-journal").write_bytes(b"half")
    words = ["--data", made_from(folder), "--target", "y", "--folds", "3", "--models", "dummy,tree", "--out", folder, "--quiet"]
    assert said(capsys, "run", *words)[0] == 0
    assert rows(folder) == 6


@pytest.mark.parametrize("name", ["manifest.json", "store.sqlite", "results.parquet", "SHA256SUMS", "more"])
def test_a_pipe_in_a_folder_keeps_nobody_waiting(folder, capsys, name):
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    for words in (["status"], ["report"], ["verify"], ["leaderboard"], ["pack", "--out", folder.parent / "p.zip"]):
        code, err = said(capsys, *words, folder)
        assert code == 2
        assert "is no file" in err


@pytest.mark.parametrize("name", ["r\nverdict: r is VERIFIED at level 3", "\x1b[2Jr", "\udc80r", "\u202er"])
def test_a_folder_cannot_print_a_verdict_by_its_own_name(folder, capsys, name):
    odd = folder.rename(folder.with_name(name))
    for words in (["status"], ["report"], ["leaderboard"], ["verify"], ["diff", odd], ["stats"], ["recommend"]):
        main([words[0], str(odd), *map(str, words[1:])])
        out, err = capsys.readouterr()
        for line in (*out.splitlines(), *err.splitlines()):
            assert line.isprintable()
            assert not line.startswith("verdict: ") or words == ["verify"]
    main(["pack", str(odd), "--out", str(folder.parent / "p.zip")])
    main(["merge", str(odd), "--out", str(folder.parent / f"{name}m")])
    out, err = capsys.readouterr()
    assert all(line.isprintable() for line in (*out.splitlines(), *err.splitlines()))


def test_a_folder_one_stands_in_shadows_no_module(folder):
    for name in ("jinja2", "rich", "arff", "openml", "polars", "argcomplete", "psutil", "optuna", "json", "statistics"):
        (folder / f"{name}.py").write_text(f"open({str(folder.parent / 'ran')!r}, 'w').close()")
    variables = {**os.environ, "PYTHONPATH": str(Path(tabbench.__file__).parents[1])}
    for words in (["verify", "."], ["suites", "list"]):  # verifying reads, reports and ranks
        line = [sys.executable, "-P", "-m", "tabbench", *words]
        done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=folder, env=variables, timeout=300)
        assert "Traceback" not in done.stderr
    assert not (folder.parent / "ran").exists()


ODD_MODULES = [
    "class Odd(BaseException): pass\nraise Odd",
    "import pytest; pytest.skip('x', allow_module_level=True)",
    "def __getattr__(name): raise RuntimeError('a\\nb')",
    "def __getattr__(name): raise SystemExit(0)",
    "class Mine:\n    def __init__(self): raise BaseExceptionGroup('x', [GeneratorExit()])",
    "class Meta(type):\n    __signature__ = property(lambda self: 1 / 0)\nclass Mine(metaclass=Meta): pass",
    "class Mine:\n    def fit(self): pass\n    def predict(self): pass\n    def __sklearn_tags__(self): raise SystemExit(0)",
    "class Mine:\n    fit = predict = predict_proba = 1\n    tabbench_needs = property(lambda self: 1 / 0)",
    "class Mine:\n    fit = predict = predict_proba = 1\n    def get_params(self): raise KeyError\n    set_params = 1",
]


@pytest.mark.parametrize("program", ODD_MODULES, ids=range(len(ODD_MODULES)))
def test_a_module_that_does_odd_things_when_looked_at_is_one_line(tmp_path, capsys, monkeypatch, program):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "odd_module.py").write_text(program)
    words = ["--data", made_from(tmp_path / "r"), "--target", "y", "--out", tmp_path / "r", "--models"]
    code, err = said(capsys, "run", *words, "dummy,odd_module:Mine")
    sys.modules.pop("odd_module", None)
    assert code == 2
    assert "odd_module:Mine" in err
    assert not (tmp_path / "r").exists()


def test_a_working_folder_that_has_gone_is_no_traceback(tmp_path):
    script = (
        "import os, sys; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')\n"
        "from tabbench.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    variables = {**os.environ, "PYTHONPATH": str(Path(tabbench.__file__).parents[1])}
    for words in (["suites", "list"], ["status", "x"], ["run", "--data", "x", "--target", "y", "--models", "a:b"]):
        line = [sys.executable, "-c", script, *words]
        done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=tmp_path, env=variables, timeout=300)
        assert "Traceback" not in done.stderr
        assert done.returncode in (0, 2)


def test_a_full_folder_of_temporary_files_is_one_line(folder, tmp_path, capsys, monkeypatch):
    """`verify` derives everything again in such a folder."""
    done = command("verify", folder, env={**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), "/proc")})
    assert b"Traceback" not in done.stderr
    assert done.returncode in (0, 1, 2)
    for place in (str(tmp_path / "none"), "/proc", "/dev/null"):
        monkeypatch.setattr("tempfile.tempdir", place)
        said(capsys, "verify", folder)


KILLER = """
import os, signal, sys
owner, name, at = sys.argv[1], sys.argv[2], int(sys.argv[3])
from tabbench.cli import main
from tabbench.store.runs import ResultStore
owner, calls = {"os": os, "store": ResultStore}[owner], iter(range(1000))
act = getattr(owner, name)
def killed(*args, **options):
    if next(calls) == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return act(*args, **options)
setattr(owner, name, killed)
sys.exit(main(sys.argv[4:]))
"""
QUICK = [("merge", "store", "add_row", 2), ("merge", "os", "replace", 1), ("import", "os", "replace", 1)]
MORE = [
    *(("merge", "store", "add_row", at) for at in (0, 5)),
    *(("merge", "os", "replace", at) for at in (0, 2, 3, 5)),
    *(("import", "os", "replace", at) for at in (0, 2, 3, 4)),
]


@pytest.mark.parametrize(("what", "owner", "name", "at"), [*QUICK, *(pytest.param(*one, marks=pytest.mark.slow) for one in MORE)])
def test_a_merge_or_import_under_kill_9_goes_on(folder, capsys, what, owner, name, at):
    place = folder.parent
    results = place / "theirs.csv"
    results.write_text("id,task,framework,fold,result,metric,duration\n1,a,x,0,0.5,auc,1\n1,a,y,0,0.6,auc,1\n")
    out = {"merge": [folder, "--out", place / "o"], "import": ["amlb", results, "--out", place / "o"]}[what]
    words = [what, *map(str, out)]
    variables = {**os.environ, "PYTHONPATH": str(Path(tabbench.__file__).parents[1])}
    line = [sys.executable, "-c", KILLER, owner, name, str(at), *words]
    done = subprocess.run(line, capture_output=True, check=False, env=variables, timeout=300)
    assert done.returncode == -9 or (done.returncode == 0 and at > 2), done.stderr
    assert said(capsys, *words) == (0, "")
    assert said(capsys, "report", place / "o") == (0, "")
    left = [path.name for path in (place / "o").rglob("*") if path.name.endswith(".tmp")]
    assert left == []
    if what == "merge":
        assert rows(place / "o") == 6
        assert said(capsys, "verify", place / "o")[0] == 0
