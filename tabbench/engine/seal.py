"""The seal: to a job, and to all it starts, the result folder is read-only, where the kernel lets us have it so (Linux).

A worker leaves for a mount namespace of its own, in which the folder lies over itself, read-only; root may do so at once,
others in a user namespace. Nothing else on the disk changes for it, so a model writes where it always has. A Landlock domain
then keeps the job from undoing the mount, and from the folder as a process outside sees it (`/proc/PID/root`). Landlock alone
would not do: it allows what lies below a folder and cannot leave out a part, so that the folders above the results, often the
working folder or that of temporary files, would be closed, too. The mode of the files holds nothing: their owner changes it.

Calls are those of unshare(2), mount_setattr(2), user_namespaces(7) and landlock(7); their numbers are equal on all machines.
"""

import ctypes
import os
import struct
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_BIND, MS_REC, MS_SLAVE = 0x1000, 0x4000, 0x80000
AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = -100, 0x8000, 1
MOUNT_SETATTR, CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 442, 444, 445, 446
RULESET_VERSION, PATH_BENEATH, REFER = 1, 1, 1 << 13
LEAST_LANDLOCK = 2  # the first forbids to move files between folders
KINDS = ("open", "read-only", "sealed")


@cache
def held_by() -> str:
    """What keeps jobs from writing to the result folder: "open" nothing, "read-only" a mount, "sealed" one that stays."""
    if sys.platform != "linux":
        return "open"
    with tempfile.TemporaryDirectory() as folder:
        tried = subprocess.run([sys.executable, "-I", "-S", __file__, folder], capture_output=True, text=True, check=False)
    said = tried.stdout.strip()
    return said if tried.returncode == 0 and said in KINDS else "open"


def seal(folder: Path) -> str:
    """Make a folder read-only to this process, which has one thread, and what it starts; return what holds, see `held_by`.

    Raises OSError if that cannot be.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        _call(libc.unshare(CLONE_NEWNS))
    except PermissionError:
        _enter_user_namespace(libc)
    path = os.fsencode(folder)
    _call(libc.mount(None, b"/", None, MS_REC | MS_SLAVE, None))
    _call(libc.mount(path, path, None, MS_BIND | MS_REC, None))
    attributes = struct.pack("=QQQQ", MOUNT_ATTR_RDONLY, 0, 0, 0)
    _call(_syscall(libc, MOUNT_SETATTR, AT_FDCWD, path, AT_RECURSIVE, attributes, len(attributes)))
    with suppress(FileNotFoundError):
        os.chdir(os.getcwd())  # which may lie in the folder: not below the mount
    return "sealed" if _keep_mounts(libc) else "read-only"


def _enter_user_namespace(libc: ctypes.CDLL) -> None:
    """A namespace in which we may mount, and have the user and group that we have outside."""
    user, group = os.geteuid(), os.getegid()
    _call(libc.unshare(CLONE_NEWNS | CLONE_NEWUSER))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _keep_mounts(libc: ctypes.CDLL) -> bool:
    """Enter a Landlock domain, in which all files are as they were, but mounts and processes outside are out of reach."""
    if _syscall(libc, CREATE_RULESET, None, 0, RULESET_VERSION) < LEAST_LANDLOCK:
        return False
    handled = struct.pack("=Q", REFER)
    rules, root = _call(_syscall(libc, CREATE_RULESET, handled, len(handled), 0)), os.open("/", os.O_PATH | os.O_CLOEXEC)
    try:
        _call(_syscall(libc, ADD_RULE, rules, PATH_BENEATH, struct.pack("=Qi", REFER, root), 0))
        _call(_syscall(libc, RESTRICT_SELF, rules, 0))
    finally:
        os.close(rules)
        os.close(root)
    return True


def _syscall(libc: ctypes.CDLL, number: int, *values: int | bytes | None) -> int:
    return int(libc.syscall(*[ctypes.c_long(value) if isinstance(value, int) else value for value in (number, *values)]))


def _call(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _try(folder: Path) -> str:
    """What holds for a folder after a try to seal it and to write there all the same."""
    (folder / "old").touch()
    kind = seal(folder)
    for act in (lambda: (folder / "new").touch(), lambda: (folder / "old").write_text("x"), lambda: (folder / "old").unlink()):
        with suppress(OSError):
            act()
            return "open"
    return kind


if __name__ == "__main__":  # in a process of its own: there is no way back
    print(_try(Path(sys.argv[1])))
