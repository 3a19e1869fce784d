"""The data audit: what in a table may make its scores untrue, found before anything is fitted.

Findings are warnings for people; nothing is dropped or changed because of them.
"""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tabbench.border.texts import printable
from tabbench.data.columns import READERS, decorated_numbers, is_sign, text_number
from tabbench.data.split import Split
from tabbench.data.task import Task
from tabbench.files import replace_text
from tabbench.registry import Registry

FORMAT = 5  # enters the names of kept audits: raise it when a check changes
SAMPLE = 5000  # rows on which columns are tried as predictors
LEAVES = 32  # of the tree that tries a numeric column
LEAK = 0.95  # share of the errors of always guessing the largest class that a leaking column saves
SORTED = 0.5  # the same for the row number
TWINS = 0.01  # share of test rows with a twin among the training rows that is worth a word
ALMOST = 0.5  # share of numbers that makes other cells of a column worth a word
GONE = {"", "?", "NA", "N/A", "n/a", "<NA>", "#N/A", "NaN", "nan", "NULL", "null", "None", "NaT"}  # labels that may mean missing
SOME = 5  # fewest distinct numbers or dates for that
DATED = re.compile(  # dates that can be read in several ways, or in a language
    r"\d{1,2}([-/.])\d{1,2}\1(\d{4}|\d\d)\b.*|\d{1,2}[- ]?[^\W\d]{3,9}\.?[- ,]*\d{2,4}\b.*|[^\W\d]{3,9}\.? \d{1,2},? \d{4}\b.*"
)
UNIQUE = 0.95  # share of distinct labels that makes a column a name
CODES = 10  # most distinct whole numbers that still look like codes
NUMBERS = 20  # fewest distinct numbers that do not look like labels
OWNERS = frozenset(  # words in the name of a column that tells whose a row is
    "id patient subject person participant user customer client account member household family session visit speaker author "
    "device machine sensor site hospital clinic school batch plate group cluster donor player team station".split()
)
COUNTERS = frozenset("no nr num number code name key".split())  # words that may follow these
MOMENTS = frozenset("date datetime timestamp".split())  # words in the name of a column that tells when a row was
EPOCH = (1e8, 4e9)  # seconds since 1970 of the years 1973 to 2096
SHOWN = 5  # groups of labels that are alike
FEW = 20  # rows below which a check has nothing to say


@dataclass(frozen=True)
class Finding:
    """One warning. kind : name of the check; columns : the columns concerned, if any; message : one sentence."""

    task: str
    kind: str
    message: str
    columns: tuple[str, ...] = ()


Check = Callable[[Task, Sequence[Split]], Iterable[tuple[str, tuple[str, ...]]]]
CHECKS: Registry[Check] = Registry("check")


def check(function: Check) -> Check:
    """Register a check under its name: it yields (message, columns) for what it finds."""
    return CHECKS.add(function.__name__, function)


def audit(work: Iterable[tuple[Task, Sequence[Split]]], folder: Path) -> list[Finding]:
    """Findings on tasks and the splits they are run on, in the order of the tasks, duplicates among the tasks last.

    What was found on a table and its splits is kept in `folder`, by their digests.
    """
    findings, alike = [], defaultdict(list)
    for task, splits in work:
        content, found = _kept(task, splits, folder)
        findings += [Finding(task.name, "reading", remark) for remark in task.info.get("remarks", ())]
        findings += [Finding(task.name, kind, message, tuple(columns)) for kind, message, columns in found]
        alike[content].append(task.name)
    for first, *others in alike.values():
        for other in others:
            message = f"Holds the same values as {first}, whatever the order of rows and columns."
            findings.append(Finding(other, "duplicate_dataset", message))
    return findings


