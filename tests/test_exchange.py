"""Result folders that travel: repeated, sharded and merged, packed and opened, and described for other tools."""

import getpass
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tabbench
from tabbench.cli import main
from tabbench.engine.cgroup import held_by
from tabbench.errors import UserError
from tabbench.folders.merge import merge
from tabbench.folders.pack import pack, unpack, without_paths
from tabbench.folders.verify import verify
from tabbench.store.checksums import write_checksums
from tabbench.store.runs import ResultStore

BROKEN = """
from sklearn.naive_bayes import GaussianNB

class Broken(GaussianNB):
    def fit(self, X, y):
        raise OSError(2, "no such file", __file__)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exchange")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("TABBENCH_DATA", str(folder / "data"))
        patch.setattr("tabbench.report.page.render", lambda *_: "drawing takes seconds")
        (folder / "broken.py").write_text(BROKEN)
        x = np.random.default_rng(0).normal(size=(60, 2))
        pd.DataFrame(x, columns=["a", "b"]).assign(y=np.arange(60) % 2).to_csv("t.csv", index=False)
        call = ["run", "--data", str(folder / "t.csv"), "--target", "y", "--models", "dummy,tree,broken:Broken", "--quiet"]
        assert main([*call, "--out", "whole", "--log", "log.jsonl"]) == 0
        yield folder


def board(folder):
    frame = pd.read_csv(f"{folder}/leaderboard.csv")
    return frame.drop(columns=[column for column in frame if "seconds" in column]).to_csv()


def test_a_manifest_is_enough_to_repeat_a_run(place, capsys):
    assert main(["rerun", "whole/manifest.json", "--out", "again", "--trust", "--quiet"]) == 0
    assert board("again") == board("whole")
    capsys.readouterr()
    assert main(["diff", "whole", "again"]) == 0, capsys.readouterr().out
    (place / "t.csv").rename(place / "away.csv")
    (place / "data").rename(place / "data_away")
    assert main(["rerun", "whole", "--out", "third", "--trust"]) == 2
    assert "dataset t: not to be had here" in capsys.readouterr().err
    (place / "data_away").rename(place / "data")
    (place / "away.csv").rename(place / "t.csv")


def test_shards_merge_to_the_whole(place, capsys):
    shards = [f"shard{i}" for i in (1, 2)]
    for i, out in enumerate(shards, start=1):
        tabbench.run(data="t.csv", target="y", models=["dummy", "tree", "broken:Broken"], out=out, shard=f"{i}/2", quiet=True)
    sizes = [len(tabbench.api.open_results(out).frame) for out in shards]
    assert sum(sizes) == 9
    assert min(sizes) > 0
    assert main(["merge", *shards, "--out", "merged"]) == 0
    assert board("merged") == board("whole")
    assert verify(place / "merged", 2).problems == []
    with pytest.raises(UserError, match="is not empty"):
        merge([Path("shard1")], Path("merged"))
    tabbench.run(data="t.csv", target="y", models=["dummy"], out="other", seed=5, quiet=True)
    with pytest.raises(UserError, match="seed"):
        merge([Path("shard1"), Path("other")], Path("never"))
    capsys.readouterr()
    for shard in ("0/2", "3/2", "2", "a/b"):
        assert main(["run", "--data", "t.csv", "--target", "y", "--shard", shard]) == 2
        assert f"shard {shard!r}: give i/n" in capsys.readouterr().err


def test_a_merge_takes_along_what_was_imported_and_the_metafeatures(place, capsys):
    parts = pd.DataFrame(
        {"task": "t", "repeat": 0, "fold": [0, 1], "nr_inst": [40.0, 40.0], "nr_attr": [2.0, np.nan], "reasons": ""}
    )
    for name, rows in (("left", parts.iloc[:1].drop(columns="nr_attr")), ("right", parts)):
        shutil.copytree("whole", name)
        rows.to_parquet(f"{name}/metafeatures.parquet", index=False)
    pd.DataFrame({"dataset": ["t"], "method": ["net"], "fold": [0], "metric": ["roc_auc"], "metric_error": [0.1]}).assign(
        time_train_s=1.0, time_infer_s=1.0
    ).to_csv("theirs.csv", index=False)
    assert main(["import", "tabarena", "theirs.csv", "--out", "left", "--force"]) == 0
    assert main(["merge", "left", "right", "--out", "both"]) == 0
    assert "net (tabarena)" in board("both")
    manifest = json.loads((place / "both" / "manifest.json").read_text())
    assert [note["kind"] for note in manifest["imported"]] == ["tabarena"]
    found = pd.read_parquet("both/metafeatures.parquet").set_index("fold")
    assert found["nr_inst"].to_dict() == {0: 40, 1: 40}
    assert found.loc[0, "nr_attr"] == 2  # of the richer of two descriptions
    assert verify(place / "both", 2).problems == []
    assert main(["import", "tabarena", "theirs.csv", "--out", "alone"]) == 0
    capsys.readouterr()
    assert main(["merge", "whole", "alone", "--out", "never"]) == 2
    assert "alone: holds no run of its own" in capsys.readouterr().err


def test_an_archive_names_no_place_or_user_and_passes_verification(place, monkeypatch):
    pack(Path("whole"), Path("whole.zip"))
    pack(Path("whole"), Path("twice.zip"))
    assert Path("whole.zip").read_bytes() == Path("twice.zip").read_bytes()
    with zipfile.ZipFile("whole.zip") as archive:
        for entry in archive.infolist():
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
            content = archive.read(entry)
            assert str(place).encode() not in content, entry.filename
            assert str(Path.home()).encode() + b"/" not in content, entry.filename
            if len(getpass.getuser()) > 4:
                assert getpass.getuser().encode() not in content, entry.filename
    unpack(Path("whole.zip"), Path("opened"))
    assert verify(Path("opened"), 2).problems == []  # the table is found in the folder one works in
    assert board("opened") == board("whole")
    (Path("opened") / "leaderboard.csv").write_text("mine")
    with pytest.raises(UserError, match=r"not packed: leaderboard\.csv: content has changed"):
        pack(Path("opened"), Path("bad.zip"))
    (Path("opened") / "plot.py").write_text("")
    write_checksums(Path("opened"))
    with pytest.raises(UserError, match=r"not packed: plot\.py: is program code"):
        pack(Path("opened"), Path("bad.zip"))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/data/ada/tables/my.csv", "my.csv"),
        ("File '/usr/lib/python3/x.py', line 3", "File 'x.py', line 3"),
        ("C:\\Users\\ada\\t.csv gone", "t.csv gone"),
        ("~/t/my.csv", "my.csv"),
        ("a/b and 3/4 and https://a.org/b/c", "a/b and 3/4 and https://a.org/b/c"),
        ("tables/my.csv", "tables/my.csv"),
    ],
)
def test_paths_are_cut(text, left):
    assert without_paths({"a": [text]}) == {"a": [left]}


PLAIN = "no plain file inside one folder"
HOSTILE = [
    ({"r/../../evil": b""}, PLAIN),
    ({"/etc/evil": b""}, PLAIN),
    ({"evil": b""}, PLAIN),
    ({"r\\..\\evil/x": b""}, PLAIN),
    ({"r/folder/": b""}, PLAIN),
    ({"r/evil.py": b""}, "is program code"),
    ({"r/splits/evil.SO": b""}, "is program code"),
    ({"r/a": b"", "r/a/b": b""}, "not an archive of a result folder"),
    ({"r/zeros": bytes(3_000_000)}, "larger than a result folder may be"),
    ({"r/a": b""}, "not a tabbench result folder"),
]


def zipped(path, files, kind=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(("files", "says"), HOSTILE)
def test_hostile_archives_leave_nothing(tmp_path, monkeypatch, files, says):
    monkeypatch.setattr("tabbench.folders.pack.MAX_BYTES", 2_000_000)
    zipped(tmp_path / "evil.zip", files)
    with pytest.raises(UserError, match=says):
        unpack(tmp_path / "evil.zip", tmp_path / "deep" / "out")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["deep", "evil.zip"]


def test_bombs_links_and_methods(tmp_path, monkeypatch):
    monkeypatch.setattr("tabbench.folders.pack.MAX_RATIO", 100)
    zipped(tmp_path / "bomb.zip", {"r/zeros": bytes(3_000_000)})
    zipped(tmp_path / "lzma.zip", {"r/a": b"a"}, zipfile.ZIP_LZMA)
    lie = (tmp_path / "bomb.zip").read_bytes().replace((3_000_000).to_bytes(4, "little"), (9).to_bytes(4, "little"))
    (tmp_path / "lie.zip").write_bytes(lie)
    for name, says in (("bomb", "larger than"), ("lzma", PLAIN), ("lie", "not an archive of a result folder")):
        with pytest.raises(UserError, match=says):
            unpack(tmp_path / f"{name}.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_archive_that_was_changed_or_is_none_is_refused(place, tmp_path):
    files = {str(path): path.read_bytes() for path in Path("whole").rglob("*") if path.is_file()}
    zipped("changed.zip", {**files, "whole/leaderboard.csv": b"mine\n"})
    with pytest.raises(UserError, match=r"damaged: leaderboard\.csv: content has changed"):
        unpack(Path("changed.zip"), tmp_path / "out")
    (tmp_path / "text").write_text("no archive")
    for name in (tmp_path / "text", tmp_path / "none"):
        with pytest.raises(UserError, match=f"{name.name}: n"):
            unpack(name, tmp_path / "out")
    with pytest.raises(UserError, match="is there already"):
        unpack(Path("changed.zip"), place / "whole")


def test_the_log_is_json_lines(place):
    events = [json.loads(line) for line in (place / "log.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == ["begin", *["job"] * 9, "end"]
    assert {event["status"] for event in events[1:-1]} == {"ok", "failed"}
    assert events[-1]["done"] == 9


def test_status_and_plan(place, capsys):
    assert main(["status", "whole"]) == 0
    out = capsys.readouterr().out
    assert "whole: finished" in out
    assert "9 jobs are stored (3 failed, 6 ok), 0 are to do" in out
    with ResultStore(Path(shutil.copytree("whole", "less")) / "store.sqlite") as store:
        store.remove([next(store.runs()).key])
    assert main(["status", "less"]) == 0
    assert "less: stopped: the same command goes on with it\n8 jobs are stored" in capsys.readouterr().out
    call = ["plan", "--data", "t.csv", "--target", "y", "--models", "dummy,tree,knn", "--out", "nowhere"]
    assert main(call) == 0
    assert "name result folders of this machine to learn from" in capsys.readouterr().out
    assert main([*call, "--learn", "whole"]) == 0
    out = capsys.readouterr().out
    assert "jobs    9: 1 datasets, 3 models; 0 are stored, 0 unsupported, 9 to do" in out
    assert "core-hours by 6 stored runs" in out
    assert f"limits  held by: {held_by()}" in out
    assert not Path("nowhere").exists()
    call[-1] = "whole"
    assert main(call) == 0
    assert "6 are stored, 0 unsupported, 3 to do" in capsys.readouterr().out


def test_metadata_for_other_tools(place):
    crate = json.loads((place / "whole" / "ro-crate-metadata.json").read_text())
    by_id = {thing["@id"]: thing for thing in crate["@graph"]}
    assert by_id["ro-crate-metadata.json"]["about"] == {"@id": "./"}
    assert by_id["#run"]["object"] == [{"@id": "#t"}]
    for part in by_id["./"]["hasPart"]:
        assert (place / "whole" / part["@id"]).exists()
    croissant = json.loads((place / "whole" / "croissant.json").read_text())
    [file] = croissant["distribution"]
    columns = pd.read_parquet(place / "whole" / file["contentUrl"]).columns
    assert [field["name"] for field in croissant["recordSet"][0]["field"]] == list(columns)
    assert croissant["recordSet"][0]["field"][0]["source"]["fileObject"]["@id"] == file["@id"]
