"""What a column is, told by its cells: numbers, dates or labels. `run` and `PFNClassifier` decide here and nowhere else.

docs/data.md says the rules in words. A cell is missing if it is empty (None, NaN, NaT, NA, "") or one of those named as such.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from tabbench.errors import UserError

WORDS = frozenset(  # in lower case; in a column of numbers or dates they mean that there is none
    "na n/a nan -nan nat <na> #na #n/a null (null) none nil \\n missing unknown 1.#ind -1.#ind 1.#qnan -1.#qnan "
    "#div/0! #value! #ref! #name? #num! #null! 0000-00-00".split()
)
MARKS = frozenset(["", "?", "-", "--", "–", "—", ".", "..", "...", "*", "_"])  # the same, if most cells are numbers
COMPLEX = "Complex data not supported: give the parts of the numbers as columns of their own"
SHOWN = 3  # distinct cells that a remark quotes
_BLANK = "[ \t\u00a0\u2007\u2009\u202f]"  # those that stand around numbers and in them
_NUMBER = re.compile(rf"{_BLANK}*[-+]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?{_BLANK}*", re.ASCII)
_INFINITE = re.compile(rf"{_BLANK}*([-+]?)inf(inity)?{_BLANK}*", re.IGNORECASE)
_WHOLE = re.compile(r"(-?(?:0|[1-9]\d*))\.0+", re.ASCII)
_DATE = re.compile(  # a day, with a time or not, or a month; the year stands first, so there is one way to read it
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)|([-/.])(?P<month_>\d\d?)\3(?P<day>\d\d?)"
    r"(?:[T ](?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<rest>\d{1,9}))?)?"
    r" ?(?P<zone>Z|UTC|GMT|[-+]\d\d(?::?\d\d)?)?)?)",
    re.ASCII,
)
_QUARTER = re.compile(r"(\d{4})-?Q([1-4])", re.ASCII)
_CLOCK = re.compile(
    r"(?:(-?\d+) days?,? \+?)?(\d{1,4}):([0-5]\d)(?::([0-5]\d)(\.\d{1,9})?)?(?: ?([AP])M)?(?:Z|[-+]\d\d:?\d\d)?",
    re.ASCII | re.IGNORECASE,
)
_ISO_LENGTH = re.compile(r"(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(\.\d+)?S)?)?", re.ASCII)


@dataclass(frozen=True)
class Absent:
    """Cells that are named as missing, by their text or by the number they are ("-999", -999 and "-999.0" are one)."""

    texts: frozenset[str] = frozenset()
    numbers: frozenset[float] = frozenset()

    @classmethod
    def of(cls, named: Iterable[Any]) -> "Absent":
        """From texts or numbers."""
        texts = [label(value).strip() for value in named]
        numbers = [number for number in map(text_number, texts) if number is not None]
        return cls(frozenset(texts), frozenset(numbers))

    def __contains__(self, value: Any) -> bool:
        if not self.texts:
            return False
        text = label(value).strip()
        return text in self.texts or (bool(self.numbers) and text_number(text) in self.numbers)


NONE = Absent()


@dataclass(frozen=True)
class Cells:
    """A column by its distinct values.

    codes : (n,) int64 into `values`, -1 where a cell is missing. declared : the values are levels of a `category` column.
    """

    codes: np.ndarray
    values: list[Any]
    declared: bool = False

    @property
    def counts(self) -> np.ndarray:
        """(len(values),) cells of each value."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.values))

    def spread(self, values: Iterable[float]) -> np.ndarray:
        """(n,) float64 from one number a distinct value; NaN where a cell is missing."""
        return np.append(np.fromiter(values, np.float64, len(self.values)), np.nan)[self.codes]


@dataclass(frozen=True)
class Column:
    """values : float64 with NaN, or `category` of sorted texts. remark : what was not taken as it was written, or None.

    kind : what its cells are, one of READERS or "labels".
    """

    values: pd.Series
    remark: str | None = None
    kind: str = "numbers"


