"""Files as tables of cells: one reader for everything that takes a table. What a column means is decided in `columns`.

The format is told by what is in a file more than by its ending: Parquet, Feather, Excel, ARFF, JSON lines and delimited text,
each also in a .gz, .bz2, .xz, .zst or .zip; a folder of Parquet files is one table. docs/data.md says what is read how.
"""

import bz2
import gzip
import io
import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tabbench.data.arff import read_arff
from tabbench.data.columns import WORDS, value_number
from tabbench.data.columns import from_table as plain_frame
from tabbench.data.delimited import read_delimited
from tabbench.errors import UserError

Table = tuple[pd.DataFrame, list[str]]
NO_NAME = re.compile(r"\s*|Unnamed: \d+(\.\d+)?")  # what a column of row names is called
PARQUET = (".parquet", ".pq", ".parq")
NOT_READ = {  # first bytes → what that is
    b"\x89HDF": "an HDF5 file",
    b"\x80\x02": "a pickle, which is never read",
    b"\x80\x03": "a pickle, which is never read",
    b"\x80\x04": "a pickle, which is never read",
    b"\x80\x05": "a pickle, which is never read",
    b"\x93NUMPY": "a NumPy file",
    b"\xd0\xcf\x11\xe0": "an old Excel file (.xls)",
    b"ORC": "an ORC file",
    b"Obj\x01": "an Avro file",
    b"$FL2": "an SPSS file",
    b"<stata_dta>": "a Stata file",
    b"HEADER RECORD": "a SAS file",
    b"RDX": "an R file",
    b"RDA": "an R file",
    b"SQLite format 3": "an SQLite database",
    b"%PDF": "a PDF document",
    b"<!doctype html": "a web page: was a login or an error saved instead of the file?",
    b"<html": "a web page: was a login or an error saved instead of the file?",
    b"<?xml": "an XML document",
}
_DAMAGED = (
    EOFError,
    OSError,
    ValueError,
    KeyError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    RuntimeError,
    NotImplementedError,
)
_MARKS = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def read_file(path: Path) -> Table:
    """The cells of a file and remarks on what was left out or read in another way than written.

    Columns of delimited text hold texts, "" for an empty cell; those of other formats the types these have. A first column
    without a name that tells every row apart holds row names, and is left out. Raises UserError, in one line, for a file that is
    missing, empty, damaged, of a format that is not read, or not of one shape.
    """
    frame, remarks = _cells(path)
    while frame.shape[1] > 1 and len(frame) and _are_row_names(frame.iloc[:, 0]):
        said = "the first column has no name and tells every row apart, so it holds row names: left out"
        frame, remarks = frame.iloc[:, 1:], [*remarks, said] if said not in remarks else remarks
    return frame, remarks


def _are_row_names(column: pd.Series) -> bool:
    """Whether a column without a name holds another text or whole number in every row."""
    if not NO_NAME.fullmatch(str(column.name)) or not column.is_unique:
        return False
    numbers = [value_number(value) for value in column]
    return all(number is None or number.is_integer() for number in numbers)


def read_typed(path: Path, *, words: bool = False) -> Table:
    """A table of results: columns whose cells are all whole numbers as int64, all numbers as float64, empty ones NaN.

    words : NA, null and the like among numbers are missing, too. Blanks around texts are no part of them. Raises as `read_file`.
    """
    frame, remarks = _cells(path)
    columns = {str(name).strip(): _typed(frame.iloc[:, i], words) for i, name in enumerate(frame.columns)}
    if len(columns) < frame.shape[1]:
        raise UserError(f"{path}: two columns have the same name: rename one")
    return pd.DataFrame(columns, frame.index), remarks


def _typed(column: pd.Series, words: bool) -> pd.Series:
    if not (isinstance(column.dtype, pd.StringDtype) or column.dtype == object):
        return column
    texts = column.map(lambda value: value.strip() if isinstance(value, str) else value)
    texts = texts.where(texts.notna() & (texts != ""), np.nan)
    known = texts.dropna()
    if words:
        known = known[[not (isinstance(value, str) and value.lower() in WORDS) for value in known]]
    if not len(known):
        return pd.Series(np.nan, column.index, np.float64)
    numbers = [None if isinstance(value, bool) else value_number(value) for value in known]
    if None in numbers:
        return texts
    if len(known) == len(column) and all(re.fullmatch(r"[+-]?\d{1,18}", str(value)) for value in known):
        return pd.Series([int(value) for value in known], column.index, np.int64)
    return pd.Series(numbers, known.index, np.float64).reindex(column.index)


def _cells(path: Path) -> Table:
    try:
        if path.is_dir():
            return _parquet_folder(path)
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # a NUL in the name
        raise UserError(f"{str(path)!r}: cannot be read: {error}") from None
    try:
        return _read(content, path.name)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except ImportError:
        raise UserError(f"{path}: reading Excel files needs openpyxl: pip install 'tabbench-harness[excel]'") from None


def _read(content: bytes, name: str) -> Table:
    if not content.strip():
        raise UserError("the file is empty")
    unpacked = _unpacked(content, name)
    if unpacked is not None:
        stem, _, ending = name.rpartition(".")
        return _read(unpacked, stem if ending.lower() in PACKED else name)
    for start, what in NOT_READ.items():
        if content[: len(start)].lower() == start.lower():
            raise UserError(f"this is {what}: save the table as CSV or Parquet")
    if content.startswith(b"PAR1") or content.startswith(b"ARROW1") or name.lower().endswith((*PARQUET, ".feather", ".arrow")):
        return _arrow(content)
    if content.startswith(b"PK\x03\x04"):
        return _excel(content)
    if content[257:262] == b"ustar":
        raise UserError("this is a tar archive: unpack it and name the file in it")
    text = _text(content)
    if name.lower().endswith(".arff") or _first_word(text).startswith("@relation"):
        return _arff(text)
    if name.lower().endswith((".jsonl", ".ndjson", ".json")):
        return _json(text)
    return read_delimited(text)


