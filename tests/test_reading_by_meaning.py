"""One table written in many ways is one task, bit for bit: what it means decides, not what it is kept in."""

import datetime as dt
import gzip
import io
import json
import lzma
import zipfile
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabbench.data.frames import as_frame
from tabbench.data.reader import read_file
from tabbench.data.task import make_task
from tabbench.errors import UserError

LABEL = st.text(st.sampled_from("abcXYZ ,;'\"äß"), min_size=1, max_size=5).map(lambda text: f"l{text}l")
KNOWN = {
    "price": st.integers(-99_999, 99_999).map(lambda cents: Decimal(cents) / 100),
    "count": st.integers(-50, 10**6),
    "name of it": LABEL | st.sampled_from(["None", "NA", "null", "yes"]),
    "day": st.dates(dt.date(1950, 1, 1), dt.date(2100, 1, 1)),
}


@st.composite
def tables(draw):
    """Columns of plain Python values, no column without a known cell, and a target `y` of three labels."""
    n = draw(st.integers(6, 12))
    columns = {}
    for name, known in KNOWN.items():
        columns[name] = [draw(known), *draw(st.lists(st.none() | known, min_size=n - 1, max_size=n - 1))]
    columns["name of it"][0] = "word"  # texts that are all words for missing would be none
    columns["y"] = ["None", "b", "c", *draw(st.lists(st.sampled_from(["None", "b", "c"]), min_size=n - 3, max_size=n - 3))]
    return columns


def text(value):
    return "" if value is None else str(value)


def delimited(columns, mark=",", end="\n", quote=False, more=""):
    def cell(value):
        written = text(value)
        special = quote or any(sign in written for sign in (mark, '"', "'", " ", "\n"))
        return '"' + written.replace('"', '""') + '"' if special and written else written

    lines = [mark.join(map(cell, columns)), *(mark.join(map(cell, row)) for row in zip(*columns.values(), strict=True))]
    return end.join(line + more for line in lines) + end


def frame(columns, **kinds):
    return pd.DataFrame({name: pd.Series(values, dtype=kinds.get(name, object)) for name, values in columns.items()})


def arrow(columns, price=None, day=None):
    price, day = price or pa.decimal128(12, 2), day or pa.date32()
    types = {"price": price, "count": pa.int64(), "name of it": pa.string(), "day": day, "y": pa.string()}
    as_kind = {} if pa.types.is_decimal(price) else {"price": float}
    if pa.types.is_timestamp(day):
        as_kind["day"] = lambda value: dt.datetime.combine(value, dt.time())
    return pa.table(
        {
            name: pa.array([None if value is None else as_kind.get(name, lambda x: x)(value) for value in values], types[name])
            for name, values in columns.items()
        }
    )


def parquet(table, **options):
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def texts_of(columns, **writers):
    """The columns, some of them written by a function of their cells."""
    return {
        name: [None if v is None else writers[name](v) if name in writers else v for v in values]
        for name, values in columns.items()
    }


def with_comma(price):
    """As in Germany; always with decimals, as 5 and 7,123 might be grouped digits."""
    return f"{price:.2f}".replace(".", ",")


def feather(table):
    sink = io.BytesIO()
    pa.feather.write_feather(table, sink)
    return sink.getvalue()


def stream(table):
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def attributes(columns):
    """ARFF; its strings are quoted with apostrophes, in which a backslash escapes."""

    def cell(value):
        return "?" if value is None else "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"

    kinds = {"price": "numeric", "count": "INTEGER", "name of it": "string", "day": "date yyyy-MM-dd", "y": "{None, b, c}"}
    head = "".join(f"@attribute '{name}' {kind}\n" for name, kind in kinds.items())
    return f"@relation r\n{head}@data\n" + "".join(",".join(map(cell, row)) + "\n" for row in zip(*columns.values(), strict=True))


def zipped(content):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("t.csv", content)
    return sink.getvalue()


def json_lines(columns):
    rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    plain = (
        {name: float(v) if isinstance(v, Decimal) else str(v) if isinstance(v, dt.date) else v for name, v in row.items()}
        for row in rows
    )
    return "\n".join(json.dumps(row) for row in plain).encode()


