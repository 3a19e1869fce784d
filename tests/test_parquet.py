"""A small Parquet file of a stranger that would unpack to more than a machine holds is refused in one line, wherever it lies."""

import os
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tabbench.border import parquet
from tabbench.border.parquet import read_parquet
from tabbench.cli import main
from tabbench.engine.sandbox import stop_server
from tabbench.store.checksums import write_checksums

MILLION = 1_000_000


def text_of(n_letters, n_rows):
    """One text, kept once in the file."""
    texts = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n_rows, np.int32)), pa.array(["x" * n_letters]))
    return pa.table({"model": texts}).replace_schema_metadata(None)


def rows(path):
    """Five million equal rows, of columns that a results table has."""
    part = pa.table({"fold": np.zeros(MILLION, np.int64), "model": text_of(1, MILLION)["model"]})
    with pq.ParquetWriter(path, part.schema, store_schema=False, compression="zstd") as writer:
        for _ in range(5):
            writer.write_table(part)


def letters(path):
    """100 gigabytes of one letter."""
    pq.write_table(text_of(MILLION, 100_000), path, store_schema=False, compression="zstd")


def nested(path):
    """A list of a million numbers in every row."""
    values = pa.DictionaryArray.from_arrays(pa.array(np.zeros(MILLION, np.int32)), pa.array([1.5]))
    lists = pa.ListArray.from_arrays(pa.array([0, MILLION], pa.int32()), values.cast(pa.float64()))
    with pq.ParquetWriter(path, pa.schema({"fold": lists.type}), compression="zstd") as writer:
        for _ in range(3):
            writer.write_table(pa.table({"fold": lists}))


def wide(path):
    """Texts of a size that no cell has."""
    pq.write_table(pa.table({"fold": pa.array([b"\0" * MILLION] * 2, pa.binary(MILLION))}), path, compression="zstd")


BOMBS = {"rows": rows, "letters": letters, "nested": nested, "wide": wide}


@pytest.fixture(scope="module")
def bombs(tmp_path_factory):
    place = tmp_path_factory.mktemp("bombs")
    for name, write in BOMBS.items():
        write(place / name)
    return place


@pytest.fixture(scope="module", autouse=True)
def private_data(tmp_path_factory):
    os.environ["TABBENCH_DATA"] = str(tmp_path_factory.mktemp("data"))
    stop_server()
    yield
    del os.environ["TABBENCH_DATA"]


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    monkeypatch.setattr("tabbench.report.page.render", lambda *_: "drawing takes seconds")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A run within limits, and a folder of imported results."""
    place = tmp_path_factory.mktemp("made")
    x = np.random.default_rng(0).normal(size=(60, 2))
    pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": x[:, 0] > 0}).to_csv(place / "one.csv", index=False)
    (place / "theirs.csv").write_text("id,task,framework,fold,result,metric,duration\n1,a,x,0,0.5,auc,1\n1,a,z,0,0.6,auc,1\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tabbench.report.page.render", lambda *_: "drawing takes seconds")
        words = ["run", "--data", place / "one.csv", "--target", "y", "--models", "dummy,tree", "--folds", "2", "--quiet"]
        assert main([*map(str, words), "--limit-model-mb", "100", "--out", str(place / "run")]) == 0
        assert main(["import", "amlb", str(place / "theirs.csv"), "--out", str(place / "imported")]) == 0
    return place


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_told_by_its_reader(bombs, bomb):
    assert (bombs / bomb).stat().st_size < 2 * MILLION
    with pytest.raises(ValueError, match=r"rows in so few bytes|it would unpack|texts of more than|neither numbers nor texts"):
        read_parquet(bombs / bomb)


def test_what_is_large_for_its_bytes_is_read_as_long_as_it_fits(tmp_path, monkeypatch):
    table = pd.DataFrame({"model": ["x" * 1000] * 5000, "score": np.arange(5000.0), "ok": True, "n": pd.array([1, None] * 2500)})
    table.to_parquet(tmp_path / "t")
    pd.testing.assert_frame_equal(read_parquet(tmp_path / "t"), table)
    assert list(read_parquet(tmp_path / "t", ["score"])) == ["score"]
    monkeypatch.setattr(parquet, "MAX_BYTES", 4_999_999)
    with pytest.raises(ValueError, match="texts of more than 4,999,999 bytes, unpacked"):
        read_parquet(tmp_path / "t")
    monkeypatch.setattr(parquet, "MAX_BYTES", 159_999)
    with pytest.raises(ValueError, match="5,000 rows of 4 columns: it would unpack to more than"):
        read_parquet(tmp_path / "t")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\xff" * 200 + b"PAR1", b"x" * 1000])
def test_what_is_no_parquet_file_is_one_line(tmp_path, content):
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - pyarrow's words
        read_parquet(tmp_path / "t")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "bomb"),
    [
        *(("run/results.parquet", "letters"), ("run/metafeatures.parquet", "nested"), ("run/splits", "rows")),
        *(("imported/imported.parquet", "letters"), ("imported/imported.parquet", "rows")),
    ],
)
def test_every_command_holds_with_a_bomb_in_a_folder(bombs, folders, tmp_path, capsys, place, bomb):
    name = place.partition("/")[0]
    shutil.copytree(folders / name, tmp_path / name)
    folder, path = tmp_path / name, tmp_path / place
    [path] = path.glob("*.parquet") if path.is_dir() else [path]
    shutil.copyfile(bombs / bomb, path)
    write_checksums(folder)
    whole = folders / name
    capsys.readouterr()
    for words in (
        *(["status", folder], ["report", folder], ["leaderboard", folder], ["diff", folder, whole], ["verify", folder]),
        *(["merge", folder, whole, "--out", tmp_path / "m"], ["pack", folder, "--out", tmp_path / "p.zip"]),
    ):
        shutil.copyfile(bombs / bomb, path)
        write_checksums(folder)
        code = main([str(word) for word in words])
        err = capsys.readouterr().err
        assert "Traceback" not in err
        assert code in (0, 1) or (code == 2 and len(err.splitlines()) == 1), (words, err)
