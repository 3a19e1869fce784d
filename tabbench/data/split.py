"""Splits: which rows train and which are scored; made once, seeded, saved and hashed."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd

from tabbench.border.forms import Few, Folds, Seed, fit
from tabbench.border.parquet import read_parquet
from tabbench.data import folds
from tabbench.data.spec import Scheme
from tabbench.data.task import Task
from tabbench.errors import UserError
from tabbench.files import file_name, replace_file

DEFAULT_FOLDS = 3


@dataclass(frozen=True, eq=False)
class Split:
    """Row indices of one fold. train, test : sorted int64, disjoint, read-only.

    next_test : test rows of the next fold of the repeat, after the last the first; for protocols that validate on them. Empty
    where they are no training rows, as in folds in time or with one fold.
    """

    repeat: int
    fold: int
    train: np.ndarray
    test: np.ndarray
    next_test: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over both index lists."""
        sha = hashlib.sha256(len(self.train).to_bytes(8, "little"))
        sha.update(self.train.tobytes())
        sha.update(self.test.tobytes())
        return sha.hexdigest()


def splits_file(name: str, digest: str) -> str:
    """Where a result folder keeps the splits of the task of that name and digest, as a path in it."""
    return f"splits/{file_name(name)}-{file_name(digest[:12])}.parquet"


def make_splits(
    task: Task,
    n_folds: int | None,
    n_repeats: int | None,
    seed: int,
    *,
    holdout: float | None = None,
    window: str | None = None,
) -> list[Split]:
    """Folds of a task: predefined, in time or of whole groups if it has such, else seeded stratified K-fold.

    What is None is as the task's scheme says; else it is one repeat of `DEFAULT_FOLDS` folds, or of all predefined ones.
    Of predefined folds and repeats the first `n_folds` and `n_repeats` are taken. holdout : share of the rows that is held
    out once a repeat, instead of folds. window : of the past that trains, "expanding" (None: the same) or "sliding".
    Raises UserError for what does not go together, and if the table is too small for it.
    """
    fit(n_folds, Folds | None, "folds")  # type: ignore[arg-type]
    fit(n_repeats, Few | None, "repeats")  # type: ignore[arg-type]
    fit(seed, Seed, "seed")
    scheme = Scheme(n_folds, n_repeats, holdout, window).over(task.scheme)
    _check(task, scheme)
    n_folds, n_repeats, share = scheme.folds, scheme.repeats or 1, scheme.holdout
    if task.test_fold is not None:
        found = folds.predefined(task, n_folds, n_repeats)
        return _linked([_split(repeat, fold, *pair) for repeat, fold, pair in found])
    n_folds = DEFAULT_FOLDS if n_folds is None else n_folds
    splits = []
    for repeat in range(n_repeats):
        drawn = int(np.random.SeedSequence([seed, repeat]).generate_state(1)[0])
        if task.time is not None:
            pairs = [folds.future(task, share)] if share else folds.in_time(task, n_folds, scheme.window or "expanding")
        else:
            pairs = [folds.held_out(task, share, drawn)] if share else folds.at_random(task, n_folds, drawn)
        splits += [_split(repeat, fold, train, test) for fold, (train, test) in enumerate(pairs)]
    return _linked(splits)


def _check(task: Task, scheme: Scheme) -> None:
    """Raise UserError for what does not go together."""
    if scheme.holdout is not None and not 0 < scheme.holdout < 1:
        raise UserError(f"holdout {scheme.holdout}: give a share of the rows between 0 and 1")
    if scheme.window is not None and scheme.window not in folds.WINDOWS:
        raise UserError(f"window {scheme.window!r}: give {' or '.join(folds.WINDOWS)}")
    if scheme.window and task.time is None:
        raise UserError(f"{task.name}: a window is of the past: name the column of times, too")
    if scheme.holdout and scheme.folds:
        raise UserError(f"{task.name}: give folds or a holdout, not both")
    if scheme.holdout and task.test_fold is not None:
        raise UserError(f"{task.name}: it has folds of its own: leave the holdout out")
    if task.time is not None and task.test_fold is None and (scheme.repeats or 1) > 1:
        raise UserError(f"{task.name}: the past is the same every time: leave the repeats out")


