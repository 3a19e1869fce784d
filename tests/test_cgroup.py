"""Control groups: on a real hierarchy where this process may write to one, and the files of the others in made-up folders."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

import tabbench
from tabbench.engine import cgroup
from tabbench.engine.sandbox import start_server
from tests.support.children import daemonise, finish, sleep_stubbornly

HOME = cgroup.home()
needs_cgroups = pytest.mark.skipif(HOME is None, reason="no cgroup v2 hierarchy that this process may write to")


@pytest.fixture(scope="module")
def server():
    start_server(["numpy"])


def lives(pid):
    """Whether a process runs; one that has ended may still wait for its new parent to notice."""
    try:
        return psutil.Process(int(pid)).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def escape(path):
    """Leave a daemon that ignores SIGTERM, and kill the keeper, which would end it."""
    daemonise(path)
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(600)
    return b""


def in_a_group_of_its_own(path):
    own = cgroup.own_group()
    inner = own / "inner"
    inner.mkdir()
    (inner / "cgroup.procs").write_text("0")
    daemonise(path)
    return str(own).encode()


@needs_cgroups
def test_a_daemon_whose_keeper_was_killed_is_gone_after_the_job(tmp_path, server):
    path = tmp_path / "pid"
    assert finish(escape, str(path)).reason == "the process was killed by SIGKILL"
    assert not lives(path.read_text())


@needs_cgroups
def test_groups_that_a_job_has_made_go_with_it(tmp_path, server):
    path = tmp_path / "pid"
    outcome = finish(in_a_group_of_its_own, str(path))
    assert Path(outcome.answer.decode()).parent == HOME.path
    assert not lives(path.read_text())
    assert [entry for entry in HOME.path.iterdir() if entry.is_dir()] == []


@needs_cgroups
def test_no_group_is_left_by_a_job_that_was_stopped(tmp_path, server):
    assert finish(sleep_stubbornly, str(tmp_path / "deaf"), seconds=0.3).status == "timeout"
    assert [entry for entry in HOME.path.iterdir() if entry.is_dir()] == []


@needs_cgroups
def test_the_next_run_ends_what_a_killed_runner_has_left(tmp_path):
    script = (
        "import os, subprocess, sys, time\nfrom tabbench.engine.cgroup import home\n"
        "group = home().new_group(100)\ndaemon = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        "(group / 'cgroup.procs').write_text(str(daemon.pid))\nprint(home().path, daemon.pid, flush=True)\ntime.sleep(600)\n"
    )
    runner = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    path, daemon = runner.stdout.readline().split()
    next_run = [sys.executable, "-c", "from tabbench.engine.cgroup import home\nprint(home().path)"]
    subprocess.run(next_run, check=True, stdout=subprocess.DEVNULL)
    assert Path(path).exists()  # its owner lives
    assert lives(daemon)
    runner.kill()
    runner.wait()
    theirs = subprocess.run(next_run, check=True, capture_output=True, text=True).stdout.strip()
    assert not Path(path).exists()
    assert not lives(daemon)
    assert not Path(theirs).exists()  # it ended by itself, and has cleared up


@needs_cgroups
def test_numbers_and_keys_do_not_depend_on_what_holds_the_limits(tmp_path, monkeypatch):
    x = np.random.default_rng(0).normal(size=(60, 2))
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": x[:, 0] > 0})
    frames = []
    for number, place in enumerate((None, HOME)):
        monkeypatch.setattr("tabbench.engine.sandbox.home", lambda place=place: place)
        monkeypatch.setattr("tabbench.engine.runner.held_by", lambda place=place: str(place))
        results = tabbench.run(data=frame, target="y", models=["tree"], out=tmp_path / str(number), quiet=True)
        assert results.manifest["engine"]["limits"] == str(place)
        frames.append(results.frame[["key", "status", "log_loss", "accuracy"]])
    pd.testing.assert_frame_equal(*frames, check_exact=True)


def test_the_manifest_says_what_holds_the_limits():
    assert cgroup.held_by() in ("watchdog", "contained", "cgroup")
    assert (cgroup.held_by() == "watchdog") == (HOME is None)


def made_up(folder, controllers="cpu memory pids", handed="", members="", is_root=False):
    """A folder with the files that the kernel gives a cgroup."""
    folder.mkdir(parents=True)
    files = {"cgroup.controllers": controllers, "cgroup.subtree_control": handed, "cgroup.procs": members}
    for name, text in {**files, **({} if is_root else {"cgroup.type": "domain"})}.items():
        (folder / name).write_text(text + "\n")
    return folder


def test_limits_are_written_where_the_kernel_has_files_for_them(tmp_path):
    for name in ("memory.max", "memory.oom.group", "pids.max"):  # no swap is accounted for here
        (tmp_path / name).write_text("max\n")
    cgroup.limit(tmp_path, 1.5)
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert written == {"memory.max": str(3 * 2**19), "memory.oom.group": "1", "pids.max": str(cgroup.MAX_TASKS)}


def test_no_limit_is_written_without_controllers(tmp_path):
    cgroup.limit(tmp_path, 1.5)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("events", "expected"),
    [("low 0\nhigh 0\nmax 9\noom 1\noom_kill 3\noom_group_kill 1\n", True), ("max 4\noom 1\noom_kill 0\n", False), (None, False)],
)
def test_a_kill_for_memory_is_told_from_others(tmp_path, events, expected):
    if events is not None:
        (tmp_path / "memory.events").write_text(events)
    assert cgroup.ran_out_of_memory(tmp_path) is expected


def test_who_is_alone_in_its_cgroup_steps_aside_and_hands_controllers_down(tmp_path, monkeypatch):
    own = made_up(tmp_path / "own", members=str(os.getpid()))
    home = made_up(own / "tabbench-x")
    steps = []
    monkeypatch.setattr(Path, "write_text", lambda path, text: steps.append((str(path.relative_to(own)), text)))
    assert cgroup._hand_down(own, home)
    assert steps == [
        ("runner-of-tabbench-x/cgroup.procs", "0"),
        ("cgroup.subtree_control", "+memory +pids"),
        ("tabbench-x/cgroup.subtree_control", "+memory +pids"),
    ]


@pytest.mark.parametrize(
    ("facts", "has_memory", "moved", "order"),
    [
        ({"members": f"1\n{os.getpid()}"}, False, False, None),  # somebody else is there
        ({"members": "1", "handed": "memory pids"}, True, False, "+memory +pids"),  # done before us
        ({"members": "1", "is_root": True}, True, False, "+memory +pids"),
        ({"controllers": "hugetlb", "members": "1"}, False, False, ""),
        ({"controllers": "pids", "members": str(os.getpid())}, False, True, "+pids"),
    ],
)
def test_controllers_are_handed_down_only_where_nobody_is_disturbed(tmp_path, facts, has_memory, moved, order):
    own = made_up(tmp_path / "own", **facts)
    home = made_up(own / "tabbench-x")
    (own / "runner-of-tabbench-x").mkdir() if not moved else None
    assert cgroup._hand_down(own, home) is has_memory
    assert (own / "runner-of-tabbench-x" / "cgroup.procs").exists() is moved
    assert (home / "cgroup.subtree_control").read_text().strip() == (order or "")


def test_a_memory_kill_by_the_kernel_is_recorded_as_one(tmp_path, monkeypatch, server):
    (tmp_path / "group").mkdir()
    (tmp_path / "group" / "memory.events").write_text("oom_kill 1\n")

    class Place:
        def new_group(self, memory_mb):
            return tmp_path / "group"

    monkeypatch.setattr("tabbench.engine.sandbox.home", Place)
    monkeypatch.setattr("tabbench.engine.sandbox.remove_group", lambda group: None)
    outcome = finish(os._exit, 9, memory_mb=123)
    assert (outcome.status, outcome.reason) == ("memory", "stopped by the kernel at the memory limit of 123 MB")


@pytest.mark.parametrize(
    ("groups", "mounts", "expected"),
    [
        ("0::/a/b\n", "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "/sys/fs/cgroup/a/b"),
        ("4:memory:/x\n0::/\n", "30 1 0:26 / /u rw shared:9 - cgroup2 cgroup2 rw\n", "/u"),
        ("0::/a/b\n", "30 1 0:26 /a /m rw - cgroup2 cgroup2 rw\n", "/m/b"),
        ("0::/../x\n", "30 1 0:26 / /m rw - cgroup2 cgroup2 rw\n", None),  # outside of our namespace
        ("4:memory:/x\n", "30 1 0:26 / /m rw - cgroup cgroup rw,memory\n", None),
    ],
)
def test_the_own_group_is_found_in_what_is_mounted(monkeypatch, groups, mounts, expected):
    texts = {"/proc/self/cgroup": groups, "/proc/self/mountinfo": mounts}
    monkeypatch.setattr(Path, "read_text", lambda path: texts[str(path)])
    assert cgroup.own_group() == (expected and Path(expected))


def test_without_rights_there_is_no_home(monkeypatch, tmp_path):
    monkeypatch.setattr(cgroup, "own_group", lambda: tmp_path / "not there")
    assert cgroup._make_home.__wrapped__() is None
