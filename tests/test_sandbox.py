import os
import subprocess
import sys
import threading
import time

import psutil
import pytest

from tabbench.engine import sandbox
from tabbench.engine.keeper import is_dead
from tabbench.engine.sandbox import Outcome, rss_mb, start_server
from tests.support.children import (
    allocate,
    begin_to_answer,
    bomb,
    crash_daemonised,
    daemonise,
    double,
    end_of,
    environment,
    finish,
    fork_and_allocate,
    leave_a_child_behind,
    leave_by,
    leave_when,
    loud,
    sleep_stubbornly,
    start,
    wait_for,
)


@pytest.fixture(scope="module", autouse=True)
def server():
    start_server(["numpy"])


def test_answer_comes_back():
    outcome = finish(double, b"ab" * 3_000_000)
    assert outcome.status == "done"
    assert outcome.answer == b"ab" * 6_000_000


def test_output_is_swallowed():
    assert finish(loud, 5000).answer == b"quiet"


def test_hang_is_stopped_even_if_sigterm_is_ignored(tmp_path):
    child = start(sleep_stubbornly, str(tmp_path / "deaf"))
    wait_for((tmp_path / "deaf").exists)
    child.seconds, began = 0.5, time.monotonic()
    outcome = end_of(child)
    assert outcome.status == "timeout"
    assert "0.5 s" in outcome.reason
    assert time.monotonic() - began < 300  # it would sleep twice as long


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_half_an_answer_is_waited_for_no_longer_than_the_limit():
    assert finish(begin_to_answer, b"\0\0\1\0\0\0\0\0few", seconds=1.0).status == "timeout"


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_an_answer_larger_than_the_memory_is_none():
    assert finish(begin_to_answer, b"nonsense and more").reason == "the process sent an answer that cannot be read"


@pytest.mark.parametrize("function", [allocate, fork_and_allocate])
def test_memory_of_the_whole_tree_is_limited(function):
    outcome = finish(function, memory_mb=400)
    assert outcome.status == "memory"
    assert "400 MB" in outcome.reason


def test_sudden_ends_are_named():
    assert finish(leave_by, "exit").reason == "the process ended by itself with exit code 3"
    assert finish(leave_by, "crash").reason == "the process was killed by SIGSEGV"
    assert finish(leave_by, "kill") == Outcome("lost", "the process was killed by SIGKILL")  # by whom cannot be told


@pytest.mark.parametrize(
    ("function", "status"), [(leave_a_child_behind, "done"), (daemonise, "done"), (crash_daemonised, "failed")]
)
def test_nothing_is_left_behind(tmp_path, function, status):
    path = tmp_path / "pid"
    assert finish(function, str(path)).status == status
    assert not psutil.pid_exists(int(path.read_text()))


def test_a_fork_bomb_is_stopped(monkeypatch):
    monkeypatch.setattr("tabbench.engine.sandbox.MAX_PROCESSES", 20)  # a small one, for the sake of this machine
    outcome = finish(bomb, memory_mb=20_000)
    assert outcome.status == "failed"
    assert "processes, over the limit of 20" in outcome.reason


def test_daemons_end_with_a_killed_runner(tmp_path):
    script = (
        "import sys, time\nfrom tests.support.children import *\n"
        "from tabbench.engine.sandbox import start_server\nstart_server([])\n"
        "child = start(stay_daemonised, sys.argv[1], seconds=600)\ntime.sleep(600)\n"
    )
    path = tmp_path / "pid"
    runner = subprocess.Popen([sys.executable, "-c", script, str(path)])
    wait_for(lambda: path.exists() and path.read_text())
    runner.kill()
    runner.wait()
    wait_for(lambda: not psutil.pid_exists(int(path.read_text())))  # the job would take 600 s, and the daemon


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_capped(threads):
    assert finish(environment, threads=threads).answer.decode() == f"{threads} [{threads}]"


def test_a_server_that_was_killed_comes_back_as_it_was(tmp_path):
    child = start(sleep_stubbornly, str(tmp_path / "deaf"))
    psutil.Process(child.process.pid).parent().kill()
    assert end_of(child) == Outcome("lost", "its fork server died")
    assert finish(environment).answer.decode() == "1 [1]"


def test_a_server_that_dies_while_it_is_asked_for_a_child_is_replaced():
    server = psutil.Process(sandbox._server._forkserver_pid)
    server.suspend()
    killer = threading.Timer(0.2, server.kill)
    killer.start()
    child = start(double, b"ab")
    killer.join()
    assert psutil.Process(child.process.pid).parent() != server
    assert end_of(child).answer == b"abab"


@pytest.mark.skipif(sys.platform != "linux", reason="a process outlives its first thread on Linux")
def test_a_process_is_not_dead_before_its_last_thread():
    sleep_on = "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(600,)).start()"
    code = f"{sleep_on}; ctypes.CDLL(None).pthread_exit(None)"
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        wait_for(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
        assert not is_dead(process.pid)
        assert process.poll() is None  # nor can it be asked how it has ended
    finally:
        process.kill()
        process.wait()
    assert is_dead(process.pid)


def test_how_a_child_has_ended_is_waited_for(tmp_path):
    child = start(leave_when, str(tmp_path / "now"))
    finish(double, b"the server is done with the start")
    server = psutil.Process(sandbox._server._forkserver_pid)
    server.suspend()
    (tmp_path / "now").touch()
    waker = threading.Timer(1.5, server.resume)
    waker.start()
    assert end_of(child).reason == "the process ended by itself with exit code 3"
    waker.join()


@pytest.mark.parametrize(("parent", "code"), [("os.getppid()", 0), ("os.getpid()", 1)])
def test_nothing_is_done_for_a_parent_that_has_died(tmp_path, parent, code):
    script = (
        f"import os, sys; from tabbench.engine.keeper import keep; keep(lambda: open(sys.argv[1], 'w'), None, None, {parent})"
    )
    assert subprocess.run([sys.executable, "-c", script, tmp_path / "done"], check=False).returncode == code
    assert (tmp_path / "done").exists() is (code == 0)


@pytest.mark.parametrize("flags", [(), ("-S",)], ids=["", "no path of the server's own"])
def test_the_callers_script_is_not_run_again(tmp_path, flags):
    script = tmp_path / "script.py"
    script.write_text(
        f"print('started')\nimport sys\nsys.path[:] = {sys.path}\n"
        "from tabbench.engine.sandbox import Child, start_server, wait_for_any\n"
        "start_server([])\n"
        "child = Child(bytes, (3,), seconds=300, memory_mb=2000, threads=1)\n"
        "while (outcome := child.poll()) is None:\n"
        "    wait_for_any([child], 0.05)\n"
        "child.kill()\n"
        "print(outcome.answer)\n"
    )
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, *flags, script]
    output = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=600, check=True).stdout
    assert output == "started\nb'\\x00\\x00\\x00'\n"


def test_memory_of_a_dead_process_is_zero():
    process = subprocess.Popen(["sleep", "600"])
    seen = [psutil.Process(process.pid)]
    assert rss_mb(seen) > 0
    process.kill()
    process.wait()
    assert rss_mb(seen) == 0.0