PACKED: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {  # ending → first bytes, and how it is opened
    "gz": (b"\x1f\x8b", gzip.decompress),
    "bz2": (b"BZh", bz2.decompress),
    "xz": (b"\xfd7zXZ\0", lzma.decompress),
    "zst": (b"\x28\xb5\x2f\xfd", lambda content: _zstd(content)),
    "zip": (b"PK", lambda content: _unzipped(content)),
}


def _unpacked(content: bytes, name: str) -> bytes | None:
    """What is in an archive of one file; None if it is no archive (or an Excel file, which is one)."""
    ending = name.rpartition(".")[2].lower()
    if ending in PACKED and not content.startswith(PACKED[ending][0]):
        raise UserError(f"is called .{ending} and is no such archive: it is damaged, or has the wrong name")
    for start, unpack in PACKED.values():
        if content.startswith(start) and not _is_excel(content):
            try:
                return unpack(content)
            except _DAMAGED as error:
                raise UserError(f"the archive is damaged or cut short ({_brief(error)}): copy or download it again") from None
    return None


def _zstd(content: bytes) -> bytes:
    import pyarrow as pa

    return bytes(pa.CompressedInputStream(pa.BufferReader(content), "zstd").read())


def _unzipped(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
        if len(names) != 1:
            raise UserError(f"the archive holds {len(names)} files: unpack it and name the one with the table")
        return archive.read(names[0])


def _is_excel(content: bytes) -> bool:
    try:
        return content.startswith(b"PK") and "xl/workbook.xml" in zipfile.ZipFile(io.BytesIO(content)).namelist()
    except _DAMAGED:
        return False


def _brief(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def _text(content: bytes) -> str:
    encoding = next((found for mark, found in _MARKS.items() if content.startswith(mark)), "utf-8-sig")
    if encoding == "utf-8-sig" and b"\0" in content[:1000] and content[:1000].count(b"\0") * 3 > len(content[:1000]):
        raise UserError("this is UTF-16 without the mark that says so, or no text: save it as UTF-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        asked = "not UTF-8 text" if encoding == "utf-8-sig" else f"not whole {encoding.upper()} text"
        raise UserError(f"{asked}: convert it, e.g. iconv -f latin1 -t utf-8") from None


def _first_word(text: str) -> str:
    lines = (line.strip() for line in text[:100_000].splitlines())
    return next((line.lower() for line in lines if line and not line.startswith("%")), "")


def _arff(text: str) -> Table:
    content = read_arff(text)
    return content.frame.set_axis(content.names, axis=1), []


def _json(text: str) -> Table:
    try:
        rows = (
            json.loads(text)
            if text.lstrip().startswith("[")
            else [json.loads(line) for line in text.splitlines() if line.strip()]
        )
    except (ValueError, RecursionError) as error:
        raise UserError(f"not JSON lines, one object a row: {_brief(error)}") from None
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise UserError("not JSON lines: each row must be an object of column names and values")
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype=object) for name in names}), []


def _excel(content: bytes) -> Table:
    import openpyxl  # noqa: F401 - pandas would say less plainly that it is missing

    try:
        with pd.ExcelFile(io.BytesIO(content), engine="openpyxl") as book:
            sheets = [str(name) for name in book.sheet_names]
            cells = pd.read_excel(book, header=None, dtype=object, keep_default_na=False, na_values=[""])
    except (*_DAMAGED, TypeError, AttributeError) as error:
        raise UserError(f"cannot be read as an Excel file: {_brief(error)}") from None
    cells = cells.dropna(how="all").dropna(axis=1, how="all")
    if not len(cells):
        raise UserError("the first sheet is empty")
    names = ["" if missing else str(value) for value, missing in zip(cells.iloc[0], cells.iloc[0].isna(), strict=True)]
    frame = cells.iloc[1:].reset_index(drop=True).set_axis(names, axis=1)
    return frame, [f"the sheet {sheets[0]!r} is read, {len(sheets) - 1} others are not"] if len(sheets) > 1 else []


def _arrow(content: bytes) -> Table:
    import pyarrow as pa
    import pyarrow.feather
    import pyarrow.parquet as pq

    try:
        if content.startswith(b"PAR1") or not content.startswith(b"ARROW1"):
            return from_table(pq.ParquetFile(io.BytesIO(content)).read())
        return from_table(pyarrow.feather.read_table(io.BytesIO(content)))
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise UserError(f"cannot be read as a table: {_brief(error)}") from None


def _parquet_folder(path: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not any(file.suffix.lower() in PARQUET for file in path.rglob("*")):
        raise UserError(f"{path}: a folder without Parquet files: name a file")
    try:
        return from_table(pq.read_table(path))
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: cannot be read as one table: {_brief(error)}") from None


def from_table(table: Any) -> Table:
    """The columns of an Arrow table (`columns.from_table`); an index that pandas has stored is left out."""
    stored = (table.schema.pandas_metadata or {}).get("index_columns", [])
    index = [name for name in stored if isinstance(name, str) and name in table.column_names]
    remarks = [f"the index ({', '.join(map(repr, index))}) is no column: left out"] if index else []
    table = table.drop_columns(index) if index else table
    return plain_frame(table), remarks
