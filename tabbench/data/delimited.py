"""Delimited text (CSV and its relatives) as a table of texts: nothing is typed, shifted, padded or cut here in silence."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

import pandas as pd

from tabbench.data.columns import is_sign
from tabbench.errors import UserError

SEPARATORS = (",", "\t", ";", "|")
NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars", " ": "blanks"}
LOOKED_AT = 200  # records from which the separator is told
ROWS_AT_A_TIME = 20_000
_BLANK_QUOTE = re.compile(r'[ \t]+"')
_COMMA_NUMBER = re.compile(r" *[+-]?(\d*|\d{1,3}(\.\d{3})+),\d+([eE][+-]?\d+)? *", re.ASCII)
_GROUPED = re.compile(r" *[+-]?[1-9]\d{0,2}(,\d{3})+ *", re.ASCII)  # 41,230: a decimal comma, or one that groups digits?
_WHOLE = re.compile(r" *[+-]?\d+ *", re.ASCII)
_POINT_NUMBER = re.compile(r" *[+-]?\d*\.\d+([eE][+-]?\d+)? *", re.ASCII)


def read_delimited(text: str) -> tuple[pd.DataFrame, list[str]]:
    """Columns of texts ("" for an empty cell), named as the first line does, and remarks.

    The separator is told from the first lines. Empty fields at the end of rows and unnamed columns without a cell are left out;
    row names, for which a header may have no field, are a first column called "". Raises UserError, without the file's name, for
    rows that have another number of fields than the header.
    """
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(f"line {line} holds a NUL byte: the file is damaged, or no text")
    text, separator, remarks = _separator(text)
    is_blank = separator == " "
    table = _Table(text, separator, skip=is_blank)
    if not is_blank and any(_BLANK_QUOTE.match(cell) for record in table.head() for cell in record):
        table = _Table(text, separator, skip=True)
    names, frame = table.columns(remarks)
    if not names:
        raise UserError("the file has no columns")
    frame.columns = names
    return frame if separator == "," else _with_points(frame, remarks, surely=separator == ";"), remarks


class _Table:
    """The records of a text. skip : blanks after a separator are no part of a cell."""

    def __init__(self, text: str, separator: str, skip: bool) -> None:
        self.text, self.separator, self.skip = text, separator, skip

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """Line number and fields of every line that is not blank; raises UserError where quotes do not close."""
        reader = csv.reader(io.StringIO(self.text, newline=""), delimiter=self.separator, skipinitialspace=self.skip, strict=True)
        try:
            for record in reader:
                if record and (len(record) > 1 or record[0].strip()):
                    yield reader.line_num, record
        except csv.Error as error:
            raise UserError(f"line {reader.line_num} cannot be read ({error}): is a quote not closed or not doubled?") from None

    def head(self) -> Iterator[list[str]]:
        """Fields of the first records."""
        return (record for _, record in islice(self.records(), LOOKED_AT))

    def columns(self, remarks: list[str]) -> tuple[list[str], pd.DataFrame]:
        """Names and columns."""
        records = self.records()
        first = next(records, None)
        if first is None:
            raise UserError("the file is empty")
        header = first[1]
        while header and not header[-1].strip() and len(header) > 1:
            header = header[:-1]
        n_names = len(header)
        if self._has_row_names(n_names):
            header = ["", *header]
        return _without_empty(header, _frame(records, header, remarks), remarks)

    def _has_row_names(self, n_names: int) -> bool:
        """Whether every row has one field more than the header, as R writes it: first 1, 2, 3, … or a quoted name of its own."""
        firsts = []
        for _, record in islice(self.records(), 1, None):
            if len(record) != n_names + 1 or not record[-1].strip():
                return False
            firsts.append(record[0])
        if not firsts or firsts == [str(i + 1) for i in range(len(firsts))]:
            return bool(firsts)
        lines = self.text.splitlines()
        return len(set(firsts)) == len(firsts) and all(line.startswith('"') for line in lines if line.strip())


def _frame(records: Iterator[tuple[int, list[str]]], header: Sequence[str], remarks: list[str]) -> pd.DataFrame:
    width, parts, empty = len(header), [], 0
    while batch := list(islice(records, ROWS_AT_A_TIME)):
        for line, record in batch:
            if len(record) != width:
                empty += _cut(record, width, line)
        parts.append(pd.DataFrame(dict(enumerate(zip(*(record for _, record in batch), strict=True))), dtype="str"))
    if empty:
        remarks.append(f"{empty} rows end with an empty field that the header does not name: it is left out")
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=range(width), dtype="str")


def _cut(record: list[str], width: int, line: int) -> int:
    """Cut empty fields off the end; raises UserError if that does not give the header's number."""
    n_fields = len(record)
    if n_fields < width or any(field.strip() for field in record[width:]):
        advice = "quote fields that hold the separator, or mend the line" if width > 1 else "is the first line a title? remove it"
        raise UserError(f"line {line} has {n_fields} fields, the header {width}: {advice}")
    del record[width:]
    return 1


