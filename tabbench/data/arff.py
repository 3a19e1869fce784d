"""ARFF, by its own library; what that library does not know (dates, comments behind attributes) is put in its words first."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import arff
import pandas as pd

from tabbench.errors import UserError

ROWS_AT_A_TIME = 20_000
_ATTRIBUTE = re.compile(r"""\s*@attribute\s+('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s{]+)\s*(.*)""", re.IGNORECASE)
_LEVELS = re.compile(r"""\{(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^}'"])*\}""")
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
_DATA = re.compile(r"\s*@data\b.*", re.IGNORECASE)
_RELATION = re.compile(r"\s*@relation\b.*", re.IGNORECASE)
_FORMATS = {  # parts of Java's SimpleDateFormat → Python's
    **{"yyyy": "%Y", "yy": "%y", "MMMM": "%B", "MMM": "%b", "MM": "%m", "M": "%m", "dd": "%d", "d": "%d"},
    **{"EEEE": "%A", "EEE": "%a", "HH": "%H", "H": "%H", "hh": "%I", "h": "%I", "mm": "%M", "m": "%M"},
    **{"ss": "%S", "s": "%S", "SSS": "%f", "S": "%f", "a": "%p", "Z": "%z", "XXX": "%z", "X": "%z"},
}
_FORMAT_PARTS = re.compile(f"{'|'.join(sorted(_FORMATS, key=len, reverse=True))}|[A-Za-z]+")


@dataclass(frozen=True)
class Arff:
    """names : of the attributes. kinds : "numeric", "nominal", "string" or "date" of each. levels : those a nominal one declares.

    frame : columns 0, 1, … of float64, `category` (nominal) or text; missing is NaN. Dates are datetime64.
    """

    names: list[str]
    kinds: list[str]
    levels: list[list[str] | None]
    frame: pd.DataFrame


def read_arff(text: str) -> Arff:
    """Dense or sparse ARFF; raises UserError, without the file's name, for anything else."""
    lines, kinds, formats = _header_known(text.replace("\r\n", "\n").split("\n"))
    rows = (line.strip() for line in lines[lines.index("@data") + 1 :])
    sparse = next((row.startswith("{") for row in rows if row and row[0] != "%"), False)
    read: list[int] = []
    try:
        content = arff.load(_counted(lines, read, sparse), return_type=arff.LOD_GEN if sparse else arff.DENSE_GEN)
        names = [name for name, _ in content["attributes"]]
        levels = [kind if isinstance(kind, list) else None for _, kind in content["attributes"]]
        frame = _frame(content["data"], levels, kinds, sparse)
    except (arff.ArffException, ValueError, IndexError, OverflowError, TypeError) as error:
        says = re.sub(r",? (at|in) line -?\d+\.?", "", " ".join(str(error).split()))
        raise UserError(f"not an ARFF file: line {read[-1] if read else 1}: {says[:200]}") from None
    for i, date_format in enumerate(formats):
        if date_format:
            try:
                frame[i] = pd.to_datetime(frame[i].str.strip(), format=date_format)
            except (ValueError, TypeError):
                raise UserError(f"attribute {names[i]!r}: a cell is no date in the form that is declared") from None
    return Arff(names, kinds, levels, frame)


def _header_known(lines: list[str]) -> tuple[list[str], list[str], list[str | None]]:
    """The lines with their header in the words of the library, and kind and date format of every attribute."""
    kinds, formats = [], []
    for i, line in enumerate(lines):
        found = _ATTRIBUTE.fullmatch(line)
        if found:
            kind, date_format, lines[i] = _attribute(f"@attribute {found[1]} ", found[2], found[1])
            kinds.append(kind)
            formats.append(date_format)
        elif _RELATION.fullmatch(line):
            lines[i] = "@relation table"
        elif _DATA.fullmatch(line):
            lines[i] = "@data"
            return lines, kinds, formats
    raise UserError("not an ARFF file: it has no line @data")


def _counted(lines: list[str], read: list[int], sparse: bool) -> Iterator[str]:
    """The lines, their number being left in `read` as they are read; ValueError for a sparse row that gives a cell twice."""
    for number, line in enumerate(lines, 1):
        read[:] = [number]
        if sparse and line.lstrip().startswith("{"):
            places = [cell.split(maxsplit=1)[0] for cell in _QUOTED.sub("", line).strip(" {}").split(",") if cell.strip()]
            if len(set(places)) < len(places):
                raise ValueError("a sparse row gives an attribute twice")
        yield line


def _attribute(start: str, rest: str, name: str) -> tuple[str, str | None, str]:
    """Kind, date format for Python, and the line as the library knows it."""
    if rest.startswith("{"):
        declared = _LEVELS.match(rest)
        return "nominal", None, start + (declared[0] if declared else rest)
    word, *more = rest.split(maxsplit=1)
    kind = word.split("%")[0].lower()
    if kind in ("numeric", "real", "integer"):
        return "numeric", None, f"{start}NUMERIC"
    if kind == "date":
        quoted = re.match(r"\s*(\"[^\"]*\"|'(?:[^']|'')*'|[^%]*)", more[0] if more else "")
        pattern = quoted[1].strip().strip("'\"") if quoted else ""
        return "date", _python_format(pattern or "yyyy-MM-dd'T'HH:mm:ss", name), f"{start}STRING"
    if kind == "relational":
        raise UserError(f"attribute {name}: relational attributes are not read: give each cell one number or text")
    return "string", None, f"{start}STRING" if kind == "string" else start + rest


def _python_format(pattern: str, name: str) -> str:
    parts = []
    for i, part in enumerate(pattern.split("'")):  # text between apostrophes stands for itself
        for unknown in () if i % 2 else _FORMAT_PARTS.findall(part):
            if unknown not in _FORMATS:
                raise UserError(f"attribute {name}: the date form {pattern!r} has {unknown!r}, which is not known")
        parts.append(part.replace("%", "%%") if i % 2 else _FORMAT_PARTS.sub(lambda found: _FORMATS[found[0]], part))
    return "".join(parts)


def _frame(rows: Any, levels: list[list[str] | None], kinds: list[str], sparse: bool) -> pd.DataFrame:
    empty = [declared[0] if declared else 0.0 for declared in levels]  # what a sparse row leaves out
    written = [i for i, kind in enumerate(kinds) if sparse and kind in ("string", "date")]
    parts = []
    while batch := list(islice(rows, ROWS_AT_A_TIME)):
        lacking = next((i for i in written for row in batch if i not in row), None)
        if lacking is not None:
            raise ValueError(f"a sparse row leaves out attribute {lacking} (from 0), a {kinds[lacking]}, which has no zero")
        dense = [[row.get(i, value) for i, value in enumerate(empty)] for row in batch] if sparse else batch
        columns = zip(*dense, strict=True)
        parts.append(
            pd.DataFrame({i: _column(values, kind) for i, (values, kind) in enumerate(zip(columns, kinds, strict=True))})
        )
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=range(len(kinds)))
    return frame.astype({i: "category" for i, kind in enumerate(kinds) if kind == "nominal"})


def _column(values: tuple[Any, ...], kind: str) -> pd.Series:
    if kind == "numeric":
        return pd.Series([float("nan") if value is None else float(value) for value in values], dtype="float64")
    return pd.Series([None if value is None else _text(value) for value in values], dtype="str")


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
