"""Children of the sandbox: how they are started and awaited, and what they do, good and bad."""

import os
import signal
import stat
import subprocess
import sys
import time
from contextlib import suppress
from multiprocessing import resource_tracker

import numpy as np

from tabbench.engine.sandbox import Child, wait_for_any


def start(function, *args, seconds=300.0, memory_mb=2000.0, threads=1, closed=None):
    return Child(function, args, seconds=seconds, memory_mb=memory_mb, threads=threads, closed=closed)


def end_of(child):
    while (outcome := child.poll()) is None:
        wait_for_any([child], 0.05)
    child.kill()
    return outcome


def finish(function, *args, **limits):
    return end_of(start(function, *args, **limits))


def wait_for(condition):
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def double(data):
    return data * 2


def loud(n):
    for _ in range(n):
        print("x" * 1000)
        print("y" * 1000, file=sys.stderr)
    return b"quiet"


def sleep_stubbornly(path):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open(path, "w"):
        time.sleep(600)
    return b""


def allocate():
    blocks = []
    for _ in range(50):  # 800 MB; the machine is to survive the test if nobody looks
        blocks.append(np.ones(2_000_000))
        time.sleep(0.01)
    time.sleep(600)
    return b""


def fork_and_allocate():
    if os.fork() == 0:
        allocate()
    time.sleep(600)
    return b""


def leave_by(how):
    if how == "exit":
        os._exit(3)
    os.kill(os.getpid(), signal.SIGSEGV if how == "crash" else signal.SIGKILL)
    return b""


def leave_when(path):
    while not os.path.exists(path):
        time.sleep(0.01)
    os._exit(3)


def leave_a_child_behind(path):
    process = subprocess.Popen(["sleep", "600"])
    with open(path, "w") as file:
        file.write(str(process.pid))
    return b"done"


def daemonise(path):
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        with open(path, "w") as file:
            file.write(str(os.getpid()))
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
    os.wait()
    while not os.path.exists(path) or not os.path.getsize(path):
        time.sleep(0.01)
    return b"done"


def bomb():
    for _ in range(7):  # 128 processes, which the machine survives whatever becomes of the limit
        os.fork()
        time.sleep(0.2)
    time.sleep(600)
    os._exit(0)


def crash_daemonised(path):
    daemonise(path)
    os.kill(os.getpid(), signal.SIGSEGV)
    return b""


def stay_daemonised(path):
    daemonise(path)
    time.sleep(600)
    return b""


def begin_to_answer(head):
    """As a model does that writes into the pipe by mistake."""
    tracker = resource_tracker._resource_tracker._fd  # multiprocessing's own
    for fd in map(int, os.listdir("/proc/self/fd")):
        with suppress(OSError):
            if stat.S_ISFIFO(os.stat(fd).st_mode) and fd != tracker:
                os.write(fd, head)
    time.sleep(600)
    return b""


def environment():
    from threadpoolctl import threadpool_info

    pools = {pool["num_threads"] for pool in threadpool_info()}
    return f"{os.environ['OMP_NUM_THREADS']} {sorted(pools)}".encode()
