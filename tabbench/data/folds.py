"""Ways to make folds, as pairs of row numbers: predefined, at random, of whole groups, in time, or one part held out.

Rows of one group never stand on both sides, and no training row is as late as a test row: times that are equal are not parted.
"""

import warnings
from collections.abc import Iterator

import numpy as np

from tabbench.data.task import Task
from tabbench.errors import UserError

Pair = tuple[np.ndarray, np.ndarray]
WINDOWS = ("expanding", "sliding")  # what of the past trains: all of it, or the block of rows just before


def at_random(task: Task, n_folds: int, seed: int) -> list[Pair]:
    """Seeded stratified folds, of whole groups where there are groups. Raises UserError if the table is too small."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    kind = StratifiedKFold if task.groups is None else StratifiedGroupKFold
    folds = kind(n_folds, shuffle=True, random_state=seed)
    _check_groups(task, n_folds)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # tiny classes are scored where they fall
        try:
            return list(folds.split(task.X, task.y, task.groups))
        except ValueError as error:
            raise UserError(f"{task.name}: cannot make {n_folds} folds: {str(error).splitlines()[0]}") from None


def held_out(task: Task, share: float, seed: int) -> Pair:
    """One random part of that share of the rows, each class in proportion; of whole groups where there are groups.

    Raises UserError if a side would be empty.
    """
    unit_of, order = dealt(task.y, task.groups, seed)
    place = np.floor(np.arange(len(order) + 1) * share + 0.5)
    chosen = np.zeros(len(order), bool)
    chosen[order] = place[1:] > place[:-1]
    test = chosen[unit_of]
    if test.all() or not test.any():
        raise UserError(f"{task.name}: {share:.0%} of {len(order)} {_what(task)} cannot be held out: one part would be empty")
    return np.flatnonzero(~test), np.flatnonzero(test)


def dealt(y: np.ndarray, groups: np.ndarray | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What is dealt out whole, rows or groups: the number of each row's, and all of them shuffled, then sorted by class.

    The class of a group is the most frequent one of its rows. Dealt out in this order, every part gets its share of each class.
    """
    if groups is None:
        unit_of, kind = np.arange(len(y)), y
    else:
        names, unit_of = np.unique(groups, return_inverse=True)
        counts = np.zeros((len(names), int(y.max()) + 1), np.int64)
        np.add.at(counts, (unit_of, y), 1)
        kind = counts.argmax(axis=1)
    shuffled = np.random.default_rng(seed).permutation(len(kind))
    return unit_of, shuffled[np.argsort(kind[shuffled], kind="stable")]


def in_time(task: Task, n_folds: int, window: str) -> list[Pair]:
    """Folds that train on the past: the rows by time in n_folds + 1 blocks, each but the first tested by what came before.

    Raises UserError for too few distinct times, and for a gap that leaves nothing to train on.
    """
    time = _time(task)
    starts = _cuts(task, [i / (n_folds + 1) for i in range(1, n_folds + 1)])
    begins, ends = [-np.inf, *starts[:-1]], [*starts[1:], np.inf]
    pairs = []
    for start, begin, end in zip(starts, begins, ends, strict=True):
        test = np.flatnonzero((time >= start) & (time < end))
        train = np.flatnonzero((time < start) & (time >= (begin if window == "sliding" else -np.inf)))
        pairs.append((_kept(task, train, test), test))
    return pairs


def future(task: Task, share: float, rows: np.ndarray | None = None) -> Pair:
    """Of these rows (None: all), the latest share, and what may train before it. Raises UserError as `in_time`."""
    rows = np.arange(len(task.y)) if rows is None else rows
    [start] = _cuts(task, [1 - share], rows)
    is_test = _time(task)[rows] >= start
    return _kept(task, rows[~is_test], rows[is_test]), rows[is_test]


def predefined(task: Task, n_folds: int | None, n_repeats: int) -> Iterator[tuple[int, int, Pair]]:
    """Repeat, fold and rows of the folds that come with a table, the first ones of each."""
    for repeat, fold_of in enumerate(np.asarray(task.test_fold).reshape(len(task.y), -1).T[:n_repeats]):
        for fold in np.unique(fold_of[fold_of >= 0])[:n_folds]:
            yield repeat, int(fold), (np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold))


def _time(task: Task) -> np.ndarray:
    assert task.time is not None
    return task.time


def _cuts(task: Task, shares: list[float], rows: np.ndarray | None = None) -> list[float]:
    """Distinct times, later than the first, that best cut off these shares of the rows."""
    time = _time(task) if rows is None else _time(task)[rows]
    times, counts = np.unique(time, return_counts=True)
    before = np.cumsum(counts)[:-1]  # rows before the second time, the third, …
    if len(before) < len(shares):
        raise UserError(
            f"{task.name}: {len(times)} distinct times cannot be cut into {len(shares) + 1} blocks: "
            "take fewer folds, or --holdout"
        )
    places: list[int] = []
    for i, share in enumerate(shares):
        low, high = places[-1] + 1 if places else 0, len(before) - len(shares) + i
        places.append(int(np.clip(np.abs(before - share * len(time)).argmin(), low, high)))
    return [float(times[place + 1]) for place in places]


def _kept(task: Task, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Training rows that keep the gap, and whose groups are not tested."""
    time = _time(task)
    train = train[time[train] <= time[test].min() - task.gap]
    if task.groups is not None:
        train = train[~np.isin(task.groups[train], task.groups[test])]
    if not len(train):
        raise UserError(f"{task.name}: nothing is left to train on before a test block: take a smaller gap or fewer folds")
    return train


def _check_groups(task: Task, least: int) -> None:
    if task.groups is not None and len(np.unique(task.groups)) < least:
        raise UserError(f"{task.name}: {len(np.unique(task.groups))} groups cannot be parted into {least} folds: take fewer")


def _what(task: Task) -> str:
    return "rows" if task.groups is None else "groups"
