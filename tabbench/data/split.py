"""Splits: which rows train and which are scored; made once, seeded, saved and hashed."""

import hashlib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd

from tabbench.border.forms import Few, Folds, Seed, fit
from tabbench.data.task import Task
from tabbench.errors import UserError
from tabbench.files import file_name, replace_file

DEFAULT_FOLDS = 3


@dataclass(frozen=True, eq=False)
class Split:
    """Row indices of one fold. train, test : sorted int64, disjoint, read-only.

    next_test : test rows of the next fold of the repeat, after the last the first; for protocols that validate on them.
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


def make_splits(task: Task, n_folds: int | None, n_repeats: int, seed: int) -> list[Split]:
    """Folds of a task: its predefined ones if it has any, else seeded stratified K-fold (whole groups where there are groups).

    Of predefined folds and repeats the first `n_folds` and `n_repeats` are taken, `n_folds` None: all folds; without
    predefined folds None means `DEFAULT_FOLDS`. Raises UserError if the table is too small for `n_folds`.
    """
    fit(n_folds, Folds | None, "folds")  # type: ignore[arg-type]
    fit(n_repeats, Few, "repeats")
    fit(seed, Seed, "seed")
    if task.test_fold is not None:
        return _linked(_predefined(task, n_folds, n_repeats))
    n_folds = DEFAULT_FOLDS if n_folds is None else n_folds
    splits = []
    for repeat in range(n_repeats):
        pairs = _stratified(task, n_folds, np.random.SeedSequence([seed, repeat]).generate_state(1)[0])
        splits += [_split(repeat, fold, train, test) for fold, (train, test) in enumerate(pairs)]
    return _linked(splits)


def _linked(splits: list[Split]) -> list[Split]:
    """Splits (sorted by repeat and fold) that know the test rows of the fold after them."""
    linked = []
    for _, folds in groupby(splits, key=lambda split: split.repeat):
        repeat = list(folds)
        linked += [replace(this, next_test=after.test) for this, after in zip(repeat, [*repeat[1:], repeat[0]], strict=True)]
    return linked


def _split(repeat: int, fold: int, train: np.ndarray, test: np.ndarray) -> Split:
    parts = [np.sort(part.astype(np.int64)) for part in (train, test)]
    for part in parts:
        part.flags.writeable = False
    return Split(repeat, fold, *parts)


def _predefined(task: Task, n_folds: int | None, n_repeats: int) -> list[Split]:
    splits = []
    for repeat, fold_of in enumerate(np.asarray(task.test_fold).reshape(len(task.y), -1).T[:n_repeats]):
        for fold in np.unique(fold_of[fold_of >= 0])[:n_folds]:
            splits.append(_split(repeat, int(fold), np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)))
    return splits


def _stratified(task: Task, n_folds: int, seed: np.uint32) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    kind = StratifiedKFold if task.groups is None else StratifiedGroupKFold
    folds = kind(n_folds, shuffle=True, random_state=int(seed))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # tiny classes are scored where they fall
        try:
            return list(folds.split(task.X, task.y, task.groups))
        except ValueError as error:
            raise UserError(f"{task.name}: cannot make {n_folds} folds: {str(error).splitlines()[0]}") from None


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


def load_splits(path: Path) -> list[Split]:
    """Read what `save_splits` wrote; raises UserError if the file is damaged."""
    try:
        frame = pd.read_parquet(path)
        splits = [
            _split(*key, *(rows.loc[rows["part"] == part, "row"].to_numpy() for part in ("train", "test")))
            for key, rows in frame.groupby(["repeat", "fold"], sort=True)
        ]
        return _linked(splits)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: damaged split file ({str(error).splitlines()[0]})") from None
