"""Metafeatures of many training parts: a contained child process per group, under limits, and a cache by content."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tabbench import metafeatures
from tabbench.data.split import Split
from tabbench.data.task import Task, load_task, save_task
from tabbench.engine.sandbox import POLL_SECONDS, WARM, Child, Outcome, start_server, wait_for_any
from tabbench.files import replace_text
from tabbench.metafeatures.groups import GROUPS, complete, names_of
from tabbench.metafeatures.registry import compute_group
from tabbench.metafeatures.table import Table
from tabbench.resources import Resources


@dataclass(frozen=True, eq=False)
class TrainingPart:
    """The training part of a split of a task, and where the task is stored."""

    task: Task
    split: Split
    path: Path


@dataclass(frozen=True, eq=False)
class _Piece:
    """One group of metafeatures of one part, and the file that keeps it."""

    part: TrainingPart
    group: str
    file: Path


def extract(
    pairs: Iterable[tuple[Task, Split]],
    folder: Path,
    resources: Resources,
    on_part: Callable[[str], None] = lambda _: None,
    groups: Sequence[str] | None = None,
) -> pd.DataFrame:
    """One row per training part: task, repeat, fold, the metafeatures, and `reasons`, which says why what is NaN.

    `reasons` is JSON, by value, by metafeature if it has no value at all, or by group.
    `folder` keeps tasks and what was computed: the same rows are not looked at twice, unless the time limit has grown since
    they exceeded it. A group that exceeds a limit is NaN, with that reason. `on_part` is told of each finished part.
    `groups` : those to compute, by default all.
    Raises UserError if the machine has fewer cores than the resources say.
    """
    resources.check_cores()
    groups = groups or GROUPS
    parts = [TrainingPart(task, split, save_task(task, folder / "tasks")) for task, split in pairs]
    _compute_missing([piece for part in parts for piece in _pieces(part, folder, groups)], resources, on_part)
    return pd.DataFrame([_row(part, folder, groups) for part in parts])


def _pieces(part: TrainingPart, folder: Path, groups: Sequence[str]) -> Iterator[_Piece]:
    sha = hashlib.sha256(f"{part.task.digest} {code_digest()}".encode())
    sha.update(part.split.train.tobytes())
    for group in groups:
        yield _Piece(part, group, folder / "metafeatures" / sha.hexdigest()[:32] / f"{group}.json")


@cache
def code_digest() -> str:
    """SHA-256 over the source of the metafeatures and the versions of what computes them."""
    sha = hashlib.sha256(" ".join(version(name) for name in ("numpy", "scipy", "scikit-learn")).encode())
    for file in sorted(Path(metafeatures.__file__).parent.glob("*.py")):
        sha.update(file.read_bytes())
    return sha.hexdigest()


def _is_settled(piece: _Piece, seconds: float) -> bool:
    try:
        kept = json.loads(piece.file.read_text())
        return bool(kept["status"] == "done" or (kept["status"] != "lost" and kept["limit_seconds"] >= seconds))
    except (OSError, ValueError, KeyError):
        return False


def _compute_missing(pieces: list[_Piece], resources: Resources, on_part: Callable[[str], None]) -> None:
    limits = resources.limits
    queue = [piece for piece in pieces if not _is_settled(piece, limits["seconds"])][::-1]
    if not queue:
        return
    start_server([WARM])
    running: dict[_Piece, Child] = {}
    try:
        while queue or running:
            while queue and len(running) < resources.workers:
                piece = queue.pop()
                args = (str(piece.part.path), piece.part.split.train, piece.group)
                running[piece] = Child(
                    _in_child, args, seconds=limits["seconds"], memory_mb=limits["memory_mb"], threads=resources.threads
                )
            wait_for_any(list(running.values()), POLL_SECONDS)
            for piece, child in list(running.items()):
                outcome = child.poll()
                if outcome is not None:
                    running.pop(piece).kill()
                    _keep(piece, outcome, limits["seconds"])
                    on_part(f"{piece.part.task.name}, fold {piece.part.split.fold}: {piece.group} {outcome.reason}".rstrip())
    finally:
        for child in running.values():
            child.kill()


def _in_child(path: str, train: np.ndarray, group: str) -> bytes:
    task = load_task(Path(path))
    start = time.perf_counter()
    values, reasons = compute_group(Table(task.X.iloc[train].reset_index(drop=True), task.y[train]), group)
    return json.dumps({"values": values, "reasons": reasons, "seconds": time.perf_counter() - start}).encode()


def _keep(piece: _Piece, outcome: Outcome, limit_seconds: float) -> None:
    if outcome.status == "done":
        found: dict[str, Any] = json.loads(outcome.answer)
    else:
        found = {
            "values": dict.fromkeys(names_of(piece.group), np.nan),
            "reasons": {piece.group: outcome.reason},
            "seconds": limit_seconds,
        }
    found |= {"status": outcome.status, "limit_seconds": limit_seconds}
    replace_text(piece.file, json.dumps(found))


def _row(part: TrainingPart, folder: Path, groups: Sequence[str]) -> dict[str, Any]:
    row: dict[str, Any] = {"task": part.task.name, "repeat": part.split.repeat, "fold": part.split.fold}
    reasons: dict[str, str] = {}
    for piece in _pieces(part, folder, groups):
        kept = json.loads(piece.file.read_text())
        values, why = complete(piece.group, kept["values"], kept["reasons"])
        row |= values
        reasons |= why
    return row | {"reasons": json.dumps(reasons)}
