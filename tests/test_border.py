"""What comes from strangers, models and odd machines is held at the border: nothing lies, leaks, writes elsewhere or hangs."""

import os
import shutil
import sqlite3
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tabbench
from tabbench.cli import main
from tabbench.data.split import make_splits
from tabbench.data.suite import load_spec, load_suite
from tabbench.data.task import make_task
from tabbench.engine.execute import execute
from tabbench.engine.sandbox import stop_server
from tabbench.errors import UserError
from tabbench.files import file_name, replace_text
from tabbench.job import Job
from tabbench.resources import Resources
from tabbench.store.runs import Row, row_digest


@pytest.fixture(scope="module", autouse=True)
def private_data(tmp_path_factory):
    os.environ["TABBENCH_DATA"] = str(tmp_path_factory.mktemp("data"))
    stop_server()
    yield
    del os.environ["TABBENCH_DATA"]


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    monkeypatch.setattr("tabbench.report.page.render", lambda *_: "drawing takes seconds")


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
def test_a_model_that_gets_at_the_store_loses_no_result_in_silence(tmp_path, capsys, monkeypatch, name):
    monkeypatch.setenv("STORE", str(tmp_path / "r" / "store.sqlite"))
    stop_server()
    path = made_from(tmp_path / "r")
    words = ["run", "--data", path, "--target", "y", "--folds", "3", "--out", tmp_path / "r", "--quiet", "--workers", "1"]
    code, err = said(capsys, *words, "--models", f"dummy,{BAD}:{name},tree")
    stop_server()
    frame = None if code else pd.read_parquet(tmp_path / "r" / "results.parquet")
    if code == 0:  # it could not
        assert (len(frame), rows(tmp_path / "r")) == (9, 9)
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
