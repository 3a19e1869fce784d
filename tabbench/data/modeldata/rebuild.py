"""Rebuild the Parquet files beside this script from Debian's r-cran-modeldata (MIT, see NOTICE).

    apt-get download r-cran-modeldata && dpkg -x r-cran-modeldata_*.deb deb && pip install rdata
    python rebuild.py deb/usr/lib/R/site-library/modeldata/data/Rdata

R's lazy-load database: NAME.rdx is an index of (offset, length) into NAME.rdb, whose chunks are compressed serialisations.
"""

import bz2
import lzma
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

import rdata

SETS = ("ad_data", "attrition", "cells", "credit_data", "scat", "stackoverflow", "wa_churn")


def parse(content: bytes) -> Any:
    """Turn the bytes of a serialised R object into a Python one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # data frame classes that only R knows
        return rdata.conversion.convert(rdata.parser.parse_data(content))


def unpack(chunk: bytes) -> bytes:
    """Decompress a chunk: four bytes of length, then zlib, or a letter for bzip2 and xz."""
    kind = chunk[4:5]
    if kind == b"2":
        return bz2.decompress(chunk[5:])
    if kind == b"Z":
        return lzma.decompress(chunk[5:], lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2}])
    return zlib.decompress(chunk[4:])


def main(stem: str) -> None:
    """Write one Parquet file a set."""
    index = parse(Path(stem + ".rdx").read_bytes())["variables"]
    database = Path(stem + ".rdb").read_bytes()
    for name in SETS:
        offset, length = (int(value) for value in index[name])
        table = parse(unpack(database[offset : offset + length]))
        table.reset_index(drop=True).to_parquet(Path(__file__).with_name(f"{name}.parquet"), index=False, compression="zstd")
        print(name, table.shape)


if __name__ == "__main__":
    main(sys.argv[1])
