"""Results tables from anywhere: a long or wide CSV file as a (dataset × model) table of scores.

Wide: a row is a dataset, its name in the first column (or in one called dataset or task), every other column a model. Long: a row
is one score, with columns called dataset (or task), model (or method, …) and one for the score. Columns called fold, repeat or
split tell rows of one dataset apart, and one called seed or run where these do not; such rows are averaged. An empty cell is a
missing score, as is a fold a model has not run.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tabbench.errors import UserError

DATASET = ("dataset", "dataset_name", "data_set", "task", "task_name", "problem", "data")
MODEL = ("model", "method", "algorithm", "alg_name", "framework", "classifier", "learner", "system")
FOLDS = ("fold", "repeat", "split", "run_fold")
SEEDS = ("seed", "run")  # often noted beside the fold, another for every model
SCORE = ("score", "value", "result", "metric_value")
MOST_DATASETS = 20_000


@dataclass(frozen=True, eq=False)
class PlainTable:
    """scores : (dataset × model), NaN where missing. folds : the same by (dataset, fold), None if the file has no folds."""

    scores: pd.DataFrame
    folds: pd.DataFrame | None


def read_plain_table(path: Path, score: str | None = None) -> PlainTable:
    """Read a long or wide table; score : the score column of a long one, needed if it has several numbers a row.

    Raises UserError for a file that is no such table, rows that occur twice, text among the scores, or a table without a score.
    """
    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: cannot be read as a table: {str(error).splitlines()[0]}") from None
    table.columns = table.columns.astype(str)
    if not len(table):
        raise UserError(f"{path}: no rows in it")
    dataset, model = _named(table, DATASET), _named(table, MODEL)
    folds = [column for column in table.columns if column.lower() in FOLDS]
    seeds = [column for column in table.columns if column.lower() in SEEDS]
    if dataset and model:
        column = _score_column(table, {dataset, model, *folds, *seeds}, score, path)
        folds += seeds if table.duplicated([dataset, model, *folds]).any() else []
        rows = table[[dataset, model, *folds]].assign(score=_numbers(table[[column]], path)[column])
        _refuse_repeated(rows, [dataset, model, *folds], path)
        wide = rows.set_index([dataset, *folds, model])["score"].unstack(model)
    elif score is not None:
        raise UserError(f"{path}: no long table, so no score column: it lacks one called dataset (task, …) or model (method, …)")
    else:
        key = [dataset or table.columns[0], *folds, *seeds]
        _refuse_repeated(table, key, path)
        wide = _numbers(table.set_index(key), path)
    return _finished(wide, path)


def _finished(wide: pd.DataFrame, path: Path) -> PlainTable:
    wide.columns = wide.columns.astype(str)
    if wide.shape[1] == 0:
        raise UserError(f"{path}: no column of scores beside the names: a wide table has one for each model")
    folds = wide if wide.index.nlevels > 1 else None
    if folds is not None:
        by_dataset = wide.groupby(level=0)
        wide = by_dataset.mean().where(by_dataset.count().eq(by_dataset.size(), axis=0))
    wide.index = wide.index.astype(str)
    if wide.index.has_duplicates or wide.columns.has_duplicates:
        raise UserError(f"{path}: two datasets or two models have the same name")
    if len(wide) > MOST_DATASETS:
        raise UserError(f"{path}: {len(wide):,} datasets, at most {MOST_DATASETS:,}: if rows are folds, name their column fold")
    if wide.isna().all(axis=None):
        raise UserError(f"{path}: no score in it")
    return PlainTable(wide.sort_index(), folds)


def _named(table: pd.DataFrame, names: tuple[str, ...]) -> str | None:
    found = [column for name in names for column in table.columns if column.lower() == name]
    return found[0] if found else None


def _score_column(table: pd.DataFrame, known: set[str], score: str | None, path: Path) -> str:
    if score is not None:
        if score not in table.columns:
            raise UserError(f"{path}: no column {score!r}: it has {', '.join(table.columns)}")
        return score
    numbers = [column for column in table.select_dtypes("number").columns if column not in known]
    named = [column for column in table.columns if column.lower() in SCORE]
    if len(named) == 1 or len(numbers) == 1:
        return (named or numbers)[0]
    raise UserError(f"{path}: which column is the score? name it with --score: {', '.join(numbers) or 'none is numeric'}")


def _numbers(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The columns as finite float64; raises UserError for text or an infinite value."""
    for column in table.columns:
        values = pd.to_numeric(table[column], errors="coerce")
        wrong = (values.isna() & table[column].notna()) | np.isinf(values)
        if wrong.any():
            raise UserError(f"{path}: {str(table[column][wrong].iloc[0])!r} in column {column!r} is no finite score")
        table = table.assign(**{column: values.astype(np.float64)})
    return table


def _refuse_repeated(rows: pd.DataFrame, key: list[str], path: Path) -> None:
    if rows[key].isna().any(axis=None):
        raise UserError(f"{path}: a row without {' or '.join(key)}")
    again = rows.duplicated(key)
    if again.any():
        what = ", ".join(f"{name} {value}" for name, value in rows.loc[again, key].iloc[0].items())
        raise UserError(f"{path}: {what} occurs twice: keep one row, or name a column fold, repeat, seed or split")
