"""The manifest of a run: what was asked for, on what machine, with which versions."""

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import msgspec
import psutil

from tabbench import __version__
from tabbench.border.forms import Count, Digest, Few, Folds, LongText, Text
from tabbench.border.texts import one_line
from tabbench.data.audit import Finding
from tabbench.errors import UserError
from tabbench.files import refuse_links, replace_text
from tabbench.request import SHARED, Spec

FORMAT = 1
NAME = "manifest.json"
MAX_BYTES = 2**28
NUMERIC = ("numpy", "pandas", "pyarrow", "scikit-learn", "scipy")  # packages that every number depends on


def environment() -> dict[str, Any]:
    """Python, platform, processor, cores, memory and the version of every installed package."""
    return {
        "tabbench": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "cores": psutil.cpu_count(),
        "memory_mb": psutil.virtual_memory().total // 2**20,
        "packages": dict(_packages()),
    }


@cache
def _packages() -> list[tuple[str, str]]:
    """Names and versions of what is installed; read once, for it takes a third of a second."""
    known = {about["Name"]: about["Version"] for about in (found.metadata for found in distributions()) if about["Name"]}
    return sorted(known.items(), key=lambda item: item[0].lower())


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


def new_manifest(run: dict[str, Any], tasks: list[dict[str, Any]], missing_tasks: list[dict[str, str]]) -> dict[str, Any]:
    """Manifest of a run that starts now.

    run : the form of a Spec, or of an import. tasks : a summary of each.
    missing_tasks : name and reason of datasets that could not be loaded.
    """
    return {
        "format": FORMAT,
        "run": run,
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
    asked = {spec.asked: spec for spec in specs_of(old)}
    asked.pop(Spec.from_json(manifest["run"]).asked, None)
    here = {facts["digest"] for facts in manifest["tasks"]}
    tasks = [*manifest["tasks"], *(facts for facts in old["tasks"] if facts["digest"] not in here)]
    kept = {"imported": old["imported"]} if "imported" in old else {}
    names = {facts["name"] for facts in manifest["tasks"]}
    families = {**old.get("families", {}), **manifest.get("families", {})}
    findings = [*manifest.get("audit", []), *(finding for finding in old.get("audit", []) if finding["task"] not in names)]
    return {
        **manifest,
        "tasks": tasks,
        "earlier": [spec.to_json() for spec in asked.values()],
        "audit": findings,
        "families": families,
        **kept,
    }


def write_manifest(folder: Path, manifest: dict[str, Any], *, finished: bool = False) -> None:
    """Write `folder/manifest.json`."""
    stamped = {**manifest, "finished": _now()} if finished else manifest
    replace_text(folder / NAME, json.dumps(stamped, indent=1) + "\n")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Manifest of a result folder; raises UserError if it is none, damaged, or was written by a newer version."""
    path = folder / NAME
    refuse_links(folder)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path}: damaged manifest: {path.stat().st_size:,} bytes")
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        written = manifest["format"]
        if not isinstance(written, int) or written < 1:
            raise UserError(f"{path}: damaged manifest: format {one_line(ValueError(str(written)), 60)}")
        if written > FORMAT:
            raise UserError(f"{path}: format {written} was written by a newer tabbench: upgrade it")
    except FileNotFoundError:
        raise UserError(f"{folder}: not a tabbench result folder (it has no {NAME})") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{path}: damaged manifest") from None
    try:
        msgspec.convert(manifest, _Form)
        specs_of(manifest)
    except (msgspec.ValidationError, UnicodeError, UserError) as error:
        raise UserError(f"{path}: damaged manifest: {one_line(error)}") from None
    return manifest


class _Import(msgspec.Struct):
    """What stands for a run where results come from elsewhere."""

    suite: LongText
    folds: Count | None
    models: list[LongText]


class _Scheme(msgspec.Struct, forbid_unknown_fields=True):
    folds: Folds | None = None
    repeats: Few | None = None
    holdout: float | None = None
    window: Text | None = None


class _Task(msgspec.Struct):
    name: LongText
    digest: Digest
    n_rows: Count
    n_features: Count
    splits: Text = ""
    meaning: LongText = ""
    scheme: _Scheme = msgspec.field(default_factory=_Scheme)
    n_categorical: Count = 0
    n_missing: Count = 0
    n_classes: Count = 0
    minority_share: float = 0.0
    title: LongText | None = None
    source: LongText | None = None
    licence: LongText | None = None
    url: LongText | None = None
    notes: LongText | None = None
    openml_id: Count | None = None


class _Missing(msgspec.Struct):
    name: str
    reason: str


class _Imported(msgspec.Struct):
    kind: str
    file: str


class _Machine(msgspec.Struct):
    cpu: str | None = None
    cores: Count | None = None
    memory_mb: Count | None = None
    platform: str | None = None


class _Environment(_Machine, kw_only=True):
    tabbench: str
    python: str
    packages: dict[str, str]


class _Engine(msgspec.Struct):
    name: str = ""
    limits: str = ""
    store: str = ""
    machines: list[_Machine] = []


class _Git(msgspec.Struct):
    commit: str = ""
    dirty: bool = False


class _Form(msgspec.Struct, kw_only=True):
    """What every reader of a manifest relies on."""

    run: dict[str, Any]
    earlier: list[dict[str, Any]] = []
    tasks: list[_Task]
    missing_tasks: list[_Missing]
    imported: list[_Imported] = []
    audit: list[Finding] = []
    engine: _Engine = msgspec.field(default_factory=_Engine)
    families: dict[str, str] = {}
    environment: _Environment
    git: _Git | None
    argv: list[str]
    started: str
    finished: str | None


def spec_of(manifest: Mapping[str, Any]) -> Spec | None:
    """What the run was asked for; None: its results come from elsewhere."""
    return _spec(manifest["run"])


def specs_of(manifest: Mapping[str, Any]) -> list[Spec]:
    """What has made the folder what it is, the latest last."""
    return [spec for spec in map(_spec, (*manifest.get("earlier", []), manifest["run"])) if spec]


def _spec(run: dict[str, Any]) -> Spec | None:
    """Raises UserError or msgspec.ValidationError for a form that is neither a spec's nor an import's."""
    if set(run) != set(_Import.__struct_fields__):
        return Spec.from_json(run)
    msgspec.convert(run, _Import)
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


def check_protocol(folder: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Raise UserError unless the manifests of two runs can share a folder: what is `SHARED` by its runs, the same datasets."""
    for name in SHARED:
        had, wanted = old["run"].get(name), new["run"].get(name)
        if had != wanted:
            raise UserError(f"{folder}: holds a run with {name}={had}, not {wanted}: use another --out")
    digests = {facts["name"]: facts["digest"] for facts in old["tasks"]}
    for facts in new["tasks"]:
        if digests.get(facts["name"], facts["digest"]) != facts["digest"]:
            raise UserError(f"{folder}: holds runs on another version of dataset {facts['name']!r}: use another --out")
