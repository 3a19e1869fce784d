"""The columns that steer: the target as codes of classes, and groups, times and the predefined test fold of every row."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from tabbench.data.columns import Absent, distinct, labels, normal_column, plain, text_number, value_number
from tabbench.errors import UserError

MAX_CLASSES = 1000
_WHOLE = re.compile(r"-?\d+", re.ASCII)
UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 604800}  # seconds
_LENGTH = re.compile(r"(\d+\.?\d*) ?(s|min|h|d|w)", re.ASCII)
MAX_FOLDS = 1_000_000
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


def encode_groups(column: pd.Series, where: str) -> np.ndarray:
    """(n,) int64 numbers of groups. Raises UserError for empty cells and for fewer than two groups."""
    found = distinct(plain(column, where), where).codes
    if (found < 0).any():
        raise UserError(f"{where}: {(found < 0).sum()} empty cells: give every row its group")
    codes = pd.factorize(found)[0]
    if codes.max() < 1:
        raise UserError(f"{where}: all rows are of one group: there is nothing to hold out")
    return codes


def encode_time(column: pd.Series, where: str, gap: str | float | None) -> tuple[np.ndarray, float]:
    """(n,) float64 times, dates and clock times as seconds, and the gap in their unit.

    Raises UserError for cells that are neither numbers nor dates, for empty ones, and for a gap that is none or of another unit.
    """
    values = normal_column(column, where).values
    if isinstance(values.dtype, pd.CategoricalDtype):
        example = next((level for level in values.cat.categories if text_number(level) is None), values.cat.categories[0])
        raise UserError(f"{where}: {example[:40]!r} is no time: give numbers, or dates like 2024-12-31 or 2024-12-31 12:00:00")
    if values.isna().any():
        raise UserError(f"{where}: {values.isna().sum()} empty cells: give every row its time")
    are_dates = pd.api.types.is_datetime64_any_dtype(column.dtype) or value_number(column.iloc[0]) is None
    return values.to_numpy(np.float64), _length_of(gap, are_dates, where)


def _length_of(gap: str | float | None, are_dates: bool, where: str) -> float:
    if gap is None:
        return 0.0
    number = value_number(gap)
    written = _LENGTH.fullmatch(str(gap).strip())
    if number is None and written is None:
        raise UserError(f"{where}: {gap!r} is no gap: give a number, or of dates a length like 7d or 12h")
    length = number if written is None or number is not None else float(written[1]) * UNITS[written[2]]
    if length is None or not 0 <= length < np.inf:
        raise UserError(f"{where}: a gap of {gap} is none: give 0 or more")
    if length and are_dates == (number is not None):
        raise UserError(f"{where}: a gap of {gap}: " + ("say of what: 7d, 12h" if are_dates else "give it in the column's unit"))
    return float(length)


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
        if number is None or not np.isfinite(number) or number != round(number) or not TRAIN <= number < MAX_FOLDS:
            raise UserError(
                f"{where}: {str(value)[:40]!r} is no fold: give 0, 1, 2, … (-1: always in training), or train and test"
            )
    fold = np.array(numbers, np.int64)[cells.codes]
    if fold.max() < 0:
        raise UserError(f"{where}: every row always trains (-1), so nothing is tested: give some rows a fold from 0")
    if fold.min() == fold.max():
        raise UserError(f"{where}: all rows are in one test fold, so nothing trains: give some rows another, or -1")
    return fold
