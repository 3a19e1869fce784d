"""Control groups: a hold of the kernel's on the processes of a job, where it lets us have it (Linux, cgroup v2).

A process that starts jobs has a home, a cgroup inside its own, and in it a group for every job. What a job starts stays in its
group, however it leaves its parents, and `cgroup.kill` (Linux 5.14) ends all of it at once. Where the memory controller can be
handed down, the kernel also holds the memory limit: controllers go down only from a cgroup without processes of its own, so a
process that is alone in its cgroup (`systemd-run --user --scope -p Delegate=yes tabbench run …`) first moves into a leaf of it.
Where there is no such hierarchy, or it is not ours to write to, there is no home, and the watchdog and the keeper hold alone.

Files and rules are those of the kernel's Documentation/admin-guide/cgroup-v2.rst, sections 2.4.3, 2.5, 4.3, 5.2 and 5.4.
"""

import atexit
import fcntl
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

PREFIX, LEAF = "tabbench-", "runner-of-"
CONTROLLERS = ("memory", "pids")
MAX_TASKS = 4096  # of one job, threads included; far over `sandbox.MAX_PROCESSES`, which names the trouble
REMOVE_SECONDS = 5.0

_making = threading.Lock()


@dataclass(frozen=True)
class Home:
    """The cgroup that holds the groups of our jobs. lock : says that we live, as long as it is open."""

    path: Path
    has_memory: bool
    lock: int

    def new_group(self, memory_mb: float) -> Path | None:
        """A group for one job, to be removed by `remove_group`; None if there can be none now."""
        try:
            group = Path(tempfile.mkdtemp(prefix="job-", dir=self.path))
            limit(group, memory_mb)
        except OSError:
            return None
        return group


def home() -> Home | None:
    """The home of this process, made at the first call; None where the kernel or our rights do not allow one."""
    with _making:
        return _make_home()


def held_by() -> str:
    """What holds the limits of our jobs: "cgroup" all of them, "contained" the processes, "watchdog" none."""
    place = home()
    return "watchdog" if place is None else "cgroup" if place.has_memory else "contained"


def limit(group: Path, memory_mb: float) -> None:
    """Set the limits of a group for which it has files."""
    limits = {
        "memory.max": int(memory_mb * 2**20),
        "memory.swap.max": 0,
        "memory.oom.group": 1,  # all processes of a job end or none
        "pids.max": MAX_TASKS,
    }
    for name, value in limits.items():
        if (group / name).exists():
            (group / name).write_text(str(value))


def enter(group: Path) -> None:
    """Move this process into a group; what it starts from now on is born there."""
    with suppress(OSError):  # the group has gone: the watchdog is still there
        (group / "cgroup.procs").write_text("0")


def kill_group(group: Path) -> None:
    """Begin to end everything in a group and below; a fork cannot outrun it."""
    with suppress(OSError):  # it has gone
        (group / "cgroup.kill").write_text("1")


def remove_group(group: Path) -> None:
    """End everything in a group, wait for that and remove it, with the groups that the job has made in it."""
    deadline = time.monotonic() + REMOVE_SECONDS
    while True:
        for folder, _, _ in os.walk(group, topdown=False):
            with suppress(OSError):  # somebody is in it
                os.rmdir(folder)
        if not group.exists() or time.monotonic() > deadline:
            return
        kill_group(group)
        time.sleep(0.001)


def ran_out_of_memory(group: Path) -> bool:
    """Whether the kernel has killed a process of a group because of its memory limit."""
    try:
        lines = (group / "memory.events").read_text().splitlines()
    except OSError:
        return False
    return any(int(count) > 0 for name, count in map(str.split, lines) if name == "oom_kill")


@cache
def _make_home() -> Home | None:
    own = own_group()
    if own is None or not os.access(own / "cgroup.procs", os.W_OK):
        return None
    try:
        with _locked(own):
            _sweep(own)
            path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=own))
            atexit.register(_leave, path, os.getpid())
            lock = os.open(path, os.O_RDONLY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            return Home(path, _hand_down(own, path), lock) if _works(path) else None
    except OSError:
        return None


def _leave(path: Path, pid: int) -> None:
    if os.getpid() == pid:  # not a child that was forked
        remove_group(path)


def own_group() -> Path | None:
    """The folder of the cgroup that this process is in; None if no v2 hierarchy with it is mounted."""
    try:
        groups, mounts = Path("/proc/self/cgroup").read_text(), Path("/proc/self/mountinfo").read_text()
    except OSError:
        return None
    inside = next((PurePosixPath(line[3:]) for line in groups.splitlines() if line.startswith("0::")), None)
    for mount in mounts.splitlines():
        fields, _, kind = mount.partition(" - ")
        root, point = fields.split()[3:5]
        if inside and kind.startswith("cgroup2 ") and inside.is_relative_to(root) and ".." not in inside.parts:
            return Path(point, inside.relative_to(root))
    return None


@contextmanager
def _locked(group: Path, *, wait: bool = True) -> Iterator[None]:
    """Keep others from a group that lock it, too; raises OSError if there is one and we do not wait."""
    lock = os.open(group, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)


def _sweep(own: Path) -> None:
    """End what processes that were killed have left in their homes, which nobody locks any more."""
    for old in own.glob(f"{PREFIX}*"):
        with suppress(OSError), _locked(old, wait=False):  # else its owner lives, or is another user
            remove_group(old)
    for left in own.glob(f"{LEAF}*"):
        with suppress(OSError):  # somebody is in it
            left.rmdir()


def _works(path: Path) -> bool:
    """Whether a process can be moved into a group here, and be killed with it."""
    group = path / "probe"
    group.mkdir()
    try:
        command = ["sh", "-c", 'echo 0 > "$0"', str(group / "cgroup.procs")]
        moved = subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0
        return moved and (group / "cgroup.kill").exists()
    finally:
        group.rmdir()


def _hand_down(own: Path, path: Path) -> bool:
    """Let the groups of jobs have limits, if our cgroup hands controllers down or we are alone in it; whether memory is one."""
    wanted = [name for name in CONTROLLERS if name in (own / "cgroup.controllers").read_text().split()]
    handed = (own / "cgroup.subtree_control").read_text().split()
    order = " ".join(f"+{name}" for name in wanted)
    try:
        if any(name not in handed for name in wanted):
            if (own / "cgroup.type").exists():  # not the root of all, which may have processes
                _step_aside(own, path)
            (own / "cgroup.subtree_control").write_text(order)
        (path / "cgroup.subtree_control").write_text(order)
    except OSError:
        return False
    return "memory" in wanted


def _step_aside(own: Path, path: Path) -> None:
    """Move from our cgroup into a leaf of it; raises OSError if others are in it, too."""
    if (own / "cgroup.procs").read_text().split() != [str(os.getpid())]:
        raise OSError(f"{own}: not ours alone")
    leaf = own / f"{LEAF}{path.name}"
    leaf.mkdir()
    (leaf / "cgroup.procs").write_text("0")