def normal_column(
    column: pd.Series, where: str, *, absent: Absent = NONE, as_category: bool = False, as_number: bool = False
) -> Column:
    """A column as numbers (dates and durations are seconds) or as categories.

    as_category : declared to be labels. as_number : declared to be numbers, which may have a currency, commas or a per-cent sign.
    Raises UserError, with `where`, for infinite values, nested or binary cells, and for what is declared a number and is none.
    """
    column = plain(column, where)
    if column.dtype.kind in "mM" and not as_category:
        if not absent.texts:
            return Column(_seconds_of(column), kind="dates" if column.dtype.kind == "M" else "times")
        column = column.astype(object)
    if not as_category and pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        numbers = column.astype("Float64").to_numpy(np.float64, na_value=np.nan)
        return Column(_finite(_without(numbers, absent), column.name, where))
    quick = None if as_category or absent.texts else _quick_numbers(column)
    if quick is not None:
        return Column(_finite(quick, column.name, where))
    cells = distinct(column, where, absent)
    if as_number:
        return Column(_finite(cells.spread(_declared_numbers(cells, where)), column.name, where))
    if not (as_category or cells.declared):
        if not cells.values:
            return Column(pd.Series(np.nan, column.index, np.float64, name=column.name))
        for what, read in READERS.items():
            found = _read_all(cells, read)
            if found is not None:
                remark = _remark_on(cells, found, what)
                return Column(_finite(cells.spread(found), column.name, where), remark, what)
    texts = labels(cells)
    levels = sorted(set(texts))
    rank = {level: i for i, level in enumerate(levels)}
    codes = np.append(np.array([rank[text] for text in texts], np.int64), -1)[cells.codes]
    return Column(pd.Series(pd.Categorical.from_codes(codes, pd.Index(levels, dtype=str)), name=column.name), kind="labels")


def known_numbers(column: pd.Series, kind: str, where: str) -> pd.Series:
    """The cells of a column that is known to hold numbers, dates or times (`kind`); of numbers, True is 1.

    Raises UserError for other cells: a date is no number, nor a number a date, as it may be years, days or seconds.
    """
    column = plain(column, where)
    if kind == "numbers" and pd.api.types.is_numeric_dtype(column.dtype):
        return normal_column(column.astype("Float64"), where).values
    if column.dtype.kind == {"dates": "M", "times": "m"}.get(kind):
        return normal_column(column, where).values
    cells = distinct(column, where)
    found = []
    for value in cells.values:
        number = _switch(value) if kind == "numbers" else None
        number = READERS[kind](value) if number is None else number
        if number is None and not is_sign(value):
            raise UserError(f"{where} held {kind} when fitted and now holds {str(value)[:40]!r}")
        found.append(math.nan if number is None else number)
    return _finite(cells.spread(found), column.name, where)


def known_levels(column: pd.Series, levels: pd.Index, where: str) -> pd.Series:
    """The cells of a column that is known to hold these labels, as `category`; others are missing.

    What is written otherwise is known again where there is no doubt: 1 as True, "TRUE" as True, 0 as "0.0".
    """
    values = normal_column(column, where, as_category=True).values
    places = {level: i for i, level in enumerate(levels)}
    keys = _keys(list(levels))
    meant = {key: i for i, key in enumerate(keys) if keys.count(key) == 1}
    switch = {"1": "True", "0": "False"} if set(keys) <= {"True", "False"} else {}
    switch |= {"True": "1", "False": "0"} if set(keys) <= {"0", "1"} else {}
    found = values.cat.categories
    place = [places.get(text, meant.get(switch.get(key, key), -1)) for text, key in zip(found, _keys(list(found)), strict=True)]
    codes = np.append(np.array(place, np.int64), -1)[values.cat.codes]
    return pd.Series(pd.Categorical.from_codes(codes, levels), name=column.name)


def _keys(texts: list[str]) -> list[str]:
    """One spelling for labels that are the same number or truth value."""
    spelt = map(label, texts)
    return [text.capitalize() if text.lower() in ("true", "false") else text for text in spelt]


def _switch(value: Any) -> float | None:
    return {"true": 1.0, "false": 0.0}.get(value.strip().lower()) if isinstance(value, str) else None


def plain(column: pd.Series, where: str) -> pd.Series:
    """The column without what pandas, Arrow and others wrap around values; raises UserError for complex numbers."""
    dtype = column.dtype
    if isinstance(dtype, pd.SparseDtype):
        column = column.sparse.to_dense()
    elif isinstance(dtype, pd.ArrowDtype):
        column = from_arrow(column.array.__arrow_array__()).set_axis(column.index).rename(column.name)
    elif isinstance(dtype, pd.PeriodDtype):
        column = column.astype(object)
    if pd.api.types.is_complex_dtype(column.dtype):
        raise UserError(f"{where}: {COMPLEX}")
    return column


def from_arrow(array: Any) -> pd.Series:
    """An Arrow array as a Series, as `from_table` does."""
    import pyarrow as pa

    return from_table(pa.table({"x": array}))["x"]