def _kept(task: Task, splits: Sequence[Split], folder: Path) -> tuple[str, list[tuple[str, str, list[str]]]]:
    digest = hashlib.sha256("".join([task.digest, *(split.digest for split in splits)]).encode()).hexdigest()
    path = folder / f"{digest[:32]}-{FORMAT}.json"
    try:
        content, found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = [(name, text, list(columns)) for name, run in CHECKS.items() for text, columns in run(task, splits)]
        content = fingerprint(task)
        replace_text(path, json.dumps([content, found]))
    return content, found


def fingerprint(task: Task) -> str:
    """Hash of a table's values that does not depend on the order of rows and columns or on names of columns."""
    columns = [pd.util.hash_pandas_object(_plain(column), index=False).to_numpy() for _, column in task.X.items()]
    columns.append(pd.util.hash_pandas_object(pd.Series(task.y), index=False).to_numpy())
    with np.errstate(over="ignore"):
        mixed = np.sum([column * np.uint64(0x9E3779B97F4A7C15) ^ (column >> np.uint64(31)) for column in columns], axis=0)
        rows = np.sort(mixed)  # a row's hash does not depend on where its values stand
    sums = sorted(int(column.sum(dtype=np.uint64)) for column in columns)
    return hashlib.sha256(rows.tobytes() + json.dumps(sums).encode()).hexdigest()


def _plain(column: pd.Series) -> pd.Series:
    """Labels as text, so that the same label hashes alike whatever other levels there are."""
    return column.astype(object).where(column.notna(), "") if isinstance(column.dtype, pd.CategoricalDtype) else column


@check
def duplicate_rows(task: Task, splits: Sequence[Split]) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Test rows whose features all occur in a training row."""
    hashes = pd.util.hash_pandas_object(task.X, index=False).to_numpy()
    labelled = hashes ^ pd.util.hash_pandas_object(pd.Series(task.y), index=False).to_numpy()
    shares = [np.isin(hashes[split.test], hashes[split.train]).mean() for split in splits]
    same = [np.isin(labelled[split.test], labelled[split.train]).mean() for split in splits]
    if shares and np.mean(shares) >= TWINS:
        agree = np.mean(same) / np.mean(shares)
        yield (
            f"{np.mean(shares):.0%} of the test rows have a twin among the training rows; of these {agree:.0%} with its label.",
            (),
        )


@check
def leaking_column(task: Task, splits: Sequence[Split]) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Columns that alone predict the target."""
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(task.y))[:SAMPLE]
    y = task.y[rows]
    for column, series in task.X.iloc[rows].items():
        saved = _errors_saved(series, y)
        if saved >= LEAK:
            yield (
                f"Alone saves {saved:.0%} of the errors of guessing the largest class: is it known before the target is?",
                (column,),
            )


@check
def row_order(task: Task, splits: Sequence[Split]) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Tables that are sorted by their target."""
    rows = np.random.default_rng(0).permutation(len(task.y))[:SAMPLE]
    saved = _errors_saved(pd.Series(rows), task.y[rows])
    if saved >= SORTED:
        yield f"Rows are sorted by class: the row number saves {saved:.0%} of the errors, so folds must be drawn, not cut.", ()


@check
def row_number(task: Task, splits: Sequence[Split]) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Columns that count the rows."""
    for column, series in task.X.items():
        numbers = _numbers(series)
        steps = np.diff(numbers)
        if len(numbers) >= FEW and (np.all(steps > 0) or np.all(steps < 0)):
            yield "Rises or falls from every row to the next: it tells where a row stands, not what it is.", (column,)


