"""Tables as people have them: each kind of trouble that such tools had with reading, with the value that is right."""

import gzip
import io
import zipfile
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tabbench.cli import main
from tabbench.data.gather import table_task
from tabbench.data.reader import read_file
from tabbench.data.suite import load_spec, load_suite
from tabbench.data.task import make_task
from tabbench.errors import UserError

CASES = Path(__file__).parents[2] / "shared" / "cases"
N = 24


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, undrawn):
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


def case(name):
    path = CASES / name
    if not path.exists():
        pytest.skip("the examples are not beside this checkout")
    return path


def written(text, name="t.csv"):
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return Path(name)


def rows(*lines, header="a,b,y", end="", labels=("p", "q")):
    """A table of N rows: two numbers and a label."""
    body = [f"{i}.5,{i % 5},{labels[i % len(labels)]}{end}" for i in range(N)]
    return "\n".join([header, *body, *lines]) + "\n"


PLAIN = rows()


def refused(data, *words, target="y", **options):
    with pytest.raises(UserError) as caught:
        table_task(data, target, **options)
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text, text


def frame(**columns):
    base = {"a": np.arange(N) + 0.5, "y": ["p", "q"] * (N // 2)}
    return pd.DataFrame({**base, **columns})


class TestFields:
    @pytest.mark.parametrize(
        "text",
        [
            rows(end=","),
            rows(header="a,b,y,"),
            rows(header="a,b,y,,", end=",,"),
            rows().replace("3.5,3,q\n", "3.5,3,q,\n"),
            "\n\n" + rows(),
            rows().replace("\n", "\r\n"),
            "\ufeff" + rows(),
            rows().replace(",", ";"),
            rows().replace(",", "\t"),
            rows().replace(",", " "),
            "sep=;\n" + rows().replace(",", ";"),
            rows().replace(",", ";").replace(".5", ",5"),
            "\n".join([",a,b,y", *(f"{i},{line}" for i, line in enumerate(rows().splitlines()[1:]))]),
            "\n".join(["a,b,y", *(f"{i + 1},{line}" for i, line in enumerate(rows().splitlines()[1:]))]),
            "\n".join(['"a" "b" "y"', *(f'"r{i}" ' + line.replace(",", " ") for i, line in enumerate(rows().splitlines()[1:]))]),
        ],
    )
    def test_what_people_mean_is_one_table(self, text):
        assert table_task(written(text), "y").digest == table_task(written(PLAIN, "plain.csv"), "y").digest

    def test_quotes_after_a_blank_are_read_as_meant(self):
        task = table_task(written("a, b, y\n" + '1, "b, c", p\n2, "d", q\n' * 4), "y")
        assert list(task.X["b"].cat.categories) == ["b, c", "d"]
        assert task.classes == ("p", "q")

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            (rows("1,2,p,more"), ("line 26", "4 fields", "header 3")),
            (rows(header="a,b", labels=("p", "q")), ("line 2", "3 fields", "header 2")),
            (rows("1,2"), ("line 26", "2 fields")),
            (rows('1,"2,p'), ("quote",)),
        ],
    )
    def test_other_numbers_of_fields_are_refused(self, text, says):
        refused(written(text), *says)

    def test_row_names_are_whole_numbers_or_texts(self):
        body = [f"{i},{i},{i}.5,{'pq'[i % 2]}" for i in range(N)]
        task = table_task(written("\n".join(["Unnamed: 0.1,Unnamed: 0,a,y", *body])), "y")
        assert list(task.X) == ["a"]
        assert "row names" in task.info["remarks"][0]
        measured = "\n".join([",b,y", *(f"{i}.5,{i},{'pq'[i % 2]}" for i in range(N))])
        assert list(table_task(written(measured), "y").X) == ["", "b"]

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("My table\n\n" + PLAIN, ("line 3 has 3 fields", "is the first line a title?")),
            ("# by me, in May\n" + PLAIN, ("line 2 has 3 fields, the header 2",)),
            (PLAIN.replace("3.5,3", "3\0.5,3", 1), ("line 5 holds a NUL byte",)),
            (PLAIN + "Total,40\n", ("line 26 has 2 fields",)),
            (PLAIN.replace(",", ":"), ("no column 'y'", "a:b:y")),
            ("a,b,y\n" + '1,"x" ,p\n' * 4, ("quote",)),
            ("a,b,y\n" + "1,'u, v',p\n" * 4, ("4 fields",)),
            ("a,b,y\n" + '1,"v \\"w\\"",p\n' * 4, ("quote",)),
        ],
    )
    def test_what_is_no_table_says_where(self, text, says):
        refused(written(text), *says)

    @pytest.mark.parametrize("name", ["first", "last"])
    def test_the_examples(self, name):
        task = table_task(case(f"fields/{name}.csv"), "y")
        assert task.X.shape[1] == 3
        assert set(task.classes) == {"yes", "no"}
        assert "empty field" in task.info["remarks"][0]


