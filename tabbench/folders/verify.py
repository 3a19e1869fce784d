"""Verification of a result folder by a stranger, at three levels, each including those before it.

1. Files: every file against SHA256SUMS, every stored run against its hash, the software against the manifest.
2. Numbers: datasets, splits, metrics and every derived file made again from the stored predictions, equal to the last bit.
3. Refits: some jobs fitted again; see `tabbench.folders.refit`.
"""

import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import numpy as np

from tabbench import __version__
from tabbench.border.parquet import read_parquet
from tabbench.border.texts import printable
from tabbench.data.split import load_splits, splits_digest, splits_file
from tabbench.errors import UserError
from tabbench.files import file_hash
from tabbench.folders.recorded import check_trust, programs, recorded_jobs, recorded_tasks
from tabbench.folders.refit import Material, refit
from tabbench.folders.results import Results
from tabbench.metrics import METRICS, compute_metrics
from tabbench.models import get_model
from tabbench.resources import Bounds
from tabbench.store.checksums import NAME as CHECKSUMS
from tabbench.store.checksums import check_checksums, content_files, read_checksums
from tabbench.store.manifest import NUMERIC, environment, read_manifest, spec_of, specs_of
from tabbench.store.runs import NAME as STORE
from tabbench.store.runs import ResultStore, Stored

RESULT_TABLES = ("results.parquet", "trials.parquet")


@dataclass
class Step:
    """What one check found: a summary, and one line a problem. A note is no problem, but worth knowing."""

    name: str
    summary: str = ""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Verification:
    """The checks of a folder at a level."""

    folder: Path
    level: int
    checks: list[Step]

    @property
    def problems(self) -> list[str]:
        """Everything that is wrong."""
        return [problem for check in self.checks for problem in check.problems]

    def __str__(self) -> str:
        lines = []
        for check in self.checks:
            lines += [f"{check.name:9} BAD   {problem}" for problem in check.problems]
            lines += [f"{check.name:9} note  {note}" for note in check.notes]
            lines += [] if check.problems else [f"{check.name:9} ok    {check.summary}"]
        n = len(self.problems)
        outcome = f"NOT VERIFIED at level {self.level}: {n} problem{'s' * (n != 1)}" if n else f"VERIFIED at level {self.level}"
        lines = [printable(line) for line in lines]  # a name may hold line ends, and a verdict of its own
        return "\n".join([*lines, f"verdict: {printable(self.folder.name)} is {outcome} by tabbench {__version__}"])


def verify(folder: Path, level: int = 2, sample: int = 5, *, trust: bool = False) -> Verification:
    """Check a result folder; `sample` jobs are refitted at level 3, which imports models.

    trust : whether those that the folder names as "module:Class" may be imported and run. Raises UserError if it is no result
    folder, or names such models and is not trusted.
    """
    manifest, material = read_manifest(folder), Material({}, {})
    if level > 2:
        check_trust(manifest, trust, "level 3")
    steps: list[tuple[int, str, Callable[[Step], None]]] = [
        (1, "files", lambda check: _files(check, folder)),
        (1, "runs", lambda check: _runs(check, folder)),
        (1, "software", lambda check: _software(check, manifest)),
        (2, "data", lambda check: _data(check, manifest, material)),
        (2, "splits", lambda check: _splits(check, folder, manifest, material)),
        (2, "jobs", lambda check: _jobs(check, folder, manifest)),
        (2, "numbers", lambda check: _numbers(check, folder, material)),
        (2, "stops", lambda check: _stops(check, folder)),
        (2, "limits", lambda check: _limits(check, folder, manifest)),
        (2, "derived", lambda check: _derived(check, folder, manifest)),
        (3, "refits", lambda check: _refits(check, folder, manifest, material, sample)),
    ]
    return Verification(folder, level, [_checked(name, act) for least, name, act in steps if least <= level])


def _checked(name: str, act: Callable[[Step], None]) -> Step:
    check = Step(name)
    try:
        act(check)
    except UserError as error:
        check.problems.append(str(error))
    return check


def _files(check: Step, folder: Path) -> None:
    check.problems += check_checksums(folder)
    check.summary = f"{len(read_checksums(folder))} files have the hashes in {CHECKSUMS}"


def _stored(folder: Path) -> Iterator[Stored]:
    """The intact runs of a folder; none if it holds imported results only."""
    if (folder / STORE).exists():
        with ResultStore(folder / STORE) as store:
            yield from store.runs()


def _runs(check: Step, folder: Path) -> None:
    if (folder / STORE).exists():
        with ResultStore(folder / STORE) as store:
            check.problems += [f"the stored run of {name} does not match its hash" for name in store.damaged().values()]
    keys = [(stored.key, stored.job.key) for stored in _stored(folder)]
    check.problems += [f"the run stored as {key} is that of another job" for key, its in keys if key != its]
    check.summary = f"{len(keys)} stored runs have their hashes"