def _without_empty(header: list[str], frame: pd.DataFrame, remarks: list[str]) -> tuple[list[str], pd.DataFrame]:
    """Leave out columns without a name and without a cell."""
    out = {i for i, name in enumerate(header) if not name.strip() and (frame[i].str.strip() == "").all()}
    if out:
        remarks.append(f"{len(out)} columns without a name and without a cell are left out")
    kept = [i for i in range(len(header)) if i not in out]
    return [header[i] for i in kept], frame[kept]


def _separator(text: str) -> tuple[str, str, list[str]]:
    """The text without a line that names the separator, the separator, and what is to be said of it."""
    said = re.match(r"\s*sep=(.)\r?\n", text)
    if said:
        return text[said.end() :], said[1], []
    fits = {separator: _fit(text, separator) for separator in (*SEPARATORS, " ")}
    if max(fits[separator] for separator in SEPARATORS) > 0:
        fits[" "] = 0.0  # blanks separate only where nothing else does
    best = max(fits, key=lambda separator: fits[separator])
    if fits[best] == 0 or best == ",":
        return text, ",", []
    return text, best, [f"fields are separated by {NAMES[best]}"]


def _fit(text: str, separator: str) -> float:
    """Share of the first records that have as many fields as the header, one more or less at the end; 0 for one column."""
    try:
        head = list(_Table(text[: 1 << 20], separator, skip=separator == " ").head())
    except UserError:
        head = []
    widths = Counter(len(record) for record in head[1:])
    if not head or len(head[0]) < 2:
        return 0.0
    n_names = len(head[0])
    n_rows = sum(widths.values())
    if separator == " " and max(widths[n_names], widths[n_names + 1]) < n_rows:
        return 0.0
    return max(1e-3, (widths[n_names] + 0.9 * (widths[n_names - 1] + widths[n_names + 1])) / max(1, n_rows))


def _with_points(frame: pd.DataFrame, remarks: list[str], *, surely: bool) -> pd.DataFrame:
    """Decimal commas as points, if no number of the table is written with a point.

    surely : 41,230 has a decimal comma; else it may be grouped digits, so that another number must show what commas mean.
    """
    columns = [column for _, column in frame.items()]  # by place: two may have one name
    cells = [column[column != ""] for column in columns]
    if any(len(known) and known.str.fullmatch(_POINT_NUMBER.pattern).any() for known in cells):
        return frame
    decimal = [i for i, known in enumerate(cells) if _has_decimal_commas(known)]
    if not (surely or any(not cells[i].str.fullmatch(f"{_GROUPED.pattern}|{_WHOLE.pattern}").all() for i in decimal)):
        return frame
    if not decimal:
        return frame
    named = ", ".join(repr(columns[i].name) for i in decimal[:4])
    remarks.append(f"decimal commas in {named}{', …' if len(decimal) > 4 else ''} are read as points")
    for i in decimal:
        columns[i] = columns[i].str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
    return pd.concat(columns, axis=1)


def _has_decimal_commas(cells: pd.Series) -> bool:
    """Whether cells are whole numbers and numbers with a comma, some of these among them; signs for missing may stand beside."""
    commas, whole = (cells.str.fullmatch(form.pattern).to_numpy(bool) for form in (_COMMA_NUMBER, _WHOLE))
    return bool(commas.any()) and all(map(is_sign, cells[~(commas | whole)].unique()))
