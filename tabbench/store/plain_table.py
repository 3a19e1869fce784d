"""Results tables from anywhere: a long or wide file as a (dataset × model) table of scores.

Wide: a row is a dataset, its name in a column called dataset or task (or in a first column of texts), every other column a model.
Long: a row is one score, with columns for dataset, model and score. Columns called fold, repeat or split tell rows of one dataset
apart, and one called seed or run where these do not; such rows are averaged. Rows without a dataset that have folds are one
dataset. What cannot be known is asked for, never guessed; what is left out or turned is said in `remarks`. `layouts` says what
names mean.
A model was not run on a dataset or fold without a row, or where a cell says so; an empty cell, "failed", "timeout" and the like
are failures, unless `empty` says that empty means not run, too.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from tabbench.data.columns import MARKS, WORDS, value_number
from tabbench.data.reader import read_cells, typed
from tabbench.errors import UserError
from tabbench.stats.failures import common_folds
from tabbench.store import layouts

_DECORATED = re.compile(r"\d[.,]\d|\d%")  # as in "0.91 ± 0.02", "**0.91**" and "91%"
MOST_DATASETS = 20_000
ONE_DATASET = "no column names a dataset: the rows, told apart by {!r}, are taken for folds of one"
Empty = Literal["failed", "not-run"]  # what an empty cell means


@dataclass(frozen=True, eq=False)
class PlainTable:
    """A results table as numbers.

    scores : (dataset × model), NaN where missing. absent : bool (dataset × model), where a model was not run. folds : the
    scores by (dataset, fold), NaN where they are not used; None if the file has no folds. is_loss : the score is called like
    something of which less is better. remarks : what was left out, turned or not taken as written. test_share : share of the rows
    that a fold scores, where it is known.
    """

    scores: pd.DataFrame
    absent: pd.DataFrame
    folds: pd.DataFrame | None
    is_loss: bool = False
    remarks: tuple[str, ...] = ()
    test_share: float | None = None


@dataclass(frozen=True)
class Named:
    """Columns of the dataset, the model and the score that the user names, and the metric to take; None: to be found.

    empty : None is a failure, but where rows are folds and a model has some of a dataset; that is asked.
    """

    dataset: str | None = None
    model: str | None = None
    score: str | None = None
    metric: str | None = None
    empty: Empty | None = None


@dataclass(frozen=True)
class _Source:
    """A file, what its user names, and the remarks so far."""

    path: Path
    named: Named
    remarks: list[str]

    def say(self, remark: str) -> None:
        self.remarks.append(remark)

    def error(self, text: str) -> UserError:
        return UserError(f"{self.path}: {text}")


def read_plain_table(path: Path, named: Named = Named()) -> PlainTable:
    """Read a long or wide table.

    Raises UserError for a file that is no such table, columns that cannot be told apart, rows that occur twice, text among the
    scores, or a table without a score.
    """
    table, remarks = read_cells(path)
    source = _Source(path, named, remarks)
    if not len(table):
        raise source.error("no rows in it")
    for column in (named.dataset, named.model):
        _check_column(table, column, source)
    table = _without_parts(_without_row_numbers(table, source), source)
    dataset = _found(table, "dataset", source) if named.dataset is None else named.dataset
    model = _found(table, "model", source) if named.model is None else named.model
    if dataset is not None and dataset == model:
        raise source.error(f"the column {dataset!r} cannot name both the datasets and the models")
    if model is not None:
        return _with_models(table, dataset, model, source)
    if named.score is not None:
        raise source.error("no long table, so no score column: it lacks one of models: name it with --model-column")
    return _wide(table, dataset, source)


def _check_column(table: pd.DataFrame, column: str | None, source: _Source) -> None:
    if column is not None and column not in table.columns:
        raise source.error(f"no column {column!r}: it has {', '.join(table.columns)}")


def _of_role(table: pd.DataFrame, role: layouts.Role, besides: Sequence[str | None]) -> list[str]:
    return [column for column in table.columns if layouts.role_of(column) == role and column not in besides]


def _found(table: pd.DataFrame, role: layouts.Role, source: _Source) -> str | None:
    """The column of names that is called so, the finest of several; raises UserError if these tell rows apart differently."""
    besides = (source.named.dataset, source.named.model, source.named.score)
    found = [column for column in _of_role(table, role, besides) if role == "metric" or _may_name(table[column])]
    if not found:
        return None
    finest = max(found, key=lambda column: table[column].nunique(dropna=False))
    for other in found:
        if len(table[[finest, other]].drop_duplicates()) > table[finest].nunique(dropna=False):
            option = {"dataset": "--dataset", "model": "--model-column"}.get(role, "--metric")
            raise source.error(f"which column names the {role}, {found[0]!r} or {found[1]!r}? name it with {option}")
    return finest


def _may_name(values: pd.Series) -> bool:
    """Whether values may be names: texts or whole numbers, no fractions."""
    numbers = typed(values)
    return numbers.dtype.kind != "f" or bool((numbers.isna() | (numbers == numbers.round())).all())


def _without_row_numbers(table: pd.DataFrame, source: _Source) -> pd.DataFrame:
    """Leave out columns that only number the rows, where others tell the rows apart."""
    others = {column: typed(values) for column, values in table.items()}
    numbering = [c for c, values in others.items() if c != source.named.dataset and layouts.numbers_rows(c, values)]
    rest = [c for c in others if c not in numbering]
    if any(layouts.role_of(c) or others[c].dtype.kind not in "iufb" for c in rest):
        for column in numbering:
            source.say(f"column {column!r} only numbers the rows: left out")
        return table[rest]
    return table


def _without_parts(table: pd.DataFrame, source: _Source) -> pd.DataFrame:
    """The rows that were scored on test data, where a column says of which part of the data a row is."""
    named = source.named
    for column in table.columns:
        if column in (named.dataset, named.model, named.score) or layouts.role_of(column) in ("dataset", "model"):
            continue
        parts = table[column].drop_duplicates()
        if parts.dtype.kind in "iufb" or not parts.map(layouts.joined).isin(layouts.PARTS).all():
            continue
        said = _by_value(table[column], layouts.joined)
        parts = table[column][~said.duplicated()]
        tested = said.isin(layouts.TESTED)
        if not tested.any() and said.nunique() > 1:
            raise source.error(f"column {column!r} says {', '.join(map(str, parts))}: keep the rows of one of them")
        left_out = [str(part) for part in parts if layouts.joined(part) not in layouts.TESTED]
        kept = f"{', '.join(map(repr, left_out))} are left out" if tested.any() else f"{left_out[0]!r} are all there is"
        if left_out:
            source.say(f"rows of column {column!r} that say {kept}")
        table = (table[tested] if tested.any() else table).drop(columns=column)
    return table


def _by_value(values: pd.Series, function: Callable[[object], object]) -> pd.Series:
    """The function of every value, computed once for each that occurs."""
    codes, known = pd.factorize(values, use_na_sentinel=False)
    return pd.Series(np.array([function(value) for value in known])[codes], values.index)


def _with_models(table: pd.DataFrame, dataset: str | None, model: str, source: _Source) -> PlainTable:
    """A table with a column of models: long, or with a column a dataset."""
    keys, seeds = (_of_role(table, role, (dataset, model, source.named.score)) for role in ("fold", "seed"))
    table, metric = _one_metric(table, source)
    table = _without_not_ended(table, source)
    others = [column for column in table.columns if column not in (dataset, model, *keys, *seeds)]
    in_names = layouts.folds_in(others) if source.named.score is None else None
    if dataset is not None and not keys and in_names is not None:  # a column a fold
        source.say(f"columns {others[0]!r}, … are folds")
        table = table.melt([dataset, model, *seeds], others, "fold", "score").dropna(subset="score")
        return _long(table, dataset, model, (["fold"], seeds), _with_score(source), metric)
    turned = _turned(table, dataset, model, [*keys, *seeds], source)
    if turned is not None:
        return _of_wide(turned, "dataset", [], source, metric)
    return _long(table, dataset, model, (keys, seeds), source, metric)


def _with_score(source: _Source) -> _Source:
    return replace(source, named=replace(source.named, score="score"))


def _one_metric(table: pd.DataFrame, source: _Source) -> tuple[pd.DataFrame, str | None]:
    """The rows of one metric, where a column says which metric a row is of, and its name."""
    asked, column = source.named.metric, _found(table, "metric", source)
    if column is None:
        if asked is not None:
            raise source.error(f"no column called metric, so no metric {asked!r}: name the score column with --score")
        return table, None
    texts = table[column].astype(str)
    known = texts.unique().tolist()
    if asked is None and len(known) > 1:
        raise source.error(f"which metric? name it with --metric: {', '.join(known)}")
    if asked is not None and asked not in known:
        raise source.error(f"no metric {asked!r}: it has {', '.join(known)}")
    metric = asked or known[0]
    source.say(f"scores are of the metric {metric}")
    return table[texts == metric].drop(columns=column), metric


def _without_not_ended(table: pd.DataFrame, source: _Source) -> pd.DataFrame:
    """Empty the scores of rows whose status says that they failed; leave out those that say that they were not run."""
    for column in table.columns:
        if layouts.joined(column) not in ("status", "state", "jobstatus", "runstatus"):
            continue
        said = _by_value(table[column], layouts.joined)
        failed, skipped = said.isin(layouts.FAILED | {"unsupported"}), said.isin(layouts.NOT_RUN)
        if not (failed | skipped | said.isin(layouts.ENDED)).all():
            raise source.error(
                f"column {column!r} says {str(table[column][~failed & ~skipped & ~said.isin(layouts.ENDED)].iloc[0])!r}"
                ": is that a failure? write ok, failed or not run, or leave the column out"
            )
        if failed.any():
            source.say(f"rows that are failures by their {column}, whose scores are not taken: {int(failed.sum()):,}")
        numeric = [c for c in table if c != column and layouts.role_of(c) is None]
        table = table.assign(
            **{
                c: table[c].astype(object).where(~failed, np.nan)
                for c in numeric
                if c not in (source.named.dataset, source.named.model)
            }
        )
        table = table[~skipped].drop(columns=column)
    return table


def _turned(table: pd.DataFrame, dataset: str | None, model: str, folds: list[str], source: _Source) -> pd.DataFrame | None:
    """(dataset × model) of a table whose rows are models and whose other columns are datasets; None for a long table."""
    others = [column for column in table.columns if column not in (model, *folds)]
    if dataset is not None or folds or source.named.score is not None or len(others) < 2 or table[model].duplicated().any():
        return None
    measures = [column for column in others if layouts.is_measure(column) and not layouts.is_sum(column)]
    if measures:
        raise source.error(
            f"{measures[0]!r} is called like a measure: which column names the datasets, which holds the score? "
            "name them with --dataset and --score"
        )
    out = [column for column in others if _is_text(table[column]) or _is_count(table[column])]
    if out:
        source.say(f"columns {', '.join(map(repr, out))} describe the models: left out")
    others = [column for column in others if column not in out]
    table = _without_sums(table, model, others, source)
    source.say(f"rows are models ({model!r}) and columns datasets: turned")
    turned = table.set_index(table[model].astype(str))[others].astype(object).T.rename_axis(None, axis=1)
    return turned.rename_axis("dataset").reset_index()


def _is_count(values: pd.Series) -> bool:
    return layouts.is_count(str(values.name)) and typed(values).dtype.kind in "iu"


def _is_text(values: pd.Series) -> bool:
    """Whether no cell of a column is a score, or looks like one that is written in another way."""
    known = [value for value in values if _cell(value)[1] != "empty"]
    return bool(known) and not any(
        value_number(value) is not None or _cell(value)[1] != "odd" or _DECORATED.search(str(value)) for value in known
    )


def _long(
    table: pd.DataFrame,
    dataset: str | None,
    model: str,
    folds: tuple[list[str], list[str]],
    source: _Source,
    metric: str | None,
) -> PlainTable:
    keys, seeds = folds
    column = _score_column(table, {dataset, model, *keys, *seeds}, source)
    if dataset is None:
        if not (keys or seeds):
            raise source.error("which column names the datasets? name it with --dataset")
        dataset = "dataset"
        table = table.assign(dataset=source.path.stem)
        source.say(ONE_DATASET.format((keys or seeds)[0]))
    _refuse_nameless(table, [dataset, model, *keys], source)
    table = table.assign(**{name: table[name].astype(str) for name in (dataset, model)})
    for name in (dataset, *keys):
        table = _without_sums(table, name, [column], source)
    table, split = _without_folds_in_names(table, dataset, source)
    keys = [*keys, *split]
    if table.duplicated([dataset, model, *keys]).any():
        table, more = _paired_seeds(table, dataset, model, keys, seeds, source)
        keys = [*keys, *more]
    _refuse_repeated(table, [dataset, model, *keys], source)
    for key in keys:
        table[key] = typed(table[key])
    scores, not_run = _numbers(table[[column]], source)
    rows = table[[dataset, model, *keys]].assign(score=scores[column])[~not_run[column]]
    by_row = rows.set_index([dataset, *keys, model])["score"]
    ran = pd.Series(True, by_row.index).unstack(model, fill_value=False)
    return _finish(by_row.unstack(model), ran, source, metric or column)


def _paired_seeds(
    table: pd.DataFrame, dataset: str, model: str, keys: list[str], seeds: list[str], source: _Source
) -> tuple[pd.DataFrame, list[str]]:
    """Seeds as further keys; if each model has its own, rows of equal number are taken together."""
    if not seeds or table.duplicated([dataset, model, *keys, *seeds]).any():
        return table, seeds
    if table.groupby([dataset, *keys, *seeds])[model].nunique().max() > 1 or table[model].nunique() == 1:
        return table, seeds
    source.say(f"every model has {seeds[0]}s of its own: rows are paired in the order they come")
    return table.assign(repeat=table.groupby([dataset, model, *keys]).cumcount()), ["repeat"]


def _wide(table: pd.DataFrame, dataset: str | None, source: _Source) -> PlainTable:
    in_rows = _found(table, "metric", source)
    table, metric = _one_metric(table, source) if in_rows is not None else _one_measure(table, dataset, source)
    if in_rows is not None and dataset is None and len(table) == 1:
        dataset, table = "dataset", table.assign(dataset=source.path.stem)
    folds = [*_of_role(table, "fold", (dataset,)), *_of_role(table, "seed", (dataset,))]
    if dataset is None:
        first = next((column for column in table.columns if column not in folds), None)
        if first is not None and typed(table[first]).dtype.kind not in "iufb":
            dataset = first
        elif folds:
            dataset = "dataset"
            table = table.assign(dataset=source.path.stem)
            source.say(ONE_DATASET.format(folds[0]))
        elif first is not None:
            _ask_for_datasets(table, first, source)
            dataset = first
    if dataset is None:
        raise source.error("no column of scores beside the names: a wide table has one for each model")
    _refuse_nameless(table, [dataset, *folds], source)
    if len(table) > 1 and source.named.dataset is None and all(layouts.is_measure(str(name)) for name in table[dataset]):
        raise source.error(f"the rows ({table[dataset].iloc[0]}, …) are called like measures: call their column metric")
    _ask_if_turned(table, dataset, folds, source)
    return _of_wide(table, dataset, folds, source, metric)


def _ask_for_datasets(table: pd.DataFrame, first: str, source: _Source) -> None:
    """Raise UserError unless the numbers in the first column are names of datasets: whole, different, and no mere count."""
    values = typed(table[first])
    if values.dtype.kind not in "iu" or not values.is_unique:
        raise source.error(f"which column names the datasets? the first, {first!r}, holds numbers: name it with --dataset")
    if len(values) > MOST_DATASETS:
        raise source.error(f"{len(values):,} datasets, at most {MOST_DATASETS:,}: if rows are folds, name their column fold")
    if set(values) in (set(range(len(values))), set(range(1, len(values) + 1))):
        raise source.error(
            f"the first column, {first!r}, numbers the rows: are they datasets, --dataset {first!r}, or folds of one? "
            "call it fold then"
        )
    source.say(f"the datasets have the numbers of the first column ({first!r})")


def _one_measure(table: pd.DataFrame, dataset: str | None, source: _Source) -> tuple[pd.DataFrame, str | None]:
    """The columns of one measure, where columns are models × measures, such as RF_acc and RF_auc; without deviations."""
    others = [column for column in table.columns if column != dataset and layouts.role_of(column) is None]
    spreads = [column for column in others if layouts.is_spread(column, others)]
    if spreads:
        source.say(f"columns {', '.join(map(repr, spreads))} are deviations of others: left out")
        table, others = table.drop(columns=spreads), [column for column in others if column not in spreads]
    if dataset is None and others:
        others = others[1:] if _only_names(table[others[0]]) else others
    at_end = {column: layouts.words(column)[-1] for column in others if len(layouts.words(column)) > 1}
    found = list(dict.fromkeys(at_end.values()))
    asked = source.named.metric
    if len(at_end) == len(others) > 1 == len(found) and layouts.is_measure(found[0]):
        return table, found[0]
    if len(at_end) == len(others) > 1 and len(found) > 1 and all(layouts.is_measure(word) for word in found):
        if asked is None:
            raise source.error(f"columns are models and measures: which measure? name it with --metric: {', '.join(found)}")
        if asked not in found:
            raise source.error(f"no metric {asked!r}: it has {', '.join(found)}")
        source.say(f"scores are of the metric {asked}")
        return table.drop(columns=[column for column in others if at_end[column] != asked]), asked
    if asked is not None:
        raise source.error(f"no column called metric, so no metric {asked!r}: name the score column with --score")
    measures = [c for c in others if layouts.is_measure(c) and not layouts.is_sum(c)]
    if measures:
        raise source.error(
            f"{measures[0]!r} is called like a measure, not like a model: which column names the models? name it with "
            "--model-column, or leave columns that are no models out"
        )
    return table, None


def _only_names(values: pd.Series) -> bool:
    return typed(values).dtype.kind not in "fb"


def _of_wide(table: pd.DataFrame, dataset: str, folds: list[str], source: _Source, metric: str | None) -> PlainTable:
    table = table.assign(**{dataset: table[dataset].astype(str)})
    table = _without_sums(table, dataset, [c for c in table.columns if c not in (dataset, *folds)], source)
    table = _without_descriptions(table, [dataset, *folds], source)
    table, split = _without_folds_in_names(table, dataset, source)
    key = [dataset, *folds, *split]
    _refuse_repeated(table, key, source)
    for column in folds:
        table[column] = typed(table[column])
    wide, not_run = _numbers(table.set_index(key), source)
    if len(key) > 1 and source.named.empty is None:
        _ask_for_gaps(wide, not_run, source)
    wide = _without_summary_columns(wide, source)
    return _finish(wide, ~not_run[wide.columns], source, metric)


def _without_descriptions(table: pd.DataFrame, key: list[str], source: _Source) -> pd.DataFrame:
    """Leave out columns that describe the datasets: numbers of rows and the like, and texts.

    Raises UserError for texts where a row is not told apart by dataset and fold: the table is a long one with unknown names.
    """
    others = [column for column in table.columns if column not in key]
    counts = [c for c in others if _is_count(table[c])]
    texts = [c for c in others if c not in counts and _is_text(table[c])]
    numbers = [c for c in others if c not in counts and c not in texts]
    if texts and len(numbers) < 2 and not table.duplicated(key).any():
        numbers, texts = [c for c in others if c not in counts], []
    if texts and table.duplicated(key).any():
        raise source.error(
            f"column {texts[0]!r} holds texts ({str(table[texts[0]].dropna().iloc[0])!r}, …): name the columns of "
            "the datasets and of the models with --dataset and --model-column"
        )
    if counts or texts:
        source.say(f"columns {', '.join(map(repr, [*counts, *texts]))} describe the datasets: left out")
    return table[[*key, *numbers]].copy()


def _ask_for_gaps(wide: pd.DataFrame, not_run: pd.DataFrame, source: _Source) -> None:
    """Raise UserError where a model has scores on some folds of a dataset only, on which others have one."""
    gaps = (wide.isna() & ~not_run)[wide.notna().any(axis=1)]
    by_dataset = gaps.groupby(level=0)
    some = by_dataset.any() & ~by_dataset.all()
    for model in some.columns[some.any()]:
        raise source.error(
            f"{model} has a score on {int((~gaps[model]).sum())} of {len(gaps)} folds: --empty failed or --empty not-run?"
        )


def _ask_if_turned(table: pd.DataFrame, dataset: str, folds: list[str], source: _Source) -> None:
    """Raise UserError where the rows are called like models, and the columns are not."""
    columns = [column for column in table.columns if column not in (dataset, *folds)]
    if source.named.dataset is None and layouts.are_models(table[dataset]) and not layouts.are_models(columns):
        raise source.error(
            f"the rows ({table[dataset].iloc[0]}, …) are called like models: name their column with "
            f"--model-column {dataset!r}, or with --dataset {dataset!r} if they are datasets"
        )


def _without_sums(table: pd.DataFrame, column: str, scores: list[str], source: _Source) -> pd.DataFrame:
    """Leave out rows that sum up the others."""
    is_total = _by_value(table[column], layouts.is_sum) & table[scores].notna().any(axis=1)
    if is_total.any() and not is_total.all():
        names = list(dict.fromkeys(table.loc[is_total, column].astype(str)))
        source.say(f"rows {', '.join(map(repr, names))} sum up the others: left out")
        return table[~is_total]
    return table


def _without_folds_in_names(table: pd.DataFrame, dataset: str, source: _Source) -> tuple[pd.DataFrame, list[str]]:
    """Datasets called "fold 0", "fold 1" are folds of one, and "iris fold 0" is one of iris."""
    found = layouts.folds_in(table[dataset].tolist()) if source.named.dataset is None else None
    if found is None and source.named.dataset is None and layouts.numbered(table[dataset].tolist()):
        raise source.error(
            f"{table[dataset].iloc[0]!r}, …: are these folds? give them a column fold; if not, --dataset {dataset!r}"
        )
    if found is None:
        return table, []
    source.say(f"names such as {table[dataset].iloc[0]!r} are of folds, not of datasets")
    heads, folds = zip(*found, strict=True)
    return table.assign(**{dataset: [head or source.path.stem for head in heads], "fold in name": folds}), ["fold in name"]


def _without_summary_columns(wide: pd.DataFrame, source: _Source) -> pd.DataFrame:
    """Leave out columns that sum up the models: called so, and with the values of it (as far as they are rounded), or ranks."""
    called = [column for column in wide.columns if layouts.is_sum(column)]
    rest = wide.drop(columns=called)
    if not called or rest.shape[1] < 2:
        return wide
    out = [column for column in called if layouts.sums_up(column, wide[column], rest)]
    if out:
        source.say(f"columns {', '.join(map(repr, out))} sum up the others: left out")
    for column in called:
        if column not in out:
            source.say(f"column {column!r} is called like a sum over the others and is none: taken for one of them")
    return wide.drop(columns=out)


def _finish(wide: pd.DataFrame, ran: pd.DataFrame, source: _Source, metric: str | None) -> PlainTable:
    """Means over the folds that all models of a dataset were run on."""
    wide.columns = ran.columns = wide.columns.astype(str)
    if wide.shape[1] == 0:
        raise source.error("no column of scores beside the names: a wide table has one for each model")
    folds = None
    if wide.index.nlevels == 1:
        _say_missing(wide, ran, source)
    else:
        scored = wide.notna().any(axis=1)
        counts = scored & scored.groupby(level=0).transform("any")
        alone = ~scored.groupby(level=0).transform("any") & ~wide.index.get_level_values(0).duplicated()
        wide, ran = wide[counts | alone], ran[counts | alone]
        if (n_without := len(scored) - len(wide)) and scored.any():
            source.say(f"folds without a score of any model, left out: {n_without:,}")
        _say_missing(wide, ran, source)
        used = common_folds(ran)
        _say_folds(ran, used, source)
        folds = wide.where(used)
        n_used = used.groupby(level=0).sum()
        by_dataset = folds.groupby(level=0)
        wide = by_dataset.mean().where(by_dataset.count().eq(n_used) & n_used.gt(0))
        ran = n_used.gt(0)
    wide.index, ran.index = wide.index.astype(str), ran.index.astype(str)
    if wide.index.has_duplicates or wide.columns.has_duplicates:
        raise source.error("two datasets or two models have the same name")
    if len(wide) > MOST_DATASETS:
        raise source.error(f"{len(wide):,} datasets, at most {MOST_DATASETS:,}: if rows are folds, name their column fold")
    if wide.isna().all(axis=None):
        raise source.error("no score in it")
    for what, names in (("datasets", wide.index), ("models", wide.columns)):
        for one, other in layouts.called_alike(names):
            source.say(f"{one!r} and {other!r} are taken for two {what}")
    is_loss = metric is not None and layouts.is_loss(metric) and bool(wide.max(axis=None) > 0)
    if is_loss:
        source.say(f"{metric!r} is called like something of which less is better, and taken so (--greater-is-better if not)")
    else:
        _say_units(wide, source)
    return PlainTable(wide.sort_index(), ~ran.reindex(wide.index).sort_index(), folds, is_loss, tuple(source.remarks))


def _say_units(wide: pd.DataFrame, source: _Source) -> None:
    """Say where some models have shares and others per cent."""
    shares = wide.columns[(wide.max() <= 1) & (wide.min() >= 0)]
    percents = wide.columns[(wide.min() > 1.5) & (wide.max() <= 100)]
    if len(shares) and len(percents):
        source.say(
            f"{percents[0]} has scores up to {wide[percents[0]].max():g}, {shares[0]} up to {wide[shares[0]].max():g}: "
            "are they in one unit?"
        )


def _say_missing(wide: pd.DataFrame, ran: pd.DataFrame, source: _Source) -> None:
    """Say what is missing of which model, and what is made of it."""
    missing = wide.isna() & ran
    counts = missing.sum()
    if counts.any():
        named = ", ".join(f"{model} {count:,}" for model, count in counts[counts > 0].items())
        rows = "folds" if wide.index.nlevels > 1 else "datasets"
        source.say(
            f"scores missing, of {len(wide):,} {rows}: {named}; they count as failures (--empty not-run if nothing was run there)"
        )


def _say_folds(ran: pd.DataFrame, used: pd.DataFrame, source: _Source) -> None:
    """Say where models were run on other folds of a dataset than others, and what is compared then."""
    n_ran, n_used = ran.groupby(level=0).sum(), used.groupby(level=0).sum()
    n_folds = n_ran.max(axis=1)
    short = n_ran.lt(n_folds, axis=0) & n_ran.gt(0)
    for model in n_ran.columns[short.any()]:
        datasets = short.index[short[model]]
        few, many, kept = n_ran.loc[datasets[0], model], n_folds[datasets[0]], n_used.loc[datasets[0], model]
        what = f"compared on the {kept} in common" if kept else "not compared there"
        source.say(f"{model}: {few} of {many} folds on {len(datasets)} datasets ({datasets[0]}, …): {what}")


def _score_column(table: pd.DataFrame, known: set[str | None], source: _Source) -> str:
    score = source.named.score
    if score is not None:
        _check_column(table, score, source)
        if score in known:
            raise source.error(f"the column {score!r} holds names, no scores")
        return score
    others = [column for column in table.columns if column not in known and layouts.role_of(column) is None]
    numbers = [c for c in others if not layouts.is_sum(c) and any(_cell(v)[1] == "" for v in table[c]) and _is_numeric(table[c])]
    called = [column for column in others if layouts.is_score(column)]
    if len(called) == 1 or len(numbers) == 1:
        return (called or numbers)[0]
    raise source.error(f"which column is the score? name it with --score: {', '.join(numbers) or 'none is numeric'}")


def _is_numeric(values: pd.Series) -> bool:
    return values.dtype.kind in "iufb" or all(_cell(value)[1] != "odd" for value in values)


def _cell(value: object) -> tuple[float, Literal["", "empty", "failed", "not run", "odd"]]:
    """The score in a cell, or NaN and why there is none."""
    if isinstance(value, str):
        text = layouts.joined(value)
        if value.strip().lower() in WORDS or value.strip() in MARKS:
            return np.nan, "empty"
        if text in layouts.FAILED:
            return np.nan, "failed"
        if text in layouts.NOT_RUN:
            return np.nan, "not run"
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return np.nan, "empty"
    number = value_number(value)
    return (np.nan, "odd") if number is None or not np.isfinite(number) else (number, "")


def _numbers(table: pd.DataFrame, source: _Source) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The columns as finite float64, and where cells say that nothing was run; raises UserError for text or an infinite value."""
    scores, not_run, read = {}, {}, dict[str, str]()
    for column in table.columns:
        values = table[column]
        if values.dtype.kind in "iufb":
            numbers = values.astype(np.float64)
            why = pd.Series(np.where(np.isinf(numbers), "odd", np.where(numbers.isna(), "empty", "")), values.index)
        else:
            found = [_cell(value) for value in values]
            numbers = pd.Series([number for number, _ in found], values.index, np.float64)
            why = pd.Series([reason for _, reason in found], values.index, object)
            read |= {str(v): w for v, (_, w) in zip(values, found, strict=True) if w and w != "odd" and isinstance(v, str)}
        odd = (why == "odd").to_numpy()
        if odd.any():
            raise source.error(
                f"{str(values[odd].iloc[0])!r} in column {column!r} is no finite score: write the number alone, or failed"
            )
        scores[column] = numbers
        not_run[column] = why.eq("not run") | (why.eq("empty") & (source.named.empty == "not-run"))
    if read:
        source.say("cells without a score: " + ", ".join(f"{value!r} is read as {why}" for value, why in read.items()))
    return pd.DataFrame(scores, index=table.index), pd.DataFrame(not_run, index=table.index)


def _refuse_nameless(rows: pd.DataFrame, key: list[str], source: _Source) -> None:
    if rows[key].isna().any(axis=None):
        raise source.error(f"a row without {' or '.join(key)}")


def _refuse_repeated(rows: pd.DataFrame, key: list[str], source: _Source) -> None:
    again = rows.duplicated(key)
    if again.any():
        what = ", ".join(f"{name} {value}" for name, value in rows.loc[again, key].iloc[0].items())
        raise source.error(f"{what} occurs twice: keep one row, or name a column fold, repeat, seed or split")