@check
def identifier(task: Task, splits: Sequence[Split]) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Columns that name the rows: nearly all labels distinct, or whole numbers without a gap or a repetition."""
    n = len(task.y)
    written = {column for check_ in (almost_numeric, written_date) for _, columns in check_(task, splits) for column in columns}
    for column in task.X.columns.difference(written, sort=False) if n >= FEW else ():
        series = task.X[column]
        distinct = series.nunique()
        if isinstance(series.dtype, pd.CategoricalDtype):
            named = distinct >= UNIQUE * n
        else:
            named = distinct == n and series.max() - series.min() == n - 1
        if named:
            yield f"{distinct:,} distinct values in {n:,} rows: it names the rows and cannot generalise.", (column,)


@check
def unused_group(task: Task, splits: Sequence[Split]) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Columns that look like what rows belong together by, where the splits part such rows: by name, or by lying in blocks."""
    n = len(task.y)
    if task.groups is not None or task.test_fold is not None or n < FEW:
        return
    for name, column in task.X.items():
        codes, levels = pd.factorize(column, use_na_sentinel=False)
        if not 5 <= len(levels) <= n / 2 or not _are_names(column):
            continue
        in_blocks = len(levels) >= 2 * CODES and 1 + np.count_nonzero(np.diff(codes)) == len(levels) and not _is_sorted(column)
        words = [word for word in _words(name) if word not in COUNTERS]
        if (words[-1:] and words[-1] in OWNERS and "age" not in words) or in_blocks:
            yield (
                f"{len(levels):,} values, each in {n / len(levels):.0f} rows or so: if such rows belong together, hold out whole "
                f"groups (--groups {name}), or a model is tested on what it has seen.",
                (name,),
            )


@check
def unused_time(task: Task, splits: Sequence[Split]) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Columns that look like dates, where the splits mix past and future."""
    if task.time is not None or task.test_fold is not None or len(task.y) < FEW:
        return
    for column, series in task.X.items():
        words = _words(column)
        numbers = np.empty(0) if isinstance(series.dtype, pd.CategoricalDtype) else series.dropna().to_numpy(np.float64)
        distinct = np.unique(numbers)
        are_seconds = len(distinct) >= FEW and distinct[0] > EPOCH[0] and distinct[-1] < EPOCH[1] and _are_names(series)
        in_order = len(distinct) >= CODES and "time" in words[-1:] and _is_sorted(series)
        are_years = "year" in words and len(distinct) >= 3 and distinct[0] > 1000 and distinct[-1] < 2200
        if (MOMENTS.intersection(words) and len(distinct) >= 3) or are_years or are_seconds or in_order:
            yield (
                f"It looks like a time: if later rows are to be predicted from earlier ones, test so (--time {column}).",
                (column,),
            )


def _words(column: str) -> list[str]:
    """The words of a column's name, in lower case: "patientId", "patient_id" and "Patient ID" have the same."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", column)]


def _is_sorted(series: pd.Series) -> bool:
    """Whether numbers never fall from a row to the next, or never rise."""
    steps = np.empty(0) if isinstance(series.dtype, pd.CategoricalDtype) else np.diff(series.dropna().to_numpy(np.float64))
    return len(steps) > 0 and bool(np.all(steps >= 0) or np.all(steps <= 0))


def _are_names(series: pd.Series) -> bool:
    """Whether values can name things: labels or whole numbers."""
    return isinstance(series.dtype, pd.CategoricalDtype) or bool((series.dropna() % 1 == 0).all())


@check
def broken_promise(task: Task, splits: Sequence[Split]) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Predefined folds that part groups, or test rows no later than training rows, though groups or times are named."""
    if task.test_fold is None:
        return
    if task.groups is not None and any(np.isin(task.groups[s.test], task.groups[s.train]).any() for s in splits):
        yield "Its predefined folds part groups: rows of one group are on both sides.", ()
    if task.time is not None and any(task.time[s.test].min() < task.time[s.train].max() + task.gap for s in splits):
        yield "Its predefined folds do not keep to time: some training rows are later than test rows, or nearer than the gap.", ()


@check
def constant_column(task: Task, splits: Sequence[Split]) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Columns with one value, missing counting as one."""
    constant = tuple(column for column, series in task.X.items() if series.nunique(dropna=False) <= 1)
    if constant:
        yield "One value in every row: no information.", constant


