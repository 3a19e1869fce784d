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
from tabbench.files import refuse_links, replace_text

FORMAT = 1
NAME = "manifest.json"
NUMERIC = ("numpy", "pandas", "pyarrow", "scikit-learn", "scipy")  # packages that every number depends on


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
    root = Path(__file__).parents[2]
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
    """Manifest of a run that starts now.

    tasks : a summary of each; missing_tasks : name and reason of datasets that could not be loaded.
    """
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


def add_earlier(manifest: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    """The manifest of a run that goes on with a folder: it keeps what other requests and tasks made the folder what it is."""
    earlier = [spec for spec in (*old.get("earlier", []), old["run"]) if _request(spec) != _request(manifest["run"])]
    distinct = {json.dumps(_request(spec), sort_keys=True): spec for spec in earlier}
    here = {facts["digest"] for facts in manifest["tasks"]}
    tasks = [*manifest["tasks"], *(facts for facts in old["tasks"] if facts["digest"] not in here)]
    kept = {"imported": old["imported"]} if "imported" in old else {}
    names = {facts["name"] for facts in manifest["tasks"]}
    findings = [*manifest.get("audit", []), *(finding for finding in old.get("audit", []) if finding["task"] not in names)]
    return {**manifest, "tasks": tasks, "earlier": list(distinct.values()), "audit": findings, **kept}


def _request(spec: dict[str, Any]) -> dict[str, Any]:
    """What was asked for, without how it was to be done."""
    return {name: value for name, value in spec.items() if name not in ("workers", "time_limit", "memory_limit")}


def write_manifest(folder: Path, manifest: dict[str, Any], *, finished: bool = False) -> None:
    """Write `folder/manifest.json`."""
    stamped = {**manifest, "finished": _now()} if finished else manifest
    replace_text(folder / NAME, json.dumps(stamped, indent=1) + "\n")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Manifest of a result folder; raises UserError if it is none, damaged, or was written by a newer version."""
    path = folder / NAME
    refuse_links(folder)
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        written = manifest["format"]
        if written > FORMAT:
            raise UserError(f"{path}: format {written} was written by a newer tabbench: upgrade it")
    except FileNotFoundError:
        raise UserError(f"{folder}: not a tabbench result folder (it has no {NAME})") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{path}: damaged manifest") from None
    misfit = _misfit(manifest, _MANIFEST, "it")
    if misfit:
        raise UserError(f"{path}: damaged manifest: {misfit}")
    return manifest


_TEXT, _COUNT, _NUMBER = (str, type(None)), (int, type(None)), (int, float)
_SUBSAMPLE = {"max_rows": _COUNT, "row_policy": str, "max_columns": _COUNT, "column_policy": str}
_RUN = {  # "?": may be absent
    **{"suite": _TEXT, "data?": _TEXT, "file?": _TEXT, "target?": _TEXT, "tasks?": [str], "models": [str]},
    **{"folds": _COUNT, "repeats?": int, "seed?": int, "subsamples?": [_SUBSAMPLE], "shard?": _TEXT, "search?": _TEXT},
    **{"workers?": int, "threads?": int, "time_limit?": _NUMBER, "memory_limit?": _NUMBER},
}
_MANIFEST = {
    "run": _RUN,
    "earlier?": [_RUN],
    "tasks": [{"name": str, "digest": str, "n_rows": int, "n_features": int, "splits?": str}],
    "missing_tasks": [{"name": str, "reason": str}],
    "imported?": [{"kind": str, "file": str}],
    "audit?": [{"task": str, "kind": str, "columns": [str], "message": str}],
    "engine?": dict,
    "environment": {"tabbench": str, "python": str, "packages": dict},
    "git": (dict, type(None)),
    "argv": [str],
    "started": str,
    "finished": _TEXT,
}
_COMPLETE = ("repeats", "subsamples", "workers", "threads", "time_limit", "memory_limit")  # of a run with a seed: no import


def _misfit(value: Any, form: Any, where: str) -> str | None:
    """Where a value departs from its form: a mapping of forms by name, a list of one form, or types; None if nowhere."""
    if isinstance(form, dict) and isinstance(value, dict):
        names = {key.rstrip("?"): inner for key, inner in form.items()}
        wanted = [name for name in names if name in form or name in value]
        wanted += _COMPLETE if form is _RUN and "seed" in value else ()
        absent = [name for name in wanted if name not in value]
        if absent:
            return f"{where} has no {absent[0]!r}"
        return next(filter(None, (_misfit(value[name], names[name], repr(name)) for name in wanted)), None)
    if isinstance(form, list) and isinstance(value, list):
        return next(filter(None, (_misfit(item, form[0], where) for item in value)), None)
    if isinstance(form, dict | list) or not isinstance(value, form):
        return f"{where} is {str(value)[:40]!r}"
    return None


def open_folder(folder: Path) -> None:
    """Make `folder` if it is not there; raises UserError for a folder of something else, or one that cannot be written."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file: give --out a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be created ({error.strerror})") from None
    refuse_links(folder)
    if not is_new(folder):
        read_manifest(folder)
    if not os.access(folder, os.W_OK):
        raise UserError(f"{folder}: is not writable: give --out another folder")


def is_new(folder: Path) -> bool:
    """Whether a folder holds nothing yet but what a run leaves that is killed before its first word."""
    return not any(path for path in folder.iterdir() if not path.name.endswith((".lock", ".tmp")))


def check_protocol(folder: Path, old: dict[str, Any], new: dict[str, Any], protocol: tuple[str, ...]) -> None:
    """Raise UserError unless the manifests of two runs can share a folder: the same `protocol` fields, the same datasets."""
    for name in protocol:
        had, wanted = old["run"].get(name), new["run"].get(name)
        if had != wanted:
            raise UserError(f"{folder}: holds a run with {name}={had}, not {wanted}: use another --out")
    digests = {facts["name"]: facts["digest"] for facts in old["tasks"]}
    for facts in new["tasks"]:
        if digests.get(facts["name"], facts["digest"]) != facts["digest"]:
            raise UserError(f"{folder}: holds runs on another version of dataset {facts['name']!r}: use another --out")
