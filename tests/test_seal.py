"""The seal of the result folder: what a job can and cannot do to it, with all that the kernel offers and without."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tabbench
from tabbench.engine import seal
from tabbench.engine.sandbox import start_server, stop_server
from tests.support.children import end_of, start

KIND = seal.held_by()
needs_seal = pytest.mark.skipif(KIND == "open", reason="the kernel gives this process no mount namespace")
needs_landlock = pytest.mark.skipif(KIND != "sealed", reason="the kernel has no Landlock")


@pytest.fixture(scope="module")
def server():
    start_server(["numpy"])


@pytest.fixture
def place(tmp_path):
    """A folder to close, with a file in it, and one beside it."""
    for name in ("closed", "beside"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "old").write_text("precious")
    return tmp_path


def acts(folder):
    """What one can do to a folder that holds a file `old`, by name."""
    old, new = folder / "old", folder / "new"
    return {
        "create": lambda: new.write_text("x"),
        "write": lambda: old.write_text("x"),
        "append": lambda: old.open("a").close(),
        "truncate": lambda: os.truncate(old, 0),
        "link": lambda: os.link(old, folder.parent / f"{folder.name}-link"),
        "symlink": lambda: new.symlink_to(old),
        "mkdir": lambda: (folder / "inner").mkdir(),
        "fifo": lambda: os.mkfifo(folder / "fifo"),
        "touch": lambda: os.utime(old, (0, 0)),
        "mode": lambda: old.chmod(0o600),
        "move out": lambda: os.rename(old, folder.parent / f"{folder.name}-moved"),
        "unlink": lambda: old.unlink(),
        "remove": lambda: shutil.rmtree(folder),
        "rename": lambda: folder.rename(folder.parent / f"{folder.name}-elsewhere"),
    }


def done(folder):
    """Names of the acts that could be done, by absolute paths or from the working folder; it is made good before each."""
    found = set()
    for where in (Path(folder), Path(os.path.relpath(folder))):
        for name, act in acts(where).items():
            with suppress(OSError):
                shutil.rmtree(folder, ignore_errors=True)
                os.makedirs(folder)
                (where / "old").write_text("precious")
            with suppress(OSError):
                act()
                found.add(name)
    return sorted(found)


def what_can_be_done(closed, beside):
    reads = (Path(closed) / "old").read_text()
    found = {"closed": done(closed), "beside": done(beside), "reads": reads}
    return json.dumps(found).encode()


def in_a_daemon(path):
    """A process that the job leaves behind is closed out, too."""
    if os.fork() == 0:
        os.setsid()
        with suppress(OSError):
            Path(path, "daemon").touch()
        os._exit(0)
    os.wait()
    return b"done"


def undo(closed, outside):
    """Ways back to a folder that is closed, each of which would end in a file `undone` in it."""
    libc, path, found = ctypes.CDLL(None, use_errno=True), os.fsencode(closed), []
    ways = {
        "umount": lambda: libc.umount2(path, 2),
        "remount": lambda: libc.mount(None, path, None, 0x1000 | 0x20, None),
        "mount over": lambda: libc.mount(os.fsencode(Path(closed).parent), path, None, 0x1000, None),
        "another namespace": lambda: (libc.unshare(0x10020000), libc.umount2(path, 2)),
        "the namespace outside": lambda: libc.setns(os.open(f"/proc/{outside}/ns/mnt", os.O_RDONLY), 0),
    }
    for name, way in ways.items():
        with suppress(OSError):
            way()
        for root in ("", f"/proc/{outside}/root", "/proc/1/root", f"/proc/{outside}/cwd/../..", f"/proc/{os.getppid()}/root"):
            with suppress(OSError):
                Path(f"{root}{closed}/undone").touch()
                found.append(f"{name} by {root or 'its name'}")
    return json.dumps(found).encode()


def run_child(function, *args, closed):
    return json.loads(end_of(start(function, *args, closed=closed)).answer)


@needs_seal
@pytest.mark.usefixtures("server")
def test_a_job_reads_a_closed_folder_and_does_nothing_to_it_and_all_that_it_likes_beside_it(place):
    found = run_child(what_can_be_done, str(place / "closed"), str(place / "beside"), closed=place / "closed")
    assert found == {"closed": [], "beside": sorted(acts(place)), "reads": "precious"}
    assert [path.name for path in (place / "closed").iterdir()] == ["old"]
    assert (place / "closed" / "old").read_text() == "precious"
    assert end_of(start(in_a_daemon, str(place / "closed"), closed=place / "closed")).answer == b"done"
    assert [path.name for path in (place / "closed").iterdir()] == ["old"]
    (place / "closed" / "new").touch()  # we can


@needs_landlock
@pytest.mark.usefixtures("server")
def test_a_job_finds_no_way_back_to_a_closed_folder(place):
    assert run_child(undo, str(place / "closed"), os.getpid(), closed=place / "closed") == []
    assert not (place / "closed" / "undone").exists()


@pytest.mark.usefixtures("server")
def test_without_a_seal_the_folder_is_open_and_jobs_are_done_all_the_same(place, monkeypatch):
    monkeypatch.setattr(seal, "held_by", lambda: "open")
    found = run_child(what_can_be_done, str(place / "closed"), str(place / "beside"), closed=place / "closed")
    assert set(found["closed"]) == set(found["beside"]) == {*acts(place)}


@needs_seal
@pytest.mark.usefixtures("server")
def test_a_folder_that_has_gone_is_no_fault_of_the_job(tmp_path):
    assert end_of(start(bytes, 3, closed=tmp_path / "gone")).answer == b"\0\0\0"


SCRIPT = """
import ctypes, os, sys
sys.path.insert(0, os.path.dirname(sys.argv[1]))
import seal
from pathlib import Path
{before}
print(seal._try(Path(sys.argv[2])), os.geteuid())
"""
AS_NOBODY = "os.setgroups([]); os.setgid(65534); os.setuid(65534); ctypes.CDLL(None).prctl(4, 1)  # as if begun so"


def tried(folder, before):
    folder.chmod(0o777)
    script = [sys.executable, "-I", "-S", "-c", SCRIPT.format(before=before), seal.__file__, folder]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    return done.stdout.split() or done.stderr.splitlines()[-1:]


@needs_seal
def test_an_older_kernel_without_landlock_holds_the_mount_alone(tmp_path):
    assert tried(tmp_path, "seal.LEAST_LANDLOCK = 1000") == ["read-only", str(os.geteuid())]


@needs_seal
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_than_root_seals_in_a_user_namespace(tmp_path):
    where = tmp_path / "closed"
    where.mkdir()
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 1:
            folder.chmod(folder.stat().st_mode | 1)
    found = tried(where, AS_NOBODY)
    if "PermissionError" in found[0] or "OSError" in found[0]:
        pytest.skip("users may make no user namespaces here")
    assert found == [KIND, "65534"]


@pytest.mark.parametrize("script", ["raise PermissionError", "print('odd')", "import os; os.abort()"])
def test_a_try_that_fails_is_told_as_open(tmp_path, monkeypatch, script):
    (tmp_path / "seal.py").write_text(script)
    monkeypatch.setattr(seal, "__file__", str(tmp_path / "seal.py"))
    assert seal.held_by.__wrapped__() == "open"


def table():
    x = np.random.default_rng(0).normal(size=(60, 2))
    return pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": np.where(x[:, 0] > 0, "yes", "no")})


GETS_AT_IT = ["PlantsATrigger", "DeletesRows", "ForgesRows", "RemovesTheStore", "ReplacesTheStore"]


@pytest.mark.usefixtures("undrawn")
@needs_seal
def test_models_that_get_at_the_store_change_nothing_and_the_manifest_says_what_holds(tmp_path, monkeypatch):
    monkeypatch.setenv("STORE", str(tmp_path / "r" / "store.sqlite"))
    stop_server()
    models = [f"tests.support.hostile:{name}" for name in GETS_AT_IT]
    results = tabbench.run(data=table(), target="y", models=["dummy", *models, "tree"], out=tmp_path / "r", folds=2, quiet=True)
    stop_server()
    assert results.manifest["engine"]["store"] == KIND
    assert results.frame["status"].tolist() == ["ok"] * 14
    assert len(list((tmp_path / "r").glob("store.*"))) == 2


@pytest.mark.usefixtures("undrawn")
@needs_seal
def test_numbers_and_keys_do_not_depend_on_what_holds_the_store(tmp_path, monkeypatch):
    frames = []
    for kind in (KIND, "open"):
        monkeypatch.setattr(seal, "held_by", lambda kind=kind: kind)
        results = tabbench.run(data=table(), target="y", models=["tree"], out=tmp_path / kind, quiet=True)
        assert results.manifest["engine"]["store"] == kind
        frames.append(results.frame[["key", "status", "log_loss", "accuracy"]])
    pd.testing.assert_frame_equal(*frames, check_exact=True)