@check
def coded_category(task: Task, splits: Sequence[Split]) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Numeric columns that look like codes of categories: few whole numbers without a gap, from 0 or 1."""
    if len(task.y) < 10 * CODES:
        return
    coded, categorical = [], set(task.categorical)
    for column in (column for column in task.X if column not in categorical):
        levels = np.unique(task.X[column].dropna())
        if 3 <= len(levels) <= CODES and levels[0] in (0, 1) and np.array_equal(levels, levels[0] + np.arange(len(levels))):
            coded.append(column)
    if coded:
        yield "Numbers that may be codes of categories: if they have no order, list them as categorical.", tuple(sorted(coded))


@check
def numeric_category(task: Task, splits: Sequence[Split]) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Categorical columns that hold many numbers."""
    numeric = tuple(c for c in task.categorical if task.X[c].nunique() >= NUMBERS and len(_numbers(task.X[c])) == len(task.y))
    if numeric:
        yield "Categories that are all numbers: their order is lost.", numeric


@check
def almost_numeric(task: Task, splits: Sequence[Split]) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Categorical columns of numbers written with currency, commas, per-cent signs or units, or beside a few other cells."""
    for column in task.categorical:
        series = task.X[column]
        levels, counts = (
            series.cat.categories,
            np.bincount(series.cat.codes[series.notna()], minlength=len(series.cat.categories)),
        )
        signs = np.array([is_sign(level) for level in levels], bool)
        read = {what: np.array([f(level) is not None for level in levels], bool) for what, f in READERS.items()}
        decorated = np.array([number is not None for number in decorated_numbers(list(levels))], bool) & ~read["numbers"]
        if decorated.any() and np.all(decorated | read["numbers"] | signs):
            yield (
                f"Numbers that are written as {_cells(levels[decorated])}: read with numeric = [{column!r}] in a suite.",
                (column,),
            )
            continue
        for what, known in read.items():
            rest = levels[~known]
            if len(rest) and known.sum() >= SOME and (signs[~known].all() or counts[known].sum() >= ALMOST * counts.sum()):
                named = ", ".join(repr(level) for level in rest[:3])
                n = int(counts[~known].sum())
                yield (
                    f"{what.capitalize()}, but for {n} cells ({_cells(rest)}): categories because of them; if they mean missing, "
                    f"na = [{named}] in a suite makes it a column of numbers.",
                    (column,),
                )


@check
def written_date(task: Task, splits: Sequence[Split]) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Categorical columns of dates that are not written with the year first."""
    for column in task.categorical:
        levels = task.X[column].cat.categories
        dated = [level for level in levels if DATED.fullmatch(level.strip())]
        if len(dated) >= SOME and len(dated) >= ALMOST * len(levels):
            yield f"Dates that are written as {_cells(dated)}: labels here; as 2024-05-31 they would be numbers.", (column,)


@check
def word_for_missing(task: Task, splits: Sequence[Split]) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Levels and classes that are called like something missing."""
    for what, levels in [("class", task.classes), *((column, task.X[column].cat.categories) for column in task.categorical)]:
        called = [level for level in levels if level.strip() in GONE]
        if called:
            columns = () if levels is task.classes else (what,)
            kind = "class" if levels is task.classes else "level"
            yield f"A {kind} is called {_cells(called)}: if it means missing, say na = [{called[0]!r}] in a suite.", columns


@check
def alike_labels(task: Task, splits: Sequence[Split]) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Labels that differ by blanks or by case alone."""
    for what, levels in [((), task.classes), *(((column,), task.X[column].cat.categories) for column in task.categorical)]:
        spelt = defaultdict(list)
        for level in levels:
            spelt[" ".join(level.lower().split())].append(level)
        pairs = [names for names in spelt.values() if len(names) > 1]
        if pairs:
            kind = "Levels" if what else "Classes"
            shown = "; ".join(map(_cells, pairs[:SHOWN])) + ("; …" if len(pairs) > SHOWN else "")
            yield f"{kind} that differ by a blank or by case alone: {shown}: are they one?", what