class TestMissing:
    @pytest.mark.parametrize("word", ["None", "NA", "null", "n/a", "nan", "NULL", "N/A", "?", "-"])
    def test_a_class_may_be_called_so(self, word):
        task = table_task(written(rows(labels=("a", word, "b"))), "y")
        assert word in task.classes
        assert len(task.y) == N
        task.X["a"].to_frame().assign(y=[task.classes[code] for code in task.y], b=task.X["b"]).to_parquet("t.parquet")
        assert table_task("t.parquet", "y").y.tolist() == task.y.tolist()

    def test_a_level_may_be_called_so(self):
        task = make_task(frame(b=["NA", "None", "x", ""] * (N // 4)), "y", name="t")
        assert list(task.X["b"].cat.categories) == ["NA", "None", "x"]
        assert task.X["b"].isna().sum() == N // 4

    def test_rows_without_a_target_are_said_on_the_terminal(self, capsys):
        written(rows(labels=("a", "", "b")))
        assert main(["run", "--data", "t.csv", "--target", "y", "--models", "dummy", "--folds", "2", "--quiet"]) == 0
        assert f"{N // 3} rows without a target were dropped" in capsys.readouterr().out

    def test_the_example(self):
        task = table_task(case("na_words/none.csv"), "stage")
        assert (len(task.y), len(task.classes)) == (120, 3)
        assert "None" in task.classes


class TestNumbers:
    @pytest.mark.parametrize("sign", [" ", "?", "-", "NA", "n/a", "null", "#N/A", ".", "NaN"])
    def test_a_few_signs_for_missing_are_missing_and_said(self, sign):
        values = [f"{i / 8}" for i in range(N)]
        values[3] = values[7] = sign
        expected = make_task(frame(b=[np.nan if i in (3, 7) else i / 8 for i in range(N)]), "y", name="t")
        for column in (values, np.array(values, object), [value if value == sign else float(value) for value in values]):
            task = make_task(frame(b=column), "y", name="t")
            assert task.digest == expected.digest
            assert "2 cells that are no numbers" in task.info["remarks"][0]

    @pytest.mark.parametrize("kind", [Decimal, np.float64, str, np.float32, int, lambda v: pd.NA if v == 3 else v])
    def test_numbers_are_numbers_whatever_holds_them(self, kind):
        task = make_task(frame(b=pd.Series([kind(i) for i in range(N)], dtype=object)), "y", name="t")
        assert task.categorical == []
        assert np.nansum(task.X["b"]) in (sum(range(N)), sum(range(N)) - 3)

    def test_na_is_meant_by_value(self):
        held = [-999 if i == 2 else i for i in range(N)]
        tasks = [
            make_task(frame(b=column), "y", name="t", na=[na])
            for column in (held, [str(v) for v in held], [f"{v}.0" for v in held], [float(v) for v in held])
            for na in ("-999", -999, "-999.0")
        ]
        assert len({task.digest for task in tasks}) == 1
        assert tasks[0].X["b"].isna().sum() == 1

    @pytest.mark.parametrize("na", ["9999-12-31", date(9999, 12, 31), pd.Timestamp(9999, 12, 31)])
    def test_na_is_meant_by_value_of_dates_too(self, na):
        days = [date(9999, 12, 31) if i == 2 else date(2020, 1, 1 + i) for i in range(N)]
        columns = [
            days,
            [str(day) for day in days],
            pd.Series(days, dtype="datetime64[s]"),
            pd.Series(days, dtype="date32[pyarrow]"),
        ]
        tasks = [make_task(frame(b=column), "y", name="t", na=[na]) for column in columns]
        assert len({task.digest for task in tasks}) == 1
        assert tasks[0].X["b"].isna().tolist() == [i == 2 for i in range(N)]

    def test_almost_numbers_are_named_and_read_when_declared(self, capsys):
        table = frame(b=[f"${i},{i:03d}.50" for i in range(N)], c=[f"{i}%" for i in range(N)])
        table.to_csv("t.csv", index=False)
        assert main(["audit", "t.csv", "--target", "y"]) == 0
        out = capsys.readouterr().out
        assert "almost_numeric" in out
        assert "$0,000.50" in out
        assert "numeric = [" in out
        written('[[tasks]]\nname = "t"\nsource = "file"\npath = "t.csv"\ntarget = "y"\nnumeric = ["b", "c"]\n', "s.toml")
        task = load_spec(load_suite("s.toml").tasks[0])
        assert task.X["b"][3] == 3003.5
        assert task.X["c"][3] == 3

    @pytest.mark.parametrize("mark", [";", "\t", "|"])
    def test_decimal_commas_are_points_where_commas_do_not_separate(self, mark):
        cells = [f"{i},5" if i % 3 else "NA" for i in range(N)]
        task = table_task(written("\n".join([f"a{mark}y", *(f"{c}{mark}{'pq'[i % 2]}" for i, c in enumerate(cells))])), "y")
        assert task.X["a"].tolist()[1:3] == [1.5, 2.5]
        assert task.X["a"].isna().sum() == N // 3
        assert "decimal commas in 'a'" in " ".join(task.info["remarks"])

    def test_grouped_digits_are_not_taken_for_decimals(self):
        body = [f"{i + 1},{i:03d}\t{'pq'[i % 2]}" for i in range(N)]
        assert table_task(written("\n".join(["a\ty", *body])), "y").categorical == ["a"]

    @pytest.mark.parametrize(
        ("write", "third"),
        [
            (lambda i: f"{i + 1},{i:03d}", 4003),
            (lambda i: f"{i + 1}.{i:03d},50 €", 4003.5),
            (lambda i: f"{i},5", 3.5),
            (lambda i: f"{i + 1}'{i:03d}.25", 4003.25),
            (lambda i: f"{i + 1} {i:03d}", 4003),
            (lambda i: f"USD {i}.5", 3.5),
            (lambda i: f"{i} kg", 3),
            (lambda i: f"({i})", -3),
            (lambda i: f"-${i}.50" if i % 2 else "0", -3.5),
            (lambda i: f"{i}‰", 3),
            (lambda i: "?" if i == 5 else f"$ {i}", 3),
        ],
    )
    def test_numbers_in_peoples_ways_are_read_when_declared(self, write, third, capsys):
        table = frame(b=[write(i) for i in range(N)])
        assert make_task(table, "y", name="t").categorical == ["b"]
        assert make_task(table, "y", name="t", numeric=["b"]).X["b"][3] == third
        table.to_csv("t.csv", index=False)
        assert main(["audit", "t.csv", "--target", "y"]) == 0
        assert "numeric = ['b']" in capsys.readouterr().out

    @pytest.mark.parametrize("cells", [["$1", "€2"], ["1M", "2K"], ["1/2", "3/4"], ["1.2.3", "2.3.4"], ["a1", "b2"]])
    def test_what_is_no_one_number_is_refused_when_declared(self, cells):
        with pytest.raises(UserError, match="is no number"):
            make_task(frame(b=np.resize(cells, N)), "y", name="t", numeric=["b"])

    def test_blanks_of_every_kind_and_the_typographic_minus_belong_to_numbers(self):
        table = frame(b=["\u00a01.5", "\u22122", " 3\u202f"] * (N // 3))
        assert make_task(table, "y", name="t").X["b"][:3].tolist() == [1.5, -2.0, 3.0]

    def test_numeric_must_be_a_list(self):
        written('[[tasks]]\nname = "t"\nsource = "file"\npath = "t.csv"\ntarget = "y"\nnumeric = "b"\n', "s.toml")
        with pytest.raises(UserError, match="numeric"):
            load_suite("s.toml")

    @pytest.mark.parametrize("value", [1j, np.complex128(1j), Decimal("sNaN"), pd.DateOffset(days=1)])
    def test_other_objects_are_refused(self, value):
        refused(frame(b=pd.Series([value] * N, dtype=object)), "column 'b'")

    def test_the_example_of_money(self, capsys):
        path = case("money/money.csv")
        assert main(["audit", str(path), "--target", "y"]) == 0
        out = capsys.readouterr().out
        for cell, name in (("19,329", "income"), ("23.7%", "share"), ("$100.25", "b")):
            assert f"{name}: Numbers that are written as '{cell}'" in out
            assert f"numeric = ['{name}']" in out
        assert "names the rows" not in out

    def test_the_examples(self):
        blank, clean = (table_task(case(f"numbers/{name}.csv"), "y") for name in ("blank", "clean"))
        assert blank.categorical == clean.categorical
        decimal, floats = (table_task(case(f"numbers/{name}.parquet"), "y") for name in ("decimal", "float"))
        np.testing.assert_allclose(decimal.X, floats.X, atol=0.0051)
        assert decimal.y.tolist() == floats.y.tolist()


class TestTargets:
    @pytest.mark.parametrize(
        ("cells", "n_classes"),
        [(["1e20", "3e20", "5"], 3), (["01", "1"], 2), ([str(2**53), str(2**53 + 1)], 2), ([str(2**63), "1"], 2)],
    )
    def test_labels_are_what_is_written(self, cells, n_classes):
        for table in (written(rows(labels=cells)), frame(y=np.resize(np.array(cells, object), N))):
            assert len(table_task(table, "y").classes) == n_classes

    def test_large_integers_keep_apart_in_parquet_with_gaps(self):
        labels = pd.array(np.resize([2**53, 2**53 + 1], N), "Int64")
        labels[0] = pd.NA
        frame(y=labels).to_parquet("t.parquet")
        assert table_task("t.parquet", "y").classes == (str(2**53), str(2**53 + 1))

    def test_one_and_its_spellings_are_one_label(self):
        digests = {
            make_task(frame(y=np.resize(np.array(cells, object), N)), "y", name="t").digest
            for cells in (
                [1, 2, 10],
                [1.0, 2.0, 10.0],
                ["1", "2", "10"],
                ["1.0", "2.0", "10.0"],
                [Decimal(1), Decimal(2), Decimal(10)],
            )
        }
        assert len(digests) == 1

    @pytest.mark.parametrize("cells", [["inf", "1"], ["1.5", "-inf", "2"]])
    def test_infinite_targets_are_one_line(self, cells):
        refused(written(rows(labels=cells)), "infinite")
        refused(frame(y=np.resize(np.array(cells, float), N)), "infinite")

    def test_halves_are_classes_when_declared(self, capsys):
        written(rows(labels=("0", "0.5", "1")))
        refused("t.csv", "regression", "--classes")
        assert table_task("t.csv", "y", classes=True).classes == ("0", "0.5", "1")
        command = ["run", "--data", "t.csv", "--target", "y", "--models", "dummy", "--folds", "2", "--classes", "--out", "r"]
        assert main(command) == 0
        assert main(["verify", "r"]) == 0

    def test_the_examples(self):
        refused(case("target_codes/inf.csv"), "infinite")
        assert len(table_task(case("target_codes/huge3.csv"), "y").classes) == 3
        assert len(table_task(case("target_codes/half.csv"), "result", classes=True).classes) == 3


DAYS = [date(2020, 1, 1) + timedelta(days=i) for i in range(N)]


class TestDates:
    @pytest.mark.parametrize(
        "column",
        [
            pd.to_datetime(DAYS),
            pd.Series(pd.to_datetime(DAYS)).astype("datetime64[ms]"),
            pd.Series(pd.to_datetime(DAYS)).dt.tz_localize("UTC"),
            pd.Series(DAYS, dtype=object),
            pd.Series(pd.to_datetime(DAYS), dtype=object),
            pd.Series(pd.to_datetime(DAYS)).dt.to_period("D"),
            pd.Series(DAYS, dtype="date32[pyarrow]"),
            pd.Series(pd.to_datetime(DAYS)).astype("timestamp[us][pyarrow]"),
            [day.isoformat() for day in DAYS],
            [f"{day.isoformat()}T00:00:00Z" for day in DAYS],
        ],
        ids=lambda column: str(getattr(column, "dtype", type(column))),
    )
    def test_every_form_is_seconds(self, column):
        expected = [(day - date(1970, 1, 1)).days * 86400.0 for day in DAYS]
        table = frame(b=column)
        assert make_task(table, "y", name="t").X["b"].tolist() == expected
        table.to_csv("t.csv", index=False)
        assert table_task("t.csv", "y").X["b"].tolist() == expected
        if not isinstance(table["b"].dtype, pd.PeriodDtype):
            table.to_parquet("t.parquet")
            assert table_task("t.parquet", "y").X["b"].tolist() == expected

    @pytest.mark.parametrize(
        "column",
        [
            pd.to_timedelta(np.arange(N) * 90.5, unit="s"),
            pd.Series([timedelta(seconds=i * 90.5) for i in range(N)], dtype=object),
            pd.Series(pd.to_timedelta(np.arange(N) * 90.5, unit="s")).astype("duration[us][pyarrow]"),
        ],
    )
    def test_durations_are_seconds(self, column):
        table = frame(b=column)
        assert make_task(table, "y", name="t").X["b"].tolist() == [i * 90.5 for i in range(N)]
        table.to_csv("t.csv", index=False)
        assert table_task("t.csv", "y").X["b"].tolist() == [i * 90.5 for i in range(N)]

    def test_times_are_seconds_since_midnight(self):
        table = frame(b=[time(i % 24, 30, 5) for i in range(N)])
        table.to_parquet("t.parquet")
        for data in (table, "t.parquet"):
            assert table_task(data, "y").X["b"].tolist() == [i % 24 * 3600 + 1805.0 for i in range(N)]

    @pytest.mark.parametrize(
        ("write", "seconds"),
        [
            (lambda i: f"2020/1/{i + 1}", 86400),
            (lambda i: f"2020.01.{i + 1:02d}", 86400),
            (lambda i: f" 2020-01-{i + 1:02d} ", 86400),
            (lambda i: f"2020-01-{i + 1:02d} 10:30", 86400),
            (lambda i: f"2020-01-{i + 1:02d} 10:30:00.250 UTC", 86400),
            (lambda i: f"2020-01-01T{i:02d}:00:00+01:00", 3600),
            (lambda i: f"2020-01-{i + 1:02d}" if i != 7 else "0000-00-00", 86400),
            (lambda i: f"{i:02d}:30", 3600),
            (lambda i: f"{i:02d}:30:00+00:00", 3600),
            (lambda i: f"{i % 12 or 12}:30 {'AP'[i // 12]}M", 3600),
            (lambda i: f"{i + 90}:00:00", 3600),
            (lambda i: f"P{i}DT1H", 86400),
        ],
    )
    def test_texts_that_can_be_read_in_one_way_are_dates_and_times(self, write, seconds):
        task = make_task(frame(b=[write(i) for i in range(N)]), "y", name="t")
        assert set(np.diff(task.X["b"].dropna()[:6])) == {seconds}
        assert "column 'b'" in task.info["remarks"][0]

    @pytest.mark.parametrize("freq", ["M", "Q", "D", "h"])
    def test_periods_are_the_same_in_a_file(self, freq):
        table = frame(b=pd.period_range("2020-01-01", periods=N, freq=freq))
        table.to_csv("t.csv", index=False)
        expected = table["b"].dt.to_timestamp().astype("datetime64[s]").astype("int64").tolist()
        for data in (table, "t.csv"):
            assert table_task(data, "y").X["b"].tolist() == expected

    def test_periods_as_classes_keep_their_names(self):
        table = frame(y=pd.PeriodIndex(np.resize(["2020-01", "2020-02"], N), freq="M"))
        table.to_csv("t.csv", index=False)
        assert table_task("t.csv", "y").classes == table_task(table, "y").classes == ("2020-01", "2020-02")

    def test_days_of_any_year_and_nanoseconds_of_a_day(self):
        import pyarrow as pa

        long_ago = pa.array(np.arange(N) - 10**6, pa.int32()).cast(pa.date32())
        noon = pa.array([i * 3600 * 10**9 + 5 for i in range(N)], pa.int64()).cast(pa.time64("ns"))
        table = pa.table({"b": long_ago, "c": noon, "y": ["p", "q"] * (N // 2)})
        task = table_task(table, "y")
        assert task.X["b"][0] == -(10**6) * 86400.0
        assert task.X["c"][2] == 7200 + 5e-9
        held = pd.DataFrame(
            {"b": pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([long_ago]))), "y": ["p", "q"] * (N // 2)}
        )
        assert table_task(held, "y").X["b"].tolist() == task.X["b"].tolist()

    def test_dates_that_may_mean_two_days_are_labels_and_the_audit_says_so(self, capsys):
        frame(b=[f"{i % 12 + 1:02d}/01/2020" for i in range(N)]).to_csv("t.csv", index=False)
        assert main(["audit", "t.csv", "--target", "y"]) == 0
        assert "written_date" in capsys.readouterr().out

    def test_the_year_9999_is_far_and_no_trouble(self):
        table = frame(b=[date(9999, 12, 31) if i == 3 else day for i, day in enumerate(DAYS)])
        table.to_parquet("t.parquet")
        for data in (table, "t.parquet"):
            assert table_task(data, "y").X["b"][3] == 253402214400.0

    @pytest.mark.parametrize(("cell", "word"), [([1, 2], "nested"), ({"a": 1}, "nested"), (b"ab", "binary"), ((1, 2), "nested")])
    def test_nested_and_binary_cells_are_refused_by_name(self, cell, word):
        refused(frame(b=pd.Series([cell] * N)), word, "'b'")

    def test_the_examples(self):
        days, stamps = (table_task(case(f"dates/{name}.parquet"), "y") for name in ("date32", "timestamp"))
        assert days.digest == stamps.digest


class TestFormats:
    @pytest.mark.parametrize(
        "name", ["t.parquet", "t.PARQUET", "t.feather", "t.jsonl", "t.xlsx", "t.csv.gz", "T.CSV.ZIP", "t.csv.xz"]
    )
    def test_formats_give_one_task(self, name):
        if name.endswith("xlsx"):
            pytest.importorskip("openpyxl")
        table = frame(b=["x", None, "z"] * (N // 3))
        suffix = Path(name).suffix.lower()
        if suffix in (".parquet", ".feather", ".xlsx"):
            kind = {".parquet": "parquet", ".feather": "feather", ".xlsx": "excel"}[suffix]
            getattr(table, f"to_{kind}")(name, **({"index": False} if kind == "excel" else {}))
        elif suffix == ".jsonl":
            table.to_json(name, orient="records", lines=True)
        else:
            table.to_csv(name.lower(), index=False)
            Path(name.lower()).rename(name)
        assert table_task(name, "y").digest == make_task(table, "y", name="t").digest

    def test_a_folder_of_parquet_files_is_one_table(self):
        table = frame()
        Path("d").mkdir()
        table[:10].to_parquet("d/0.parquet")
        table[10:].to_parquet("d/1.parquet")
        assert table_task("d", "y").digest == make_task(table, "y", name="t").digest

    def test_a_folder_is_read_whole_or_not_at_all(self):
        table = frame(b=np.arange(N))
        Path("d").mkdir()
        table[:10].to_parquet("d/0.parquet")
        table[10:].assign(b=table["b"] + 0.5)[["y", "b", "a"]].to_parquet("d/1.PARQUET")
        written("not a table", "d/README.md")
        task = table_task("d", "y")
        assert task.X["b"].tolist() == [*range(10), *(i + 0.5 for i in range(10, N))]
        table[10:].drop(columns="b").to_parquet("d/1.PARQUET")
        refused("d", "0.parquet and 1.PARQUET have other columns ('b')")
        table[10:].assign(b="x").to_parquet("d/1.PARQUET")
        refused("d", "not parts of one table")
        written(b"PAR1junk", "d/1.PARQUET")
        refused("d", "1.PARQUET", "cannot be read")

    def test_folders_that_are_called_by_a_value_are_a_column(self):
        table = frame(year=np.resize([2023, 2024], N))
        for year in (2023, 2024):
            Path(f"d/year={year}").mkdir(parents=True)
            table[table["year"] == year].drop(columns="year").to_parquet(f"d/year={year}/0.parquet")
        expected = table.sort_values("year", kind="stable")
        assert table_task("d", "y").X["year"].tolist() == expected["year"].tolist()

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
    def test_marked_encodings_are_read(self, encoding):
        text = rows(labels=("ü", "q"))
        assert table_task(written(text.encode(encoding)), "y").classes == ("q", "ü")

    def test_arff_with_dates_and_comments(self):
        head = "% c\n@relation r\n@attribute a numeric % the size\n"
        head += "@attribute d date 'yyyy-MM-dd'\n@attribute y {p, q} % label\n@data\n"
        task = table_task(written(head + "1,2020-01-01,p\n?,2020-01-02,q\n" * 4, "t.arff"), "y")
        assert task.X["d"][1] - task.X["d"][0] == 86400
        assert task.X["a"].isna().sum() == 4

    @pytest.mark.parametrize(
        ("kind", "write"),
        [
            ("date", lambda i: f"'2020-01-{i + 1:02d}T10:00:00'"),
            ('DATE "yyyy-MM-dd HH:mm:ss.SSS" % when', lambda i: f'"2020-01-{i + 1:02d} 10:00:00.250"'),
            ("date dd-MMM-yyyy", lambda i: f"{i + 1:02d}-Jan-2020"),
            ("date 'M/d/yy'", lambda i: f"1/{i + 1}/20"),
            ('date "yyyy-MM-dd hh:mm a"', lambda i: f'"2020-01-{i + 1:02d} 10:30 PM"'),
            ("date \"yyyy-MM-dd'T'HH:mm:ssZ\"", lambda i: f"2020-01-{i + 1:02d}T10:00:00+0100"),
        ],
    )
    def test_arff_dates_in_the_forms_that_java_knows(self, kind, write):
        head = f"@RELATION\tr\n@ATTRIBUTE\td\t{kind}\n@attribute y {{p,q}}\n@DATA % rows\n"
        task = table_task(written(head + "".join(f"{write(i)},{'pq'[i % 2]}\n" for i in range(N)), "t.arff"), "y")
        assert set(np.diff(task.X["d"])) == {86400.0}

    def test_sparse_arff_leaves_out_zeros_and_first_labels(self):
        head = "@relation r\n@attribute a numeric\n@attribute c {'very low',mid,'o, k'}\n@attribute y {p,q,'no one'}\n@data\n"
        cells = [(a, c, y) for a in ("0", "2.5", "?") for c in ("'very low'", "mid", "'o, k'", "?") for y in "pq"] * 2
        left_out = {"0", "'very low'", "p"}
        dense = "".join(f"{','.join(row)}\n" for row in cells)
        kept = [", ".join(f"{i} {cell}" for i, cell in enumerate(row) if cell not in left_out) for row in cells]
        full = table_task(written(head + dense, "dense.arff"), "y")
        task = table_task(written(head + "".join(f"{{{row}}}\n" for row in kept), "sparse.arff"), "y")
        assert task.digest == full.digest
        assert task.classes == ("p", "q")
        assert set(task.X["c"].cat.categories) == {"very low", "mid", "o, k"}
        assert (task.X["a"] == 0).sum() == 16

    @pytest.mark.parametrize(
        ("attribute", "row", "says"),
        [
            ("string", "{1 q}", "leaves out attribute 0 (from 0), a string, which has no zero"),
            ("date yyyy", "{1 q}", "leaves out attribute 0 (from 0), a date, which has no zero"),
            ("numeric", "{0 1, 0 2}", "line 29: a sparse row gives an attribute twice"),
            ("numeric", "{2 1}", "line 29"),
            ("numeric", "{0 1, 1 r}", "line 29"),
            ("numeric", "1,q", "line 29"),
            ("numeric", "{0 x}", "line 29"),
        ],
    )
    def test_sparse_arff_says_where_and_what(self, attribute, row, says):
        text = f"@relation r\n@attribute a {attribute}\n@attribute y {{p,q}}\n@data\n" + "{0 2020}\n{0 2020, 1 q}\n" * 12
        refused(written(f"{text}{row}\n", "t.arff"), says)

    @pytest.mark.parametrize(
        ("head", "row", "says"),
        [
            ("@attribute a numeric\n", "abc,p", "line 29: Invalid numerical value"),
            ("@attribute a {u,v}\n", "w,p", "line 29: Data value w not found in nominal declaration"),
            ("@attribute a numeric\n", "1,p,x", "line 29"),
            ("@attribute a relational\n", "1,p", "relational"),
            ("@attribute a date 'yyyy-ww'\n", "1,p", "'ww', which is not known"),
            ("@attribute a date yyyy\n", "soon,p", "no date in the form that is declared"),
        ],
    )
    def test_arff_says_where_and_what(self, head, row, says):
        cell = "2020" if "date" in head else "v" if "{u" in head else "1"
        text = f"@relation r\n{head}@attribute y {{p,q}}\n@data\n" + f"{cell},p\n{cell},q\n" * 12
        refused(written(f"{text}{row}\n", "t.arff"), says)

    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("t.csv.gz", gzip.compress(PLAIN.encode())[:40], ("damaged",)),
            ("t.csv.gz", PLAIN.encode(), ("no such archive",)),
            ("t.csv.xz", b"\xfd7zXZ\0junk", ("damaged",)),
            ("t.csv.zst", b"\x28\xb5\x2f\xfdjunk", ("damaged",)),
            ("t.csv.zip", b"PK\x03\x04junk", ("damaged",)),
            ("t.pkl", b"\x80\x04\x95junk", ("pickle",)),
            ("t.csv", b"<!DOCTYPE html><html>", ("web page",)),
            ("t.xls", b"\xd0\xcf\x11\xe0junk", ("old Excel",)),
            ("t.xlsx", b"PK\x03\x04junk", ("damaged",)),
            ("t.parquet", b"PAR1junk", ("cannot be read",)),
            ("t.arff", b"@relation r\n@data\n1,2\n", ("ARFF",)),
            ("t.jsonl", b"[1, 2]\n", ("JSON",)),
            ("t.csv", b"", ("empty",)),
            ("t.csv", b"\n\n  <!DOCTYPE html><html>", ("web page",)),
            ("t.xls", b"<table><tr><td>1", ("web page",)),
            ("t.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:0", ("git lfs pull",)),
            ("t.csv", b"Rar!\x1a\x07junk", ("RAR archive",)),
            ("t.parquet", PLAIN.encode(), ("does not begin as one",)),
            ("t.feather", PLAIN.encode(), ("does not begin as one",)),
            ("t.csv", PLAIN.encode("utf-16")[:-1], ("UTF-16", "cut short")),
            ("t.json", b'{"a": {"0": 1}, "y": {"0": "p"}}', ("orient='records'",)),
            ("t.jsonl", b'{"a": 1, "a": 2, "y": "p"}\n', ("names 'a' twice",)),
            ("t.csv.gz", gzip.compress(PLAIN.encode())[:-8] + bytes(8), ("damaged",)),
            ("t.csv.gz", gzip.compress(PLAIN.encode()) + b"more", ("damaged",)),
            ("t.csv", "a,y\n1,2\n".encode("utf-16")[2:], ("UTF-16",)),
        ],
        # not the bytes themselves: gzip writes the time into them
        ids=lambda value: "" if isinstance(value, bytes) else None,
    )
    def test_what_cannot_be_read_is_one_line(self, name, content, words, capsys):
        refused(written(content, name), *words)
        assert main(["audit", name, "--target", "y"]) == 2
        assert main(["stats", name]) == 2
        assert main(["import", "tabarena", name, "--out", "r"]) == 2
        assert "Traceback" not in capsys.readouterr().err

    def test_rows_of_json_are_read_under_any_name(self):
        frame().to_json("t.csv", orient="records", lines=True)
        assert table_task("t.csv", "y").digest == make_task(frame(), "y", name="t").digest

    def test_hidden_files_in_an_archive_are_none(self):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name in ("d/", "d/t.csv", "d/.DS_Store", "__MACOSX/d/._t.csv"):
                archive.writestr(name, PLAIN)
        assert table_task(written(buffer.getvalue(), "t.zip"), "y").X.shape == (N, 2)

    @pytest.mark.parametrize(("inside", "what"), [("word/document.xml", "Word"), ("content.xml", "OpenDocument")])
    def test_other_documents_are_named(self, inside, what):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(inside, "<a/>")
        refused(written(buffer.getvalue(), "t.docx"), what)

    def test_an_archive_of_two_files_is_asked_about(self):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("a.csv", PLAIN)
            archive.writestr("b.csv", PLAIN)
        refused(written(buffer.getvalue(), "t.zip"), "holds 2 files")

    def test_a_plan_says_what_was_not_taken_as_written_and_what_is_lacking(self, capsys):
        written(gzip.compress(PLAIN.encode())[:40], "bad.csv.gz")
        written(rows(end=",", labels=("p", "q", "")))
        task = '[[tasks]]\nname = "{0}"\nsource = "file"\npath = "{0}"\ntarget = "y"\n'
        written(task.format("bad.csv.gz") + task.format("t.csv"), "s.toml")
        assert main(["plan", "--suite", "s.toml", "--models", "dummy", "--folds", "2"]) == 0
        out = capsys.readouterr().out
        assert "remark  t.csv: 24 rows end with an empty field" in out
        assert "remark  t.csv: 8 rows without a target were dropped" in out
        assert "bad.csv.gz is not to be had, and left out" in out

    def test_a_suite_goes_on_without_its_bad_tables(self, capsys):
        written(gzip.compress(PLAIN.encode())[:40], "bad.csv.gz")
        written(PLAIN)
        task = '[[tasks]]\nname = "{0}"\nsource = "file"\npath = "{0}"\ntarget = "y"\n'
        written(task.format("bad.csv.gz") + task.format("t.csv"), "s.toml")
        assert main(["run", "--suite", "s.toml", "--models", "dummy", "--folds", "2", "--quiet"]) == 0
        assert "not run: bad.csv.gz" in capsys.readouterr().out

    def test_a_name_with_a_blank_is_named(self):
        refused(written(PLAIN.replace("y\n", " y\n", 1)), "did you mean ' y' (with the blank)")

    def test_the_examples(self):
        assert table_task(case("formats/semicolon.csv"), "y").X.shape[1] == 3
        assert table_task(case("formats/t.arff"), "y").X.shape[1] >= 2
        refused(case("formats/space.csv"), "' Label' (with the blank)", target="Label")
        for name in ("truncated.csv.gz", "crc.csv.zip"):
            refused(case(f"archives/{name}"), "damaged")


class TestData:
    @pytest.mark.parametrize(
        "data",
        [
            frame().to_numpy(),
            {"0": frame()["a"], "1": frame()["y"]},
            frame().set_axis([0, 1], axis=1),
        ],
    )
    def test_integer_names_may_be_named_by_integers(self, data):
        assert table_task(data, 1).classes == ("p", "q")

    def test_pairs_and_arrow_tables(self):
        import pyarrow as pa

        table = frame()
        pair = table_task((table[["a"]], table["y"]), None)
        assert pair.classes == ("p", "q")
        assert table_task((table[["a"]].to_numpy(), list(table["y"])), None).y.tolist() == pair.y.tolist()
        assert table_task(pa.table(table), "y").digest == make_task(table, "y", name="t").digest

    def test_names_that_are_tuples(self):
        table = frame().set_axis(pd.MultiIndex.from_tuples([("u", "a"), ("u", "y")]), axis=1)
        assert table_task(table, ("u", "y")).classes == ("p", "q")

    @pytest.mark.parametrize("data", [3, np.zeros(3), None and 0, {"a": [1], "b": [1, 2]}, ("a", "b"), object()])
    def test_anything_else_is_one_line(self, data):
        refused(data)

    def test_a_named_index_is_said(self):
        task = table_task(frame(b=[f"r{i}" for i in range(N)]).set_index("b"), "y")
        assert "index ('b')" in task.info["remarks"][0]


class TestFolds:
    def make(self, cells):
        return make_task(frame(f=np.resize(np.array(cells, object), N)), "y", name="t", test_fold="f")

    def test_words(self):
        assert set(self.make(["train", "test", "Train "]).test_fold) == {-1, 0}

    @pytest.mark.parametrize(
        ("cells", "says"),
        [
            (["train", "valid"], "'valid' is no fold"),
            ([0, None, 1], "empty cells"),
            ([0], "nothing trains"),
            ([-1], "nothing is tested"),
            (["train"], "nothing is tested"),
            ([0.5, 1], "'0.5' is no fold"),
            ([True, False], "'True' is no fold"),
            ([-2, 0], "'-2' is no fold"),
            ([np.inf, 0], "'inf' is no fold"),
            ([2**63, 0], "'9223372036854775808' is no fold"),
            ([1e300, 0], "'1e.300' is no fold"),
            (["train", 0], "'0' is no fold"),
            (["A", "B"], "'A' is no fold"),
            ([pd.Timestamp(2020, 1, 1), pd.Timestamp(2020, 1, 2)], "is no fold"),
        ],
    )
    def test_others_are_refused(self, cells, says):
        with pytest.raises(UserError, match=says):
            self.make(cells)

    def test_the_example(self):
        task = load_spec(load_suite(str(case("test_fold/split.toml"))).tasks[0])
        assert set(task.test_fold) == {-1, 0}


def test_constant_features_give_the_shares_of_the_classes(capsys):
    frame().assign(a=1.0).to_csv("t.csv", index=False)
    assert (
        main(["run", "--data", "t.csv", "--target", "y", "--models", "tree,catboost", "--folds", "2", "--out", "r", "--quiet"])
        == 0
    )
    table = pd.read_parquet("r/results.parquet")
    assert table["status"].tolist() == ["ok"] * 4
    assert table["roc_auc_ovo"].tolist() == [0.5] * 4
    assert table["note"].str.contains("no feature varies").all()


class TestGroups:
    def test_groups_are_the_same_in_every_form(self):
        table = frame(g=pd.array(np.resize([7, 7, 10, 3], N), "Int64"))
        table.to_csv("t.csv", index=False)
        table.to_parquet("t.parquet")
        tables = [read_file(Path("t.csv"))[0], read_file(Path("t.parquet"))[0], table, table.astype({"g": "category"})]
        assert len({make_task(found, "y", name="t", groups="g").digest for found in tables}) == 1

    def test_rows_without_a_group_are_refused_in_every_form(self):
        table = frame(g=pd.array(np.resize([7, 7, None, 3], N), "Int64"))
        table.to_csv("t.csv", index=False)
        table.to_parquet("t.parquet")
        for found in (read_file(Path("t.csv"))[0], read_file(Path("t.parquet"))[0], table):
            with pytest.raises(UserError, match=f"{N // 4} empty cells: give every row its group"):
                make_task(found, "y", name="t", groups="g")


class TestLabels:
    def found(self, capsys, table):
        table.to_csv("t.csv", index=False)
        assert main(["audit", "t.csv", "--target", "y"]) == 0
        return capsys.readouterr().out

    @pytest.mark.parametrize("other", ["p ", " p", "P", "p\u00a0"])
    def test_labels_that_differ_by_a_blank_or_by_case_are_found(self, other, capsys):
        cells = np.resize(["p", other, "q"], N)
        assert "Classes that differ by a blank or by case alone" in self.found(capsys, frame(y=cells))
        assert "Levels that differ by a blank or by case alone" in self.found(capsys, frame(b=cells))

    def test_a_header_inside_is_found(self, capsys):
        written(PLAIN + "a,b,y\n" + PLAIN.partition("\n")[2])
        assert main(["audit", "t.csv", "--target", "y"]) == 0
        assert "1 rows repeat the header (row 25)" in capsys.readouterr().out
        assert main(["run", "--data", "t.csv", "--target", "y", "--models", "dummy", "--folds", "2", "--quiet"]) == 0
        assert "1 rows repeat the header (row 25)" in capsys.readouterr().out

    def test_ages_as_classes_are_asked_about(self, capsys):
        assert "is regression meant?" in self.found(
            capsys, pd.DataFrame({"a": range(200), "y": [i % 46 + 18 for i in range(200)]})
        )

    def test_the_example(self, capsys):
        assert main(["audit", str(case("labels/labels.csv")), "--target", "y"]) == 0
        assert "Classes that differ by a blank or by case alone: 'yes', 'yes '" in capsys.readouterr().out


def scores(path, models):
    command = ["run", "--data", str(path), "--target", "y", "--models", models, "--folds", "2", "--out", "r", "--quiet"]
    assert main(command) == 0
    table = pd.read_parquet("r/results.parquet")
    assert set(table["status"]) == {"ok"}
    return table.groupby("model")["roc_auc_ovo"].mean()


def test_the_example_of_the_order_of_classes():
    plain, turned = scores(case("classes_order/blank_first.csv"), "sklearn.naive_bayes:GaussianNB,tests.support.misfits:Reversed")
    assert plain == turned > 0.9


def test_the_example_of_constant_features():
    for package in ("catboost", "lightgbm"):
        pytest.importorskip(package)
    assert scores(case("constant/constant.csv"), "catboost,lightgbm").tolist() == [0.5, 0.5]
