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
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any
from urllib.parse import unquote

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
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"  # a folder called so holds the rows without a value
_WEB = "a web page: was a login or an error saved instead of the file?"
_SAVE = "save the table as CSV or Parquet"
_PICKLE = f"a pickle, which is never read: {_SAVE}"
NOT_READ = {  # first bytes, in lower case → what that is, and what to do
    b"\x89hdf": f"an HDF5 file: {_SAVE}",
    b"\x80\x02": _PICKLE,
    b"\x80\x03": _PICKLE,
    b"\x80\x04": _PICKLE,
    b"\x80\x05": _PICKLE,
    b"\x93numpy": f"a NumPy file: {_SAVE}",
    b"\xd0\xcf\x11\xe0": f"an old Excel file (.xls): {_SAVE}",
    b"orc": f"an ORC file: {_SAVE}",
    b"obj\x01": f"an Avro file: {_SAVE}",
    b"$fl2": f"an SPSS file: {_SAVE}",
    b"<stata_dta>": f"a Stata file: {_SAVE}",
    b"header record": f"a SAS file: {_SAVE}",
    b"\0" * 12 + b"\xc2\xea\x81": f"a SAS file: {_SAVE}",
    b"rdx": f"an R file: {_SAVE}",
    b"rda": f"an R file: {_SAVE}",
    b"sqlite format 3": f"an SQLite database: {_SAVE}",
    b"%pdf": f"a PDF document: {_SAVE}",
    b"\x89png": f"a picture: {_SAVE}",
    b"rar!": "a RAR archive: unpack it and name the file in it",
    b"7z\xbc\xaf": "a 7z archive: unpack it and name the file in it",
    b"\x04\x22\x4d\x18": "an LZ4 archive: unpack it and name the file in it",
    b"version https://git-lfs": "the pointer that Git LFS keeps in place of the file: get the file with git lfs pull",
    b"<!doctype html": _WEB,
    b"<html": _WEB,
    b"<table": _WEB,
    b"<?xml": f"an XML document: {_SAVE}",
}
_OFFICE = {  # a name in a zip archive → what that is
    "word/document.xml": "a Word document",
    "ppt/presentation.xml": "slides",
    "content.xml": "an OpenDocument file",
    "META-INF/container.xml": "a book",
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
    frame, remarks = _without_index(*_cells(path))
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


def read_typed(path: Path, names: Collection[str]) -> Table:
    """A table of results: columns whose cells are all whole numbers as int64, all numbers as float64, empty ones NaN.

    NA, null and the like among numbers are missing, too. names : columns that name things, by what is written: "01" is not "1",
    and "NA" a name. Blanks around texts are no part of them. Raises as `read_file`.
    """
    cells, remarks = read_cells(path)
    columns = {name: column if name in names else typed(column, True) for name, column in cells.items()}
    return pd.DataFrame(columns, cells.index), remarks


def read_cells(path: Path) -> Table:
    """The cells of a table of results: as `read_file`, but an index is columns, texts are stripped, and empty ones are NaN."""
    frame, remarks = _cells(path)
    names = [re.sub(r"__index_level_\d+__", "", str(name)).strip() for name in frame.columns]
    again = next((name for name in names if names.count(name) > 1), None)
    if again is not None:
        raise UserError(f"{path}: two columns have the same name ({again!r}): rename one; a header of two lines must be one line")
    return pd.DataFrame({name: _stripped(frame.iloc[:, i]) for i, name in enumerate(names)}, frame.index), remarks


def _stripped(column: pd.Series) -> pd.Series:
    if not (isinstance(column.dtype, pd.StringDtype) or column.dtype == object):
        return column
    texts = column.map(lambda value: value.strip() if isinstance(value, str) else value)
    return texts.where(texts.notna() & (texts != ""), np.nan)


def typed(column: pd.Series, words: bool = False) -> pd.Series:
    """A column of `read_cells` as int64 or float64 if it holds nothing but numbers.

    words : NA, null and the like among these are missing, too.
    """
    if not (isinstance(column.dtype, pd.StringDtype) or column.dtype == object):
        return column
    known = column.dropna()
    if words:
        known = known[[not (isinstance(value, str) and value.lower() in WORDS) for value in known]]
    if not len(known):
        return pd.Series(np.nan, column.index, np.float64)
    numbers = [None if isinstance(value, bool) else value_number(value) for value in known]
    if None in numbers:
        return column
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
    _refuse_others(content, name)
    if content.startswith(ARROW):
        return _arrow(content)
    if content.startswith(b"PK\x03\x04"):
        return _excel(content)
    text = _text(content)
    if name.lower().endswith(".arff") or _first_word(text).startswith("@relation"):
        return _arff(text)
    if name.lower().endswith((".jsonl", ".ndjson", ".json")) or re.match(r'\s*(\[\s*)?\{\s*"', text):
        return _json(text)
    return read_delimited(text)


ARROW = (b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")  # how Parquet, Feather and Arrow's streams begin


def _refuse_others(content: bytes, name: str) -> None:
    """Raise UserError for a file that is known to be of a kind that is not read."""
    beginning = content[:200].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for start, what in NOT_READ.items():
        if beginning.startswith(start):
            raise UserError(f"this is {what}")
    if content[257:262] == b"ustar":
        raise UserError("this is a tar archive: unpack it and name the file in it")
    if name.lower().endswith((*PARQUET, ".feather", ".arrow")) and not content.startswith(ARROW):
        raise UserError(
            "is called like a Parquet or Feather file and does not begin as one: it is damaged, or has the wrong name"
        )


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
                why = _brief(error)
                if "password" in why:
                    raise UserError(f"the archive is locked ({why}): unpack it") from None
                raise UserError(f"the archive is damaged or cut short ({why}): copy or download it again") from None
    return None


def _zstd(content: bytes) -> bytes:
    import pyarrow as pa

    return bytes(pa.CompressedInputStream(pa.BufferReader(content), "zstd").read())


def _unzipped(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
        names = [name for name in entries if not name.rpartition("/")[2].startswith(".")]
        what = next((kind for inside, kind in _OFFICE.items() if inside in names), None)
        if what:
            raise UserError(f"this is {what}: {_SAVE}")
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
        if encoding != "utf-8-sig":
            raise UserError(f"it is marked as {encoding.upper()} and is none, or is cut short: save it again as UTF-8") from None
        raise UserError("not UTF-8 text: convert it, e.g. iconv -f latin1 -t utf-8") from None


def _first_word(text: str) -> str:
    lines = (line.strip() for line in text[:100_000].splitlines())
    return next((line.lower() for line in lines if line and not line.startswith("%")), "")


def _arff(text: str) -> Table:
    content = read_arff(text)
    return content.frame.set_axis(content.names, axis=1), []


def _json(text: str) -> Table:
    try:
        rows = (
            json.loads(text, object_pairs_hook=_row)
            if text.lstrip().startswith("[")
            else [json.loads(line, object_pairs_hook=_row) for line in text.splitlines() if line.strip()]
        )
    except (ValueError, RecursionError) as error:
        raise UserError(f"not JSON lines, one object a row: {_brief(error)}") from None
    if len(rows) == 1 and isinstance(rows[0], dict) and any(isinstance(value, dict | list) for value in rows[0].values()):
        raise UserError("one JSON object for the whole table: save it with one object a row (in pandas: orient='records')")
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise UserError("not JSON lines: each row must be an object of column names and values")
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype=object) for name in names}), []


