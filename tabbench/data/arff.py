"""ARFF, by its own library; what that library does not know (dates, comments behind attributes) is put in its words first."""

import re
from dataclasses import dataclass
from itertools import islice
from typing import Any

import arff
import pandas as pd

from tabbench.errors import UserError

ROWS_AT_A_TIME = 20_000
_ATTRIBUTE = re.compile(r"""\s*@attribute\s+('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s{]+)\s*(.*)""", re.IGNORECASE)
_LEVELS = re.compile(r"""\{(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^}'"])*\}""")
_FORMATS = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S", "yy": "%y"}


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
    lines, kinds, formats, in_data = [], [], [], False
    for line in text.replace("\r\n", "\n").split("\n"):
        if not in_data and (found := _ATTRIBUTE.fullmatch(line)):
            kind, date_format, line = _attribute(f"@attribute {found[1]} ", found[2])
            kinds.append(kind)
            formats.append(date_format)
        in_data = in_data or line.strip().lower() == "@data"
        lines.append(line)
    if not in_data:
        raise UserError("not an ARFF file: it has no line @data")
    at = next(i for i, line in enumerate(lines) if line.strip().lower() == "@data")
    sparse = next((line.lstrip().startswith("{") for line in lines[at + 1 :] if line.strip() and line.lstrip()[0] != "%"), False)
    try:
        content = arff.load(lines, return_type=arff.LOD_GEN if sparse else arff.DENSE_GEN)
        names = [name for name, _ in content["attributes"]]
        levels = [kind if isinstance(kind, list) else None for _, kind in content["attributes"]]
        frame = _frame(content["data"], levels, kinds, sparse)
    except (arff.ArffException, ValueError, IndexError, OverflowError, TypeError) as error:
        raise UserError(f"not an ARFF file: {' '.join(str(error).split())[:200]}") from None
    for i, date_format in enumerate(formats):
        if date_format:
            try:
                frame[i] = pd.to_datetime(frame[i], format=date_format)
            except (ValueError, TypeError):
                raise UserError(f"attribute {names[i]!r}: a cell is no date in the form that is declared") from None
    return Arff(names, kinds, levels, frame)


def _attribute(start: str, rest: str) -> tuple[str, str | None, str]:
    """Kind, date format for Python, and the line as the library knows it."""
    if rest.startswith("{"):
        declared = _LEVELS.match(rest)
        return "nominal", None, start + (declared[0] if declared else rest)
    word, _, more = rest.partition(" ")
    kind = word.strip().split("%")[0].lower()
    if kind in ("numeric", "real", "integer"):
        return "numeric", None, f"{start}NUMERIC"
    if kind == "date":
        pattern = more.split("%")[0].strip().strip("'\"") or "yyyy-MM-dd'T'HH:mm:ss"
        return (
            "date",
            re.sub("yyyy|MM|dd|HH|mm|ss|yy", lambda found: _FORMATS[found[0]], pattern.replace("'", "")),
            f"{start}STRING",
        )
    return "string", None, f"{start}STRING" if kind == "string" else start + rest


def _frame(rows: Any, levels: list[list[str] | None], kinds: list[str], sparse: bool) -> pd.DataFrame:
    empty = [declared[0] if declared else 0.0 for declared in levels]  # what a sparse row leaves out
    parts = []
    while batch := list(islice(rows, ROWS_AT_A_TIME)):
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
