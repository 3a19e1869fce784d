"""The columns that steer: the target as codes of classes, and the predefined test fold of every row."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from tabbench.data.columns import Absent, distinct, labels, plain, value_number
from tabbench.errors import UserError

MAX_CLASSES = 1000
_WHOLE = re.compile(r"-?\d+", re.ASCII)
TRAIN, TEST = -1, 0  # what the words mean in a column of folds


def encode_target(column: pd.Series, name: str, absent: Absent, *, declared: bool) -> tuple[np.ndarray, tuple[str, ...]]:
    """Codes (n,) int64 into the class labels, -1 where the target is missing, and these labels, sorted.

    Whole numbers are sorted as numbers. declared : the target is said to hold classes, whatever it looks like.
    Raises UserError for infinite values, real numbers that are not declared classes, one class, or too many.
    """
    where = f"{name}: target {column.name!r}"
    cells = distinct(plain(column, where), where, absent)
    numbers = [value_number(value) for value in cells.values]
    _refuse_regression(numbers, cells.declared or declared, where)
    texts = labels(cells)
    as_numbers = all(_WHOLE.fullmatch(text) for text in texts) and not _are_texts_by_declaration(cells.declared, cells.values)
    classes = sorted(set(texts), key=(lambda text: (int(text), text)) if as_numbers else None)
    if len(classes) < 2:
        raise UserError(f"{where} has {len(classes)} class: classification needs at least two")
    n_known = int((cells.codes >= 0).sum())
    if len(classes) > max(2, min(MAX_CLASSES, n_known // 2)):
        raise UserError(
            f"{where} has {len(classes)} classes in {n_known} rows: it looks like a number or an id; "
            "bin it or choose another column"
        )
    rank = {text: i for i, text in enumerate(classes)}
    return np.append(np.array([rank[text] for text in texts], np.int64), -1)[cells.codes], tuple(classes)


def _are_texts_by_declaration(declared: bool, values: Sequence[object]) -> bool:
    return declared and all(isinstance(value, str) for value in values)


def _refuse_regression(numbers: Sequence[float | None], declared: bool, where: str) -> None:
    known = [number for number in numbers if number is not None]
    if len(known) < len(numbers) or not known:
        return
    if any(np.isinf(number) for number in known):
        raise UserError(f"{where} holds infinite values: leave these cells empty")
    if not declared and any(number != round(number) for number in known):
        raise UserError(
            f"{where} holds {len(known)} distinct real numbers, which is regression: tabbench does classification; "
            "bin the target, or declare it to hold classes (--classes, or categorical in a suite)"
        )


def encode_folds(frame: pd.DataFrame, name: str) -> np.ndarray:
    """(n,) or (n, repeats) int64 test folds, one column a repeat; -1: always in training; train and test are words for -1 and 0.

    Raises UserError for anything else, and for folds that leave nothing to train on or nothing to test.
    """
    folds = np.stack([_fold(frame[column], f"{name}: fold column {column!r}") for column in frame], axis=1)
    return folds[:, 0] if folds.shape[1] == 1 else folds


def _fold(column: pd.Series, where: str) -> np.ndarray:
    cells = distinct(plain(column, where), where)
    n_missing = int((cells.codes < 0).sum())
    if n_missing:
        raise UserError(f"{where}: {n_missing} empty cells: give every row its fold, -1 for rows that always train")
    words = {"train": TRAIN, "training": TRAIN, "test": TEST, "testing": TEST}
    texts = [str(value).strip().lower() for value in cells.values]
    if any(text in words for text in texts):
        numbers: list[float | None] = [words.get(text) for text in texts]
    else:
        numbers = [None if isinstance(value, bool | np.bool_) else value_number(value) for value in cells.values]
    for value, number in zip(cells.values, numbers, strict=True):
        if number is None or not np.isfinite(number) or number != round(number) or number < TRAIN:
            raise UserError(
                f"{where}: {str(value)[:40]!r} is no fold: give 0, 1, 2, … (-1: always in training), or train and test"
            )
    fold = np.array(numbers, np.int64)[cells.codes]
    if fold.max() < 0:
        raise UserError(f"{where}: every row always trains (-1), so nothing is tested: give some rows a fold from 0")
    if fold.min() == fold.max():
        raise UserError(f"{where}: all rows are in one test fold, so nothing trains: give some rows another, or -1")
    return fold