def stamped(columns):
    return frame(columns, day="datetime64[us]", count="Int64", price="Float64", y="string")


FILES = {
    "comma.csv": lambda c: delimited(c).encode(),
    "semicolon.csv": lambda c: delimited(c, ";").encode(),
    "tab.tsv": lambda c: delimited(c, "\t").encode(),
    "bar.txt": lambda c: delimited(c, "|").encode(),
    "quoted.csv": lambda c: delimited(c, quote=True).encode(),
    "windows.CSV": lambda c: delimited(c, end="\r\n").encode("utf-8-sig"),
    "wide.csv": lambda c: delimited(c).encode("utf-16"),
    "last.csv": lambda c: delimited(c, more=",").encode(),
    "t.csv.gz": lambda c: gzip.compress(delimited(c).encode()),
    "t.csv.xz": lambda c: lzma.compress(delimited(c).encode()),
    "t.csv.zip": lambda c: zipped(delimited(c)),
    "decimal.parquet": lambda c: parquet(arrow(c)),
    "float.PARQUET": lambda c: parquet(arrow(c, price=pa.float64(), day=pa.date64())),
    "stamp.pq": lambda c: parquet(arrow(c, day=pa.timestamp("ms")), use_dictionary=True),
    "lines.jsonl": json_lines,
    "commas.csv": lambda c: delimited(texts_of(c, price=with_comma), ";").encode(),
    "commas.tsv": lambda c: delimited(texts_of(c, price=with_comma), "\t").encode(),
    "slashes.csv": lambda c: delimited(texts_of(c, day=lambda day: f"{day:%Y/}{day.month}/{day.day}")).encode(),
    "noon.csv": lambda c: delimited(texts_of(c, day=lambda day: f"{day} 00:00:00+00:00")).encode(),
    "minus.csv": lambda c: delimited(texts_of(c, price=lambda price: str(price).replace("-", "\u2212"))).encode(),
    "rows.csv": json_lines,
    "named.csv": lambda c: delimited({"": range(len(c["y"])), **c}).encode(),
    "f.feather": lambda c: feather(arrow(c)),
    "stream.arrows": lambda c: stream(arrow(c)),
    "t.arff": lambda c: attributes(c).encode(),
}
FRAMES = {
    "objects": frame,
    "nullable": stamped,
    "categories": lambda c: frame({**c, "name of it": pd.Categorical(c["name of it"])}),
    "texts": lambda c: pd.DataFrame({name: [None if v is None else str(v) for v in values] for name, values in c.items()}),
    "dict": dict,
    "arrow": arrow,
    "arrow dictionary": lambda c: arrow(c).set_column(2, "name of it", arrow(c)["name of it"].dictionary_encode()),
}


def task_of(table):
    found, remarks = table
    return make_task(found, "y", name="t", remarks=remarks)


@settings(max_examples=15)
@given(tables())
def test_one_table_in_many_ways_is_one_task(tmp_path_factory, columns):
    expected = task_of(as_frame(frame(columns)))
    assert len(FILES) + len(FRAMES) >= 30
    assert list(expected.categorical) == ["name of it"]
    assert expected.classes == ("None", "b", "c")
    folder = tmp_path_factory.mktemp("ways")
    for name, write in FILES.items():
        (folder / name).write_bytes(write(columns))
        assert task_of(read_file(folder / name)).digest == expected.digest, name
    for name, make in FRAMES.items():
        assert task_of(as_frame(make(columns))).digest == expected.digest, name


@pytest.mark.parametrize("row", ["1,2,a,2020-01-01,b,7", "1,2,a"])
def test_what_cannot_be_one_table_is_refused_in_words(tmp_path, row):
    (tmp_path / "t.csv").write_text(f"price,count,name of it,day,y\n1,2,a,2020-01-01,b\n{row}\n", encoding="utf-8")
    with pytest.raises(UserError, match="line 3"):
        read_file(tmp_path / "t.csv")
