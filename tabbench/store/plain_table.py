"""Results tables from anywhere: a long or wide file as a (dataset × model) table of scores.

Wide: a row is a dataset, its name in a column called dataset or task (or in a first column of texts), every other column a model.
Long: a row is one score, with columns for dataset, model and score. Columns called fold, repeat or split tell rows of one dataset
apart, and one called seed or run where these do not; such rows are averaged. Rows without a dataset that have folds are one
dataset. What cannot be known is asked for, never guessed; what is left out or turned is said in `remarks`.
An empty cell is a failure. A dataset or fold without a row is one that the model was not run on.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tabbench.data.reader import read_typed
from tabbench.errors import UserError
from tabbench.metrics import METRICS
from tabbench.stats.failures import common_folds

DATASET = (
    *("dataset", "dataset_name", "dataset_id", "data_set", "datasets", "task", "task_name", "task_id", "tasks"),
    *("problem", "problem_name", "data", "data_name", "data_id", "did", "tid"),
)
MODEL = (
    *("model", "model_name", "models", "method", "method_name", "methods", "algorithm", "algorithm_name", "alg", "alg_name"),
    *("framework", "classifier", "classifier_name", "learner", "learner_id", "estimator", "estimator_name", "system", "approach"),
)
FOLDS = (
    "fold",
    "fold_id",
    "cv_fold",
    "run_fold",
    "outer_fold",
    "repeat",
    "repetition",
    "rep",
    "split",
    "split_id",
    "iteration",
    "iter",
)
SEEDS = ("seed", "random_state", "run", "run_id", "trial")  # often noted beside the fold, another for every model
METRIC = ("metric", "metric_name", "measure", "score_name", "scoring", "criterion")
SCORE = ("score", "value", "result", "metric_value", "performance", "score_value")
TOTALS = (
    "average",
    "avg",
    "mean",
    "median",
    "overall",
    "total",
    "sum",
    "std",
    "mean_rank",
    "average_rank",
    "avg_rank",
    "rank",
    "ranks",
)
STATISTICS = {"average": "mean", "avg": "mean", "mean": "mean", "median": "median", "std": "std", "sum": "sum", "total": "sum"}
EXTREMES = {"best": "max", "worst": "min", "max": "max", "min": "min"}
NAMES = frozenset((*DATASET, *MODEL, *FOLDS, *SEEDS))
KNOWN_MODELS = frozenset(
    "rf randomforest extratrees xt svm svc knn xgb xgboost lgbm lightgbm gbm gbdt catboost mlp nn dnn resnet fttransformer saint "
    "tabnet node tabpfn tabicl pfn logreg logisticregression lr linear ridge lda qda nb naivebayes gaussiannb tree decisiontree "
    "cart c45 c50 dt adaboost histgbdt histgradientboosting autogluon autosklearn h2o flaml tabm realmlp modernnca "
    "dummy constant const".split()
)
MEASURES = frozenset("acc accuracy auc roc f1 logloss loss error rmse mae r2 time seconds precision recall std".split())
MOST_DATASETS = 20_000


@dataclass(frozen=True, eq=False)
class PlainTable:
    """A results table as numbers.

    scores : (dataset × model), NaN where missing. absent : bool (dataset × model), where a model was not run. folds : the
    scores by (dataset, fold), NaN where they are not used; None if the file has no folds. remarks : what was left out or turned.
    """

    scores: pd.DataFrame
    absent: pd.DataFrame
    folds: pd.DataFrame | None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Named:
    """Columns of the dataset, the model and the score that the user names, and the metric to take; None: to be found."""

    dataset: str | None = None
    model: str | None = None
    score: str | None = None
    metric: str | None = None


def read_plain_table(path: Path, named: Named = Named()) -> PlainTable:
    """Read a long or wide table.

    Raises UserError for a file that is no such table, columns that cannot be told apart, rows that occur twice, text among the
    scores, or a table without a score.
    """
    table, remarks = read_typed(path)
    table.columns = table.columns.astype(str)
    if not len(table):
        raise UserError(f"{path}: no rows in it")
    for column in (named.dataset, named.model):
        _check_column(table, column, path)
    table = _without_index(table, named, remarks)
    dataset = _found(table, DATASET, "dataset", path) if named.dataset is None else named.dataset
    model = _found(table, MODEL, "model", path) if named.model is None else named.model
    folds, seeds = ([column for column in table.columns if _plain(column) in names] for names in (FOLDS, SEEDS))
    folds, seeds = ([column for column in group if column not in (dataset, model)] for group in (folds, seeds))
    if model is not None:
        long = _one_metric(table, named, path, remarks)
        turned = _turned(long, dataset, model, [*folds, *seeds], named, path, remarks)
        if turned is not None:
            return _finish(turned, pd.DataFrame(True, turned.index, turned.columns), path, remarks)
        return _long(long, dataset, model, (folds, seeds), named, path, remarks)
    if named.score is not None or named.metric is not None:
        raise UserError(
            f"{path}: no long table, so no score column: it lacks one called model (method, …): name it with --model-column"
        )
    return _wide(table, dataset, [*folds, *seeds], path, remarks)


def _check_column(table: pd.DataFrame, column: str | None, path: Path) -> None:
    if column is not None and column not in table.columns:
        raise UserError(f"{path}: no column {column!r}: it has {', '.join(table.columns)}")


def _plain(name: object) -> str:
    """A name in lower case with underscores for blanks, points and hyphens."""
    return re.sub(r"[\s.\-]+", "_", str(name).strip().lower()).strip("_")


def _found(table: pd.DataFrame, names: Sequence[str], what: str, path: Path) -> str | None:
    """The column that is called so; raises UserError if several are and tell rows apart differently."""
    found = [column for name in names for column in table.columns if _plain(column) == name]
    for other in found[1:]:
        pairs = table[[found[0], other]].drop_duplicates()
        if len(pairs) > max(table[found[0]].nunique(dropna=False), table[other].nunique(dropna=False)):
            option = "--dataset" if what == "dataset" else "--model-column"
            raise UserError(f"{path}: which column names the {what}, {found[0]!r} or {other!r}? name it with {option}")
    return found[0] if found else None


def _without_index(table: pd.DataFrame, named: Named, remarks: list[str]) -> pd.DataFrame:
    """Leave out columns without a name that only number the rows, where others tell the rows apart."""
    if not any(_plain(column) in NAMES or values.dtype.kind not in "iufb" for column, values in table.items()):
        return table
    for column in table.columns:
        values = table[column]
        if re.fullmatch(r"(Unnamed: \d+|index|level_0|)", column) and column != named.dataset and values.dtype.kind in "iu":
            start = values.iloc[0]
            if start in (0, 1) and values.tolist() == list(range(start, start + len(values))):
                remarks.append(f"column {column!r} only numbers the rows: left out")
                table = table.drop(columns=column)
    return table


def _one_metric(table: pd.DataFrame, named: Named, path: Path, remarks: list[str]) -> pd.DataFrame:
    """The rows of one metric, where a column says which metric a row is of."""
    column = _found(table, METRIC, "metric", path)
    if column is None:
        if named.metric is not None:
            raise UserError(f"{path}: no column called metric, so no metric {named.metric!r}: name the score column with --score")
        return table
    known = table[column].astype(str).unique().tolist()
    if named.metric is None and len(known) > 1:
        raise UserError(f"{path}: which metric? name it with --metric: {', '.join(known)}")
    if named.metric is not None and named.metric not in known:
        raise UserError(f"{path}: no metric {named.metric!r}: it has {', '.join(known)}")
    remarks.append(f"scores are of the metric {named.metric or known[0]}")
    return table[table[column].astype(str) == (named.metric or known[0])].drop(columns=column)


def _turned(
    table: pd.DataFrame, dataset: str | None, model: str, folds: list[str], named: Named, path: Path, remarks: list[str]
) -> pd.DataFrame | None:
    """(dataset × model) of a table whose rows are models and whose other columns are datasets; None for a long table."""
    others = [column for column in table.columns if column not in (model, *folds)]
    if dataset is not None or folds or named.score is not None or len(others) < 2 or table[model].duplicated().any():
        return None
    measures = [column for column in others if _is_measure(column)]
    if measures:
        raise UserError(
            f"{path}: {measures[0]!r} is called like a measure: which column names the datasets, which holds the score? "
            "name them with --dataset and --score"
        )
    remarks.append(f"rows are models ({model!r}) and columns datasets: turned")
    return _numbers(table.set_index(model), path).T


def _is_measure(column: str) -> bool:
    """Whether a column is called like a metric or a time."""
    return _plain(column) in METRICS or not MEASURES.isdisjoint(_plain(column).split("_"))


def _long(
    table: pd.DataFrame,
    dataset: str | None,
    model: str,
    folds: tuple[list[str], list[str]],
    named: Named,
    path: Path,
    remarks: list[str],
) -> PlainTable:
    keys, seeds = folds
    column = _score_column(table, {dataset, model, *keys, *seeds}, named.score, path)
    if dataset is None:
        if not (keys or seeds):
            raise UserError(f"{path}: which column names the datasets? name it with --dataset")
        dataset = "dataset"
        table = table.assign(dataset=path.stem)
        remarks.append(f"no column names a dataset: the rows are taken for the {(keys or seeds)[0]}s of one")
    table = _without_totals(table, dataset, [column], remarks)
    keys = [*keys, *(seeds if table.duplicated([dataset, model, *keys]).any() else [])]
    rows = table[[dataset, model, *keys]].assign(score=_numbers(table[[column]], path)[column])
    _refuse_repeated(rows, [dataset, model, *keys], path)
    rows[dataset], rows[model] = rows[dataset].astype(str), rows[model].astype(str)
    by_row = rows.set_index([dataset, *keys, model])["score"]
    ran = pd.Series(True, by_row.index).unstack(model, fill_value=False)
    return _finish(by_row.unstack(model), ran, path, remarks)


def _wide(table: pd.DataFrame, dataset: str | None, folds: list[str], path: Path, remarks: list[str]) -> PlainTable:
    if dataset is None and folds:
        dataset = "dataset"
        table = table.assign(dataset=path.stem)
        remarks.append(f"no column names a dataset: the rows are taken for the {folds[0]}s of one")
    elif dataset is None:
        dataset = table.columns[0]
        numbered = (
            table[dataset].dtype.kind in "iu" and table[dataset].is_unique and table.dtypes.iloc[1:].map(_is_fraction).any()
        )
        if numbered:
            remarks.append(f"the datasets have the numbers of the first column ({dataset!r})")
        elif table[dataset].dtype.kind in "iufb":
            raise UserError(
                f"{path}: which column names the datasets? the first, {dataset!r}, holds numbers: name it with --dataset"
            )
        _ask_if_turned(table, dataset, path)
    table = _without_totals(table, dataset, [c for c in table.columns if c not in (dataset, *folds)], remarks)
    key = [dataset, *folds]
    _refuse_repeated(table, key, path)
    wide = _numbers(table.assign(**{dataset: table[dataset].astype(str)}).set_index(key), path)
    wide = _without_summary_columns(wide, remarks)
    return _finish(wide, pd.DataFrame(True, wide.index, wide.columns), path, remarks)


def _is_fraction(dtype: object) -> bool:
    return getattr(dtype, "kind", "O") == "f"


def _ask_if_turned(table: pd.DataFrame, first: str, path: Path) -> None:
    """Raise UserError where the rows are called like models, and the columns are not."""
    rows, columns = (
        [re.sub(r"[^a-z0-9]", "", str(name).lower()) in KNOWN_MODELS for name in names]
        for names in (table[first], table.columns[1:])
    )
    if sum(rows) * 2 > len(rows) and sum(columns) * 2 <= len(columns):
        raise UserError(
            f"{path}: the rows ({table[first].iloc[0]}, …) are called like models: name their column with "
            f"--model-column {first!r}, or with --dataset {first!r} if they are datasets"
        )


def _without_totals(table: pd.DataFrame, dataset: str, scores: list[str], remarks: list[str]) -> pd.DataFrame:
    """Leave out rows that sum up the others."""
    is_total = table[dataset].map(_plain).isin(TOTALS) & table[scores].notna().any(axis=1)
    if is_total.any() and not is_total.all():
        names = list(dict.fromkeys(table.loc[is_total, dataset].astype(str)))
        remarks.append(f"rows {', '.join(map(repr, names))} sum up the datasets: left out")
        return table[~is_total]
    return table


def _without_summary_columns(wide: pd.DataFrame, remarks: list[str]) -> pd.DataFrame:
    """Leave out columns that sum up the models: called so, and with the values of it (as far as they are rounded), or ranks."""
    out = []
    for column in wide.columns:
        name, rest = _plain(column), wide.drop(columns=column)
        how = {**STATISTICS, **EXTREMES}.get(name)
        if how is None or rest.shape[1] < 2:
            continue
        expected = getattr(rest, how)(axis=1)
        if np.allclose(wide[column], expected, rtol=0, atol=5e-3 * max(1e-12, float(rest.abs().max(axis=None))), equal_nan=True):
            out.append(column)
    if out:
        remarks.append(f"columns {', '.join(map(repr, out))} sum up the models: left out")
    return wide.drop(columns=out)


def _finish(wide: pd.DataFrame, ran: pd.DataFrame, path: Path, remarks: list[str]) -> PlainTable:
    """Means over the folds that all models of a dataset were run on."""
    wide.columns = ran.columns = wide.columns.astype(str)
    if wide.shape[1] == 0:
        raise UserError(f"{path}: no column of scores beside the names: a wide table has one for each model")
    folds = None
    if wide.index.nlevels > 1:
        used = common_folds(ran)
        _say_folds(ran, used, remarks)
        folds = wide.where(used)
        n_used = used.groupby(level=0).sum()
        by_dataset = folds.groupby(level=0)
        wide = by_dataset.mean().where(by_dataset.count().eq(n_used) & n_used.gt(0))
        ran = n_used.gt(0)
    wide.index, ran.index = wide.index.astype(str), ran.index.astype(str)
    if wide.index.has_duplicates or wide.columns.has_duplicates:
        raise UserError(f"{path}: two datasets or two models have the same name")
    if len(wide) > MOST_DATASETS:
        raise UserError(f"{path}: {len(wide):,} datasets, at most {MOST_DATASETS:,}: if rows are folds, name their column fold")
    if wide.isna().all(axis=None):
        raise UserError(f"{path}: no score in it")
    return PlainTable(wide.sort_index(), ~ran.reindex(wide.index).sort_index(), folds, tuple(remarks))


def _say_folds(ran: pd.DataFrame, used: pd.DataFrame, remarks: list[str]) -> None:
    """Say where models were run on other folds of a dataset than others, and what is compared then."""
    n_ran, n_used = ran.groupby(level=0).sum(), used.groupby(level=0).sum()
    n_folds = n_ran.max(axis=1)
    short = n_ran.lt(n_folds, axis=0) & n_ran.gt(0)
    for model in n_ran.columns[short.any()]:
        datasets = short.index[short[model]]
        few, many, kept = n_ran.loc[datasets[0], model], n_folds[datasets[0]], n_used.loc[datasets[0], model]
        what = f"compared on the {kept} in common" if kept else "not compared there"
        remarks.append(f"{model}: {few} of {many} folds on {len(datasets)} datasets ({datasets[0]}, …): {what}")


def _score_column(table: pd.DataFrame, known: set[str | None], score: str | None, path: Path) -> str:
    if score is not None:
        _check_column(table, score, path)
        return score
    numbers = [column for column in table.select_dtypes("number").columns if column not in known]
    named = [column for column in table.columns if _plain(column) in SCORE]
    if len(named) == 1 or len(numbers) == 1:
        return (named or numbers)[0]
    raise UserError(f"{path}: which column is the score? name it with --score: {', '.join(numbers) or 'none is numeric'}")


def _numbers(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The columns as finite float64; raises UserError for text or an infinite value."""
    columns = {}
    for column in table.columns:
        values = pd.to_numeric(table[column], errors="coerce")
        wrong = (values.isna() & table[column].notna()) | np.isinf(values)
        if wrong.any():
            raise UserError(f"{path}: {str(table[column][wrong].iloc[0])!r} in column {column!r} is no finite score")
        columns[column] = values.astype(np.float64)
    return pd.DataFrame(columns, index=table.index)


def _refuse_repeated(rows: pd.DataFrame, key: list[str], path: Path) -> None:
    if rows[key].isna().any(axis=None):
        raise UserError(f"{path}: a row without {' or '.join(key)}")
    again = rows.duplicated(key)
    if again.any():
        what = ", ".join(f"{name} {value}" for name, value in rows.loc[again, key].iloc[0].items())
        raise UserError(f"{path}: {what} occurs twice: keep one row, or name a column fold, repeat, seed or split")