def from_table(table: Any) -> pd.DataFrame:
    """An Arrow table as a DataFrame that loses nothing: integers with gaps, decimals and days of any year stay exact."""
    import pyarrow as pa

    for i, field in enumerate(table.schema):
        if pa.types.is_date(field.type):
            table = table.set_column(i, field.name, table.column(i).cast(pa.timestamp("s")))
        elif field.type == pa.time64("ns"):
            table = table.set_column(i, field.name, table.column(i).cast(pa.int64()).cast(pa.duration("ns")))
    frame = table.to_pandas(ignore_metadata=True, integer_object_nulls=True)
    return frame.set_axis(table.column_names, axis=1)


def _seconds_of(column: pd.Series) -> pd.Series:
    """Dates as seconds since 1970 UTC, durations as seconds; the unit they are kept in makes no difference."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    values = column.to_numpy()
    unit = np.datetime_data(values.dtype)[0]
    steps = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    whole, rest = np.divmod(values.astype(np.int64), steps)
    return pd.Series(np.where(np.isnat(values), np.nan, whole + rest / steps), column.index, name=column.name)


def _without(numbers: np.ndarray, absent: Absent) -> np.ndarray:
    return np.where(np.isin(numbers, list(absent.numbers)), np.nan, numbers) if absent.numbers else numbers


def _finite(numbers: np.ndarray, name: Any, where: str) -> pd.Series:
    if np.isinf(numbers).any():
        raise UserError(f"{where}: infinite values: replace them by numbers or leave the cells empty")
    return pd.Series(numbers, name=name)


def _quick_numbers(column: pd.Series) -> np.ndarray | None:
    """Text that is all plain numbers, read at once; None for anything else, which is looked at value by value."""
    if not isinstance(column.dtype, pd.StringDtype):
        return None
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pa.array(column, from_pandas=True)
    known = pc.if_else(pc.equal(texts, ""), None, texts)
    try:
        numbers = pc.cast(known, pa.float64())
    except pa.ArrowInvalid:
        return None
    found = numbers.to_numpy(zero_copy_only=False)
    return found if numbers.null_count < len(texts) and np.isnan(found).sum() == numbers.null_count else None


def distinct(column: pd.Series, where: str, absent: Absent = NONE) -> Cells:
    """The distinct values of a column, those that are empty or named as missing left out; raises UserError for nested cells."""
    declared = isinstance(column.dtype, pd.CategoricalDtype)
    if declared:
        codes, values = column.cat.codes.to_numpy(np.int64), list(column.cat.categories)
    elif isinstance(column.dtype, pd.StringDtype) or pd.api.types.infer_dtype(column, skipna=True) == "string":
        found, uniques = pd.factorize(column)
        codes, values = found.astype(np.int64), [str(value) for value in uniques]
    else:
        codes, values = _distinct_objects(column, where)
    used = np.bincount(codes[codes >= 0], minlength=len(values)) > 0
    gone = ~used | np.array([(isinstance(value, str) and value == "") or value in absent for value in values], bool)
    kept = np.cumsum(~gone) - 1
    codes = np.append(np.where(gone, -1, kept), -1)[codes]
    return Cells(codes, [value for value, out in zip(values, gone, strict=True) if not out], declared)


def _distinct_objects(column: pd.Series, where: str) -> tuple[np.ndarray, list[Any]]:
    """By type and value: True, 1 and 1.0 are told apart."""
    rank: dict[tuple[type, Any], int] = {}
    codes = np.full(len(column), -1, np.int64)
    objects = column.astype(object).to_numpy()
    try:
        known = np.flatnonzero(~pd.isna(objects))
    except InvalidOperation:
        raise UserError(f"{where}: a Decimal that is a signaling NaN: leave the cell empty") from None
    for i in known:
        value = objects[i]
        if isinstance(value, complex | np.complexfloating):
            raise UserError(f"{where}: {COMPLEX}")
        if isinstance(value, bytes | bytearray | memoryview | tuple | list | dict | set | frozenset | np.ndarray | pd.Series):
            kind = "binary" if isinstance(value, bytes | bytearray | memoryview) else "nested"
            raise UserError(f"{where}: {kind} cells ({str(value)[:40]!r}): give each cell one number or text, or drop the column")
        try:
            codes[i] = rank.setdefault((type(value), value), len(rank))
            if isinstance(value, pd.tseries.offsets.BaseOffset):
                raise TypeError
        except TypeError:
            raise UserError(f"{where}: cells of type {type(value).__name__}: give each cell one number or text") from None
    return codes, [value for _, value in rank]


def _read_all(cells: Cells, read: Callable[[Any], float | None]) -> list[float] | None:
    """A number for each distinct value, NaN for signs that there is none; None if a cell is neither, or too few are numbers."""
    found = [read(value) for value in cells.values]
    signs = np.array([number is None and is_sign(value) for number, value in zip(found, cells.values, strict=True)], bool)
    known = np.array([number is not None for number in found], bool)
    plain_known = known & np.array([not isinstance(value, bool | np.bool_) for value in cells.values], bool)
    if not plain_known.any() or not np.all(known | signs):
        return None
    marks = np.array([sign and not _is_word(value) for sign, value in zip(signs, cells.values, strict=True)], bool)
    if cells.counts[marks].sum() > cells.counts[known].sum():
        return None
    return [math.nan if number is None else number for number in found]


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and value.strip().lower() in WORDS


def is_sign(value: Any) -> bool:
    """Whether a cell is one of the usual words and signs for missing."""
    return _is_word(value) or (isinstance(value, str) and value.strip() in MARKS)


def _remark_on(cells: Cells, found: list[float], what: str) -> str | None:
    signs = [i for i, number in enumerate(found) if math.isnan(number)]
    if not signs:
        return f"text read as {what}" if what != "numbers" and any(isinstance(value, str) for value in cells.values) else None
    n = int(cells.counts[signs].sum())
    quoted = ", ".join(repr(cells.values[i]) for i in signs[:SHOWN])
    return f"{n} cells that are no {what} ({quoted}{', …' if len(signs) > SHOWN else ''}) are taken as missing"


def text_number(text: str) -> float | None:
    """The number a text is, as Python reads it; None if it is none. "inf" is one, "nan" and "1_000" are not."""
    text = text.replace("\u2212", "-")  # the typographic minus
    if _NUMBER.fullmatch(text):
        return float(text)
    infinite = _INFINITE.fullmatch(text)
    return float(f"{infinite[1]}inf") if infinite else None


def value_number(value: Any) -> float | None:
    """The number that a cell is or that its text says; None if it is none."""
    if isinstance(value, str):
        return text_number(value)
    if isinstance(value, bool | np.bool_ | Real | Decimal):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    return None


_SYMBOL = r"[$¢£¤¥₠-⃏]"
_CODE = r"(?:US|R|A|C)?\$|[A-Z]{3}|kr\.?|Rs\.?|zł|Kč"
_DECORATED = re.compile(
    rf"(?P<out>\()?(?P<sign>[-+\u2212])?{_BLANK}*(?P<before>{_SYMBOL}|{_CODE})?{_BLANK}*(?P<sign_>[-+\u2212])?"
    rf"(?P<core>[.,]?\d(?:[\d.,'’_]|{_BLANK}(?=\d))*){_BLANK}*(?P<after>[%‰]|{_SYMBOL}|{_CODE}|°?[^\W\d_]{{1,12}}[²³]?)?\)?"
)
_POINT = re.compile(rf"(\d{{1,3}}([,'’_]|{_BLANK})\d{{3}}(\2\d{{3}})*|\d*)(\.\d*)?")
_COMMA = re.compile(rf"(\d{{1,3}}([.'’_]|{_BLANK})\d{{3}}(\2\d{{3}})*|\d*)(,\d*)?")


def decorated_numbers(texts: Sequence[str]) -> list[float | None]:
    """The number in each of a column's texts like "$41,230", "12.5%", "(300)", "1.234,50 €" or "5 kg"; None for others.

    All must carry the same sign or unit, or none. Commas group digits where that fits all texts; else they are decimal commas,
    as in "0,5". A per-cent sign does not divide.
    """
    parts = [_DECORATED.fullmatch(text.strip()) for text in texts]
    worn = [(part["before"] or "", part["after"] or "") if part else None for part in parts]
    usual = Counter(affix for affix in worn if affix and any(affix)).most_common(1)
    alike = {("", ""), *(affix for affix, _ in usual)}
    cores = [part["core"] if part and affix in alike else None for part, affix in zip(parts, worn, strict=True)]
    form = _POINT if all(_POINT.fullmatch(core) for core in cores if core) else _COMMA
    mark = "." if form is _POINT else ","
    return [
        None if core is None or part is None or not form.fullmatch(core) else _signed(part, core, mark)
        for part, core in zip(parts, cores, strict=True)
    ]


def _signed(part: re.Match[str], core: str, mark: str) -> float:
    number = float(re.sub(rf"[^\d{mark}]", "", core).replace(",", "."))
    return -number if part["out"] or {part["sign"], part["sign_"]} & {"-", "\u2212"} else number


def _declared_numbers(cells: Cells, where: str) -> Iterable[float]:
    decorated = decorated_numbers([value if isinstance(value, str) else "" for value in cells.values])
    for value, written in zip(cells.values, decorated, strict=True):
        number = written if value_number(value) is None else value_number(value)
        if number is None and isinstance(value, str) and is_sign(value):
            number = math.nan
        if number is None:
            raise UserError(f"{where}: {str(value)[:40]!r} is no number: name such cells in na, or do not list it as numeric")
        yield number


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _instant(value: Any) -> float | None:
    """Seconds since 1970 UTC of a date or period, or of a text that gives the year first; without a zone they are read as UTC."""
    if isinstance(value, str):
        return _date_seconds(value.strip())
    if isinstance(value, pd.Period):
        value = value.to_timestamp()
    if isinstance(value, np.datetime64 | pd.Timestamp):
        return float(_seconds_of(pd.Series([value]))[0])
    if isinstance(value, date):
        moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
        return _seconds(moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH)
    return None


def _date_seconds(text: str) -> float | None:
    quarter, found = _QUARTER.fullmatch(text), _DATE.fullmatch(text)
    if quarter:
        return _seconds(datetime(int(quarter[1]), 3 * int(quarter[2]) - 2, 1, tzinfo=UTC) - _EPOCH) if int(quarter[1]) else None
    if found is None:
        return None
    year, month, day, hour, minute, second = (
        int(part or least)
        for part, least in (
            (found["year"], 0),
            (found["month"] or found["month_"], 0),
            (found["day"], 1),
            *((found[name], 0) for name in ("hour", "minute", "second")),
        )
    )
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    rest = float(f"0.{found['rest']}") if found["rest"] else 0.0
    return _seconds(moment - _EPOCH) - _offset(found["zone"] or "") + rest


def _offset(zone: str) -> int:
    """Seconds by which a zone like +01:30 is ahead of UTC."""
    if not zone.startswith(("+", "-")):
        return 0
    digits = f"{zone[1:].replace(':', '')}00"
    ahead = int(digits[:2]) * 3600 + int(digits[2:4]) * 60
    return -ahead if zone[0] == "-" else ahead


def _length(value: Any) -> float | None:
    """Seconds of a duration, or of a time since midnight, or of a text like 12:30, 12:30:00 or 2 days 01:00:00."""
    if isinstance(value, str):
        return _text_length(value.strip())
    if isinstance(value, np.timedelta64 | pd.Timedelta):
        return float(_seconds_of(pd.Series([value]))[0])
    if isinstance(value, timedelta):
        return _seconds(value)
    if isinstance(value, time):
        return value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 10**6
    return None


def _text_length(text: str) -> float | None:
    found, iso = _CLOCK.fullmatch(text), _ISO_LENGTH.fullmatch(text)
    if found:
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups()[:4])
        if found[6]:
            if not 1 <= hours <= 12:
                return None
            hours = hours % 12 + (12 if found[6].upper() == "P" else 0)
        return days * 86400 + hours * 3600 + minutes * 60 + seconds + float(f"0{found[5] or '.0'}")
    if iso and text.strip("-PT"):
        days, hours, minutes, seconds = (int(part or 0) for part in iso.groups()[1:5])
        length = days * 86400 + hours * 3600 + minutes * 60 + seconds + float(f"0{iso[6] or '.0'}")
        return -length if iso[1] else length
    return None


# what a column of texts and objects may hold besides labels, and how a cell is read; None: it is none
READERS: dict[str, Callable[[Any], float | None]] = {"numbers": value_number, "dates": _instant, "times": _length}


def _seconds(length: timedelta) -> float:
    return length.days * 86400 + length.seconds + length.microseconds / 10**6


def labels(cells: Cells) -> list[str]:
    """One text a distinct value: 1, 1.0, "1" and "1.0" are one label, so are True, "True", and "TRUE" beside "FALSE" only."""
    texts = [value if cells.declared and isinstance(value, str) else label(value) for value in cells.values]
    if not cells.declared and texts and (set(texts) <= {"true", "false"} or set(texts) <= {"TRUE", "FALSE"}):
        return [text.capitalize() for text in texts]
    return texts


def label(value: Any) -> str:
    """One spelling for a value, whatever the type it arrived in."""
    if isinstance(value, str):
        whole = _WHOLE.fullmatch(value)
        return str(value) if whole is None else "0" if whole[1] == "-0" else whole[1]
    if isinstance(value, float | np.floating):
        number = float(value)
        return str(int(number)) if number.is_integer() and abs(number) < 1e16 else repr(number)
    if isinstance(value, Decimal) and value.is_finite():
        return str(int(value)) if value == value.to_integral_value() else format(value.normalize(), "f")
    if isinstance(value, datetime) and value.time() == time.min and value.tzinfo is None:
        return value.date().isoformat()
    return str(value)