def _software(check: Step, manifest: Mapping[str, Any]) -> None:
    """Name every package whose version has changed; it is a problem where numbers depend on it."""
    then, now = manifest["environment"], environment()
    versions = {"tabbench": (then["tabbench"], now["tabbench"]), "Python": (then["python"], now["python"])}
    versions |= {name: (version, now["packages"].get(name, "absent")) for name, version in then["packages"].items()}
    changed = {name: f"{name}: the run used {old}, here is {new}" for name, (old, new) in versions.items() if old != new}
    matters = {"Python", *NUMERIC, *_packages_of(manifest)}
    check.problems += [text for name, text in changed.items() if name in matters]
    check.notes += [text for name, text in changed.items() if name not in matters]
    if then.get("cpu") != now["cpu"]:
        check.notes.append(f"processor: the run used {then.get('cpu')}, here is {now['cpu']}")
    check.summary = f"Python {platform.python_version()} and {len(matters & versions.keys()) - 1} packages that numbers depend on"


def _packages_of(manifest: Mapping[str, Any]) -> set[str]:
    """Distributions that the models of a run import; a model "module:Attribute" is not imported for it."""
    owners, found = _owners(), set()
    for name in {name for spec in specs_of(manifest) for name in spec.models}:
        try:
            packages = [re.split("[.:]", name)[0]] if ":" in name else get_model(name).packages
        except UserError:  # the model of another machine
            continue
        found |= {owner for package in packages for owner in owners.get(package, [package])}
    return found


@cache
def _owners() -> Mapping[str, list[str]]:
    """Distributions by the modules they bring; read once, for it takes half a second."""
    return packages_distributions()


def _data(check: Step, manifest: Mapping[str, Any], material: Material) -> None:
    tasks, problems = recorded_tasks(manifest, fetch=False)
    material.tasks.update(tasks)
    check.problems += problems
    check.summary = f"{len(tasks)} datasets have the digests of the manifest"


def _splits(check: Step, folder: Path, manifest: Mapping[str, Any], material: Material) -> None:
    spec = spec_of(manifest)
    for facts in manifest["tasks"]:
        task = material.tasks.get(facts["digest"])
        if task is None:
            continue
        splits = load_splits(folder / splits_file(task.name, task.digest), len(task.y))
        material.splits[task.digest] = {(split.repeat, split.fold): split for split in splits}
        if splits_digest(splits) != facts.get("splits", splits_digest(splits)):  # the first manifests did not record them
            check.problems.append(f"splits of {task.name}: not those that the manifest records")
        if spec and splits_digest(spec.splits(task)) != splits_digest(splits):
            check.problems.append(f"splits of {task.name}: not those that seed {spec.seed} gives")
    check.summary = f"the splits of {len(material.splits)} datasets are recorded, and those that the seed gives"


def _jobs(check: Step, folder: Path, manifest: Mapping[str, Any]) -> None:
    asked, stored = {job.key: job for job in recorded_jobs(folder, manifest)}, {stored.key for stored in _stored(folder)}
    lost = [job for key, job in asked.items() if key not in stored]
    check.problems += [f"not stored: {job}" for job in lost]
    check.notes += [f"{name}: its trials are those that are stored: it is not imported" for name in _searched(manifest)]
    check.summary = f"all {len(asked)} jobs that were asked for are stored"


def _searched(manifest: Mapping[str, Any]) -> list[str]:
    """Models of the folder's own that were searched, in a space that is not known without them."""
    return programs(manifest) if any(spec.protocol for spec in specs_of(manifest)) else []


def _numbers(check: Step, folder: Path, material: Material) -> None:
    n_runs = n_skipped = 0
    for _, job, run in _stored(folder):
        split = material.splits.get(job.task_digest, {}).get((job.repeat, job.fold))
        if split is None:
            n_skipped += 1
        elif split.digest != job.split_digest:
            check.problems.append(f"{job}: made on another split than is stored")
        elif run.status == "ok":
            n_runs += 1
            try:
                metrics = compute_metrics(material.tasks[job.task_digest].y[split.test], run.proba)
            except ValueError as error:
                check.problems.append(f"{job}: {error}")
                continue
            for name, value in metrics.items():
                stored = run.facts.get(name, value)
                if stored != value and not (np.isnan(stored) and np.isnan(value)):
                    check.problems.append(f"{job}: {name} is stored as {stored}, its predictions give {value}")
    if n_skipped:
        check.problems.append(f"{n_skipped} runs are not checked, for want of their dataset or split")
    check.summary = f"{len(METRICS)} metrics of {n_runs} runs are those of their predictions, to the last bit"


