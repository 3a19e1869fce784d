"""Parquet files of result folders, which strangers may have written: a small file can unpack to more than a machine holds."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tabbench.border.texts import one_line

MAX_ROWS_A_BYTE = 10  # of a file; ours take a byte a row or more
MAX_BYTES = 2 * 2**30  # of a table, unpacked
_CELL = 8  # bytes; of a text without its letters, too


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """The numbers and texts in a file of ours, by default all columns.

    Raises ValueError (one line) if it is damaged, holds other types, or unpacks to too much.
    """
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            metadata, schema = file.metadata, file.schema_arrow
        _check_size(metadata, path.stat().st_size)
        texts = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
        odd = [field for field in schema if field.name not in texts and not _is_number(field.type)]
        if odd:
            raise ValueError(f"column {odd[0].name!r} holds {odd[0].type}, neither numbers nor texts")
        _check_letters(path, texts)
        with pq.ParquetFile(path, pre_buffer=False) as file:
            return file.read(columns and list(columns)).to_pandas()
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError, NotImplementedError, MemoryError) as error:
        raise ValueError(one_line(error)) from None


def _check_size(metadata: pq.FileMetaData, n_bytes: int) -> None:
    """By what the file says of itself: rows, cells and pages."""
    n_rows, n_columns = metadata.num_rows, metadata.num_columns
    if n_rows > MAX_ROWS_A_BYTE * n_bytes:
        raise ValueError(f"{n_rows:,} rows in so few bytes")
    pages = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    if max(_CELL * n_rows * n_columns, pages) > MAX_BYTES:
        raise ValueError(f"{n_rows:,} rows of {n_columns} columns: it would unpack to more than {MAX_BYTES:,} bytes")


def _is_number(kind: pa.DataType) -> bool:
    return any(holds(kind) for holds in (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_null))


def _check_letters(path: Path, texts: Sequence[str]) -> None:
    """By the letters of its texts, which are kept once each in the file, but in every row of a table."""
    import pyarrow.compute as pc

    n_letters = 0
    with pq.ParquetFile(path, pre_buffer=False, read_dictionary=texts) as file:
        for batch in file.iter_batches(columns=texts):
            for column in batch.columns:
                lengths = pc.binary_length(column.dictionary.cast(pa.large_string()))
                n_letters += pc.sum(pc.take(lengths, column.indices)).as_py() or 0
            if n_letters > MAX_BYTES:
                raise ValueError(f"texts of more than {MAX_BYTES:,} bytes, unpacked")
