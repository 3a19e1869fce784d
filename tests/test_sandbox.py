import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from tabbench.sandbox import Child, rss_mb, start_server, wait_for_any


@pytest.fixture(scope="module", autouse=True)
def server():
    start_server(["numpy"])


def finish(function, *args, seconds=20.0, memory_mb=2000.0, threads=1):
    child = Child(function, args, seconds=seconds, memory_mb=memory_mb, threads=threads)
    while (outcome := child.poll()) is None:
        wait_for_any([child], 0.05)
    return outcome


def double(data):
    return data * 2


def loud(n):
    for _ in range(n):
        print("x" * 1000)
        print("y" * 1000, file=sys.stderr)
    return b"quiet"


def sleep_stubbornly():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)
    return b""


def allocate():
    blocks = []
    while True:
        blocks.append(np.ones(2_000_000))
        time.sleep(0.01)


def fork_and_allocate():
    if os.fork() == 0:
        allocate()
    time.sleep(60)
    return b""


def leave_by(how):
    if how == "exit":
        os._exit(3)
    os.kill(os.getpid(), signal.SIGSEGV)
    return b""


def leave_a_child_behind(path):
    process = subprocess.Popen(["sleep", "60"])
    with open(path, "w") as file:
        file.write(str(process.pid))
    return b"done"


def environment():
    from threadpoolctl import threadpool_info

    pools = {pool["num_threads"] for pool in threadpool_info()}
    return f"{os.environ['OMP_NUM_THREADS']} {sorted(pools)}".encode()


def test_answer_comes_back():
    outcome = finish(double, b"ab" * 3_000_000)
    assert outcome.status == "done"
    assert outcome.answer == b"ab" * 6_000_000


def test_output_is_swallowed():
    assert finish(loud, 5000).answer == b"quiet"


def test_hang_is_stopped_even_if_sigterm_is_ignored():
    started = time.monotonic()
    outcome = finish(sleep_stubbornly, seconds=0.5)
    assert outcome.status == "timeout"
    assert "0.5 s" in outcome.reason
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("function", [allocate, fork_and_allocate])
def test_memory_of_the_whole_tree_is_limited(function):
    outcome = finish(function, memory_mb=400)
    assert outcome.status == "memory"
    assert "400 MB" in outcome.reason


def test_sudden_ends_are_named():
    assert finish(leave_by, "exit").reason == "the process ended by itself with exit code 3"
    assert finish(leave_by, "crash").reason == "the process was killed by SIGSEGV"


def test_nothing_is_left_behind(tmp_path):
    path = tmp_path / "pid"
    assert finish(leave_a_child_behind, str(path)).answer == b"done"
    pid = int(path.read_text())
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie":
        time.sleep(0.05)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie"


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_capped(threads):
    assert finish(environment, threads=threads).answer.decode() == f"{threads} [{threads}]"


def test_the_callers_script_is_not_run_again(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "print('started')\n"
        "from tabbench.sandbox import Child, start_server, wait_for_any\n"
        "start_server([])\n"
        "child = Child(bytes, (3,), seconds=20, memory_mb=2000, threads=1)\n"
        "while (outcome := child.poll()) is None:\n"
        "    wait_for_any([child], 0.05)\n"
        "print(outcome.answer)\n"
    )
    output = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=True).stdout
    assert output == "started\nb'\\x00\\x00\\x00'\n"


def test_memory_of_a_dead_process_is_zero():
    process = subprocess.Popen(["true"])
    process.wait()
    assert rss_mb(process.pid, whole_tree=True) == 0.0