@check
def counted_target(task: Task, splits: Sequence[Split]) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Targets of many whole numbers."""
    if len(task.classes) >= NUMBERS and all(text_number(label) is not None for label in task.classes):
        yield f"{len(task.classes)} classes that are all numbers: is regression meant? Their order is lost.", ()


@check
def tiny_class(task: Task, splits: Sequence[Split]) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Classes with fewer rows than there are folds."""
    n_folds = len({split.fold for split in splits})
    counts = np.bincount(task.y, minlength=len(task.classes))
    tiny = [f"{task.classes[i]} ({counts[i]})" for i in np.flatnonzero(counts < n_folds)]
    if tiny:
        yield f"Classes with fewer rows than the {n_folds} folds: {', '.join(tiny[:5])}{', …' if len(tiny) > 5 else ''}.", ()


def _cells(levels: Iterable[str]) -> str:
    shown = list(levels)
    return ", ".join(map(repr, shown[:3])) + (", …" if len(shown) > 3 else "")


def _numbers(series: pd.Series) -> np.ndarray:
    """Values as numbers; empty if one of them is missing or is none."""
    is_numeric = not isinstance(series.dtype, pd.CategoricalDtype)
    numbers = (series if is_numeric else pd.to_numeric(series.astype(object), errors="coerce")).to_numpy(np.float64)
    return np.empty(0) if np.isnan(numbers).any() else numbers


def _errors_saved(series: pd.Series, y: np.ndarray) -> float:
    """Share of the errors of guessing the largest class that guessing by one column saves.

    Learned on the first half of the rows, told on the second: the most frequent class of a category, a small tree for numbers.
    """
    half = len(y) // 2
    told = y[half:]
    largest = int(np.bincount(y[:half]).argmax()) if half else 0
    errors = np.sum(told != largest)
    if errors < FEW // 4:
        return 0.0
    guess = (_by_category if isinstance(series.dtype, pd.CategoricalDtype) else _by_number)(series, y, half, largest)
    return 1 - float(np.sum(guess != told)) / errors


def _by_category(series: pd.Series, y: np.ndarray, half: int, largest: int) -> np.ndarray:
    codes = series.cat.codes.to_numpy(np.int64) + 1
    table = np.zeros((int(codes.max()) + 1, int(y.max()) + 1))
    np.add.at(table, (codes[:half], y[:half]), 1)
    return np.where(table.sum(axis=1) > 0, table.argmax(axis=1), largest)[codes[half:]]


def _by_number(series: pd.Series, y: np.ndarray, half: int, largest: int) -> np.ndarray:
    """By a small tree on the ranks of the values, missing ones last: so no value is too large, and no two are too close."""
    from sklearn import config_context
    from sklearn.tree import DecisionTreeClassifier

    ranks = np.unique(series.to_numpy(np.float64), return_inverse=True)[1].astype(np.float32)[:, None]
    tree = DecisionTreeClassifier(max_leaf_nodes=LEAVES, min_samples_leaf=3, random_state=0)
    with config_context(assume_finite=True, skip_parameter_validation=True):  # its checks take longer than a small tree
        tree.fit(ranks[:half], y[:half], check_input=False)
        return np.asarray(tree.predict(ranks[half:], check_input=False))


def as_records(findings: Iterable[Finding]) -> list[dict[str, object]]:
    """Findings as plain dictionaries, for JSON."""
    return [{**asdict(finding), "columns": list(finding.columns)} for finding in findings]


def format_findings(findings: Sequence[Finding], form: str = "text") -> str:
    """Findings as a table for people ("text") or as JSON ("json")."""
    if form == "json":
        return json.dumps(as_records(findings), indent=1, ensure_ascii=False)
    lines = [f"{f.task:20} {f.kind:18} {_listed(f.columns)}{f.message}" for f in findings]
    return "\n".join([*map(printable, lines), f"{len(findings)} findings in {len({f.task for f in findings})} tables"])


def _listed(columns: tuple[str, ...]) -> str:
    more = f" and {len(columns) - 4} more" if len(columns) > 4 else ""
    return f"{', '.join(columns[:4])}{more}: " if columns else ""