def _row(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        raise UserError(f"a row names {next(name for name in row if names.count(name) > 1)!r} twice: give each column one value")
    return row


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
        if content.startswith(b"PAR1"):
            return _whole(pq.ParquetFile(io.BytesIO(content)).read())
        if content.startswith(b"\xff\xff\xff\xff"):
            return _whole(pa.ipc.open_stream(io.BytesIO(content)).read_all())
        return _whole(pyarrow.feather.read_table(io.BytesIO(content)))
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise UserError(f"cannot be read as a table: {_brief(error)}") from None


def _parquet_folder(path: Path) -> Table:
    """The Parquet files of a folder one after another, and what its sub-folders are called by (`year=2024`) as columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = [file for file in sorted(path.rglob("*")) if file.suffix.lower() in PARQUET and file.is_file()]
    files = [file for file in found if not any(part.startswith((".", "_")) for part in file.relative_to(path).parts[:-1])]
    if not files:
        raise UserError(f"{path}: a folder without Parquet files: name a file")
    parts = []
    try:
        for file in files:
            try:
                part = pq.ParquetFile(file).read()
            except (pa.ArrowException, OSError, ValueError) as error:
                raise UserError(f"{file}: cannot be read as a table: {_brief(error)}") from None
            for folder in file.relative_to(path).parts[:-1]:
                name, equals, value = folder.partition("=")
                if equals:
                    part = part.append_column(
                        name, pa.array([None if value == HIVE_NULL else unquote(value)] * len(part), pa.string())
                    )
            parts.append(part)
        for file, part in zip(files, parts, strict=True):
            odd = set(part.column_names) ^ set(parts[0].column_names)
            if odd:
                raise UserError(f"{path}: {files[0].name} and {file.name} have other columns ({sorted(odd)[0]!r}): name one file")
        return _whole(pa.concat_tables([part.select(parts[0].column_names) for part in parts], promote_options="permissive"))
    except (pa.ArrowException, KeyError) as error:
        raise UserError(f"{path}: its files are not parts of one table: {_brief(error)}") from None


def from_table(table: Any) -> Table:
    """The columns of an Arrow table (`columns.from_table`); an index that pandas has stored is left out."""
    return _without_index(*_whole(table))


def _whole(table: Any) -> Table:
    """The columns of an Arrow table with those that were an index, whose names are in `attrs`."""
    stored = (table.schema.pandas_metadata or {}).get("index_columns", [])
    frame = plain_frame(table)
    frame.attrs["index"] = [name for name in stored if isinstance(name, str) and name in table.column_names]
    return frame, []


def _without_index(frame: pd.DataFrame, remarks: list[str]) -> Table:
    index = frame.attrs.pop("index", [])
    if not index:
        return frame, remarks
    return frame.drop(columns=index), [*remarks, f"the index ({', '.join(map(repr, index))}) is no column: left out"]
