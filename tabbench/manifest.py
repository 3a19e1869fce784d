"""The manifest of a run: what was asked for, on what machine, with which versions."""

import json
import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import psutil

from tabbench import __version__
from tabbench.errors import UserError
from tabbench.files import replace_text

FORMAT = 1
NAME = "manifest.json"


def environment() -> dict[str, Any]:
    """Python, platform, processor, cores, memory and the version of every installed package."""
    packages = {d.metadata["Name"]: d.version for d in distributions() if d.metadata["Name"]}
    return {
        "tabbench": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "cores": psutil.cpu_count(),
        "memory_mb": psutil.virtual_memory().total // 2**20,
        "packages": dict(sorted(packages.items(), key=lambda item: item[0].lower())),
    }


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    return found.group(1) if found else platform.processor() or platform.machine()


def git_state() -> dict[str, Any] | None:
    """Commit of the checkout this package runs from and whether it was changed, or None outside a checkout."""
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root)]
    try:
        commit = subprocess.run([*command, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run([*command, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": commit, "dirty": bool(changed.strip())}


def new_manifest(spec: dict[str, Any], tasks: list[dict[str, Any]], missing_tasks: list[dict[str, str]]) -> dict[str, Any]:
    """Manifest of a run that starts now. `missing_tasks` : name and reason of datasets that could not be loaded."""
    return {
        "format": FORMAT,
        "run": spec,
        "tasks": tasks,
        "missing_tasks": missing_tasks,
        "environment": environment(),
        "git": git_state(),
        "argv": ["tabbench", *sys.argv[1:]],
        "started": _now(),
        "finished": None,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_manifest(folder: Path, manifest: dict[str, Any], *, finished: bool = False) -> None:
    """Write `folder/manifest.json`."""
    stamped = {**manifest, "finished": _now()} if finished else manifest
    replace_text(folder / NAME, json.dumps(stamped, indent=1) + "\n")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Manifest of a result folder; raises UserError if it is none or was written by a newer version."""
    path = folder / NAME
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        written = manifest["format"]
    except FileNotFoundError:
        raise UserError(f"{folder}: not a tabbench result folder (it has no {NAME})") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{path}: damaged manifest") from None
    if written > FORMAT:
        raise UserError(f"{path}: format {written} was written by a newer tabbench: upgrade it")
    return manifest


def check_folder(folder: Path, spec: dict[str, Any], protocol: tuple[str, ...]) -> None:
    """Make `folder` ready for a run of `spec`: new, empty, or an earlier run with the same `protocol` fields.

    Raises UserError for a folder of something else, another protocol, or one that cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file: give --out a folder")
    if folder.is_dir() and any(folder.iterdir()):
        old = read_manifest(folder)["run"]
        for name in protocol:
            if old.get(name) != spec[name]:
                raise UserError(f"{folder}: holds a run with {name}={old.get(name)}, not {spec[name]}: use another --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be created ({error.strerror})") from None
    if not os.access(folder, os.W_OK):
        raise UserError(f"{folder}: is not writable")