def _stops(check: Step, folder: Path) -> None:
    """Hold what is said of stopped trials to their curves; that their incumbents are right the check of jobs says."""
    n_watched = n_stopped = 0
    for _, job, run in _stored(folder):
        n_steps, at = (run.facts.get(name) for name in ("n_steps", "stopped_at"))
        n_watched += n_steps is not None
        if at is None:
            continue
        n_stopped += 1
        last = run.curve[-1, 0] if len(run.curve) else at
        if job.incumbent is None or n_steps is None or not 1 < at < n_steps or last > at:
            why = f"stored as stopped at step {at} of {n_steps}, with a curve of {last:.0f} and the incumbent {job.incumbent}"
            check.problems.append(f"{job}: {why}")
    check.summary = f"{n_stopped} of {n_watched} trials were stopped early" if n_watched else "none were asked for"


def _limits(check: Step, folder: Path, manifest: Mapping[str, Any]) -> None:
    """Hold every row of the results table that has scores to the limits of the run, by what the stored runs say."""
    spec = spec_of(manifest)
    limits = spec.limits if spec else Bounds()
    if not limits.asked:
        check.summary = "none were asked for"
        return
    facts = {stored.key: stored.run.facts for stored in _stored(folder)}
    path = folder / RESULT_TABLES[0]
    try:
        table = read_parquet(path)
    except ValueError as error:
        raise UserError(f"{path}: damaged ({error})") from None
    lacking = {"key", "status", "model", "task", "repeat", "fold"} - set(table)
    if lacking:
        raise UserError(f"{path}: damaged (no column {sorted(lacking)[0]!r})")
    ranked = table[(table["status"] == "ok") & table["key"].isin(facts)]
    for row in ranked.to_dict("records"):
        measured = facts[row["key"]]
        if limits.model_mb and row.get("model_mb", 0.0) > measured.get("model_mb", 0.0):  # an ensemble's is that of all members
            measured = {**measured, "model_mb": row["model_mb"]}
        if reason := limits.exceeded(measured):
            check.problems.append(f"{row['model']} on {row['task']}, repeat {row['repeat']}, fold {row['fold']}: {reason}")
    asked = ", ".join(f"{name} {bound:g}" for name, bound in limits.asked.items())
    check.summary = f"{len(ranked)} rows with scores are within {asked}"


def _derived(check: Step, folder: Path, manifest: Mapping[str, Any]) -> None:
    """Derive every file again from a copy of what is stored, and compare.

    Another version of tabbench may lay out a page, or compute an interval, otherwise: of its folders the tables of results count.
    """
    then = manifest["environment"]["tabbench"]
    with tempfile.TemporaryDirectory() as name:
        again = Path(name) / folder.name
        for file in (*content_files(folder), *(log.name for log in folder.glob(f"{STORE}-wal"))):
            (again / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / file, again / file)
            os.utime(again / file, (0, 0))
        Results(again).write_report()
        derived = [file for file in content_files(again) if file != STORE and (again / file).stat().st_mtime]
        if then != __version__:
            check.notes.append(f"leaderboard and report are of tabbench {then}, not compared: `tabbench report` writes them anew")
            derived = [file for file in derived if Path(file).name in RESULT_TABLES]
        check.problems += [
            f"{file}: not what the stored runs give" for file in derived if not _equal(folder / file, again / file)
        ]
    check.summary = f"{', '.join(derived)}: equal when they are derived again"


def _equal(a: Path, b: Path) -> bool:
    if not a.exists():
        return False
    if a.suffix == ".parquet":  # its bytes depend on the version of the library that writes it
        try:
            return bool(read_parquet(a).equals(read_parquet(b)))
        except ValueError:
            return False
    return file_hash(a) == file_hash(b)


def _refits(check: Step, folder: Path, manifest: Mapping[str, Any], material: Material, sample: int) -> None:
    """Jobs that the manifest asks for, and no others: a row of the store may name any model, and any configuration of one.

    Those that it names as code are trusted when this is reached.
    """
    spec = spec_of(manifest)
    if spec is None:
        raise UserError("its results come from elsewhere: no job can be fitted again")
    asked, stored = {job.key for job in recorded_jobs(folder, manifest, trust=True)}, list(_stored(folder))
    runs = [run for run in stored if run.job.key in asked]
    if len(runs) < len(stored):
        check.notes.append(f"{len(stored) - len(runs)} stored jobs are none that the manifest asks for: not fitted again")
    problems, check.summary = refit(runs, spec, material, sample)
    check.problems += problems