def meaning(task: Task, splits: Sequence[Split]) -> str:
    """What the splits of a task mean, in one sentence for people."""
    n_repeats, n_folds = len({split.repeat for split in splits}), len({split.fold for split in splits})
    first, times = splits[0], f", {n_repeats} times over" if n_repeats > 1 else ""
    share = f"{len(first.test) / len(task.y):.0%} of the rows"
    groups, time = task.info.get("groups_column", "groups"), task.info.get("time_column", "time")
    n_groups = 0 if task.groups is None else len(np.unique(task.groups))
    if task.test_fold is not None:
        return f"The {n_folds} folds that come with the table{times}: scores are those of whoever made them."
    if task.time is not None:
        gap = f", a gap of {task.info.get('gap', task.gap)} between them" if task.gap else ""
        whole = f", and no {groups!r} on both sides" if n_groups else ""
        begins = np.flatnonzero(task.time == task.time.min())
        past = "all rows before" if all(np.isin(begins, split.train).any() for split in splits) else "the rows just before"
        what = f"{n_folds} folds in time ({time!r})" if n_folds > 1 else f"The latest {share} ({time!r}) are held out"
        return f"{what}, training on {past}{gap}{whole}: scores are those on the future."
    if n_groups:
        what = f"{n_folds} folds" if n_folds > 1 else f"{share} held out"
        return f"{what} of whole groups ({groups!r}, {n_groups:,}){times}: scores are those on groups that no training row is of."
    what = f"{n_folds} random folds" if n_folds > 1 else f"A random {share} held out"
    return f"{what}, classes in proportion{times}: scores are those on rows like the training rows, each taken to stand alone."


def _linked(splits: list[Split]) -> list[Split]:
    """Splits (sorted by repeat and fold) that know the test rows of the fold after them."""
    linked = []
    for _, of_repeat in groupby(splits, key=lambda split: split.repeat):
        repeat = list(of_repeat)
        linked += [
            replace(this, next_test=after.test) if np.isin(after.test, this.train, assume_unique=True).all() else this
            for this, after in zip(repeat, [*repeat[1:], repeat[0]], strict=True)
        ]
    return linked


def _split(repeat: int, fold: int, train: np.ndarray, test: np.ndarray) -> Split:
    parts = [np.sort(part.astype(np.int64)) for part in (train, test)]
    for part in parts:
        part.flags.writeable = False
    return Split(repeat, fold, *parts)


def splits_digest(splits: Iterable[Split]) -> str:
    """SHA-256 over the repeat, fold and digest of every split, in their order."""
    text = "".join(f"{split.repeat} {split.fold} {split.digest}\n" for split in splits)
    return hashlib.sha256(text.encode()).hexdigest()


def save_splits(splits: Iterable[Split], path: Path) -> None:
    """Write the test fold of every row: columns repeat, fold, part ("train" or "test"), row."""
    parts = [
        pd.DataFrame({"repeat": s.repeat, "fold": s.fold, "part": part, "row": getattr(s, part)})
        for s in splits
        for part in ("train", "test")
    ]
    replace_file(path, lambda temporary: pd.concat(parts).to_parquet(temporary, index=False))


def load_splits(path: Path, n_rows: int) -> list[Split]:
    """Read what `save_splits` wrote of a table with `n_rows`; raises UserError if the file is damaged, or says what cannot be."""
    try:
        frame = read_parquet(path, ["repeat", "fold", "part", "row"])
        numbers = frame[["repeat", "fold", "row"]]
        if not all(kind.kind == "i" for kind in numbers.dtypes) or not frame["part"].isin(["train", "test"]).all():
            raise ValueError("other types than those of splits")
        if not len(frame) or numbers.min().min() < 0 or numbers["row"].max() >= n_rows:
            raise ValueError(f"rows that are none of the {n_rows}")
        if frame.duplicated(["repeat", "fold", "row"]).any() or (frame.groupby(["repeat", "fold"])["part"].nunique() < 2).any():
            raise ValueError("a row twice in a fold, or a fold with one part")
        splits = [
            _split(*key, *(rows.loc[rows["part"] == part, "row"].to_numpy() for part in ("train", "test")))
            for key, rows in frame.groupby(["repeat", "fold"], sort=True)
        ]
        return _linked(splits)
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError, NotImplementedError) as error:
        raise UserError(f"{path}: damaged split file ({str(error).splitlines()[0]})") from None
