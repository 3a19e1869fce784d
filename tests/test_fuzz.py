"""Fuzzed input: whatever a file holds, the user gets a result or one line, and nothing is written outside the folder at hand."""

import io
import json
import shutil
import tempfile
import warnings
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tabbench
from tabbench.data.arff import read_arff
from tabbench.data.gather import table_task
from tabbench.data.suite import load_spec, load_suite
from tabbench.errors import UserError
from tabbench.folders.diff import compare_folders
from tabbench.folders.pack import pack, unpack
from tabbench.folders.status import status
from tabbench.store.claims import Claims
from tabbench.store.manifest import read_manifest
from tabbench.store.metadata import croissant, ro_crate
from tabbench.store.repair import repair_store
from tabbench.store.runs import ResultStore

fuzz = settings(
    max_examples=35,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
CSV = b"a,b,y\n1,x,p\n2,,q\n3,x,p\n4,z,q\n"
TOML = '[[tasks]]\nname = "t"\nsource = "file"\npath = "t.csv"\ntarget = "y"\ncategorical = ["b"]\ndrop = ["a"]\nna = ["?"]\n'
SOME = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.integers(), max_size=2))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A result folder and its archive."""
    place = tmp_path_factory.mktemp("fuzz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TABBENCH_DATA", str(place / "data"))
        patch.setattr("tabbench.report.page.render", lambda *_: "drawing takes seconds")
        frame = pd.DataFrame({"a": range(40), "y": np.arange(40) % 2})
        tabbench.run(data=frame, target="y", models=["dummy"], folds=2, out=place / "r", quiet=True)
        pack(place / "r", place / "r.zip")
        yield place


def bitten(content: bytes) -> st.SearchStrategy[bytes]:
    """The content with a few bytes changed, cut out or put in."""
    bite = st.tuples(st.integers(0, len(content)), st.integers(0, 30), st.binary(max_size=8))

    def apply(bites: list[tuple[int, int, bytes]]) -> bytes:
        result = content
        for at, n, new in bites:
            result = result[:at] + new + result[at + n :]
        return result

    return st.lists(bite, min_size=1, max_size=3).map(apply)


def only_one_line(act) -> None:
    text = ""
    try:
        act()
    except UserError as error:
        text = str(error)
    assert "\n" not in text


def table(path: Path) -> None:
    only_one_line(lambda: table_task(path, "y"))


@fuzz
@given(st.one_of(bitten(CSV), st.binary(max_size=200), st.text("a,\n\"'\\;1.e-yé\0", max_size=60).map(str.encode)))
def test_csv(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    table(tmp_path / "t.csv")


@cache
def parquet() -> bytes:
    buffer = io.BytesIO()
    pd.read_csv(io.BytesIO(CSV)).to_parquet(buffer)
    return buffer.getvalue()


@fuzz
@given(st.one_of(bitten(parquet()), st.binary(max_size=200)))
def test_parquet(tmp_path, content):
    (tmp_path / "t.parquet").write_bytes(content)
    table(tmp_path / "t.parquet")


@fuzz
@given(st.one_of(bitten(b"@relation r\n@attribute a numeric\n@attribute y {p,q}\n@data\n1,p\n?,'q'\n"), st.binary(max_size=100)))
def test_arff(content):
    only_one_line(lambda: read_arff(content.decode(errors="replace")))


@fuzz
@given(
    st.one_of(
        bitten(TOML.encode()),
        st.dictionaries(
            st.sampled_from(
                ["name", "source", "path", "target", "categorical", "drop", "na", "groups", "test_fold", "title", "extra"]
            ),
            SOME.filter(lambda value: value is not None),
            max_size=4,
        ).map(lambda values: (TOML + toml(values)).encode()),
    )
)
def test_suites(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(CSV)
    (tmp_path / "s.toml").write_bytes(content)

    def load() -> None:
        for spec in load_suite(str(tmp_path / "s.toml")).tasks:
            load_spec(spec)

    only_one_line(load)


def toml(values: dict) -> str:
    """A second task with these keys."""
    return "[[tasks]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


@fuzz
@given(data=st.data())
def test_manifests(made, tmp_path, data):
    manifest = json.loads((made / "r" / "manifest.json").read_text())
    node, trail = manifest, []
    while isinstance(node, dict | list) and node:
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        trail.append((node, key))
        node = node[key]
        if data.draw(st.booleans()):
            break
    parent, key = trail[-1]
    if data.draw(st.booleans()):
        del parent[key]
    else:
        parent[key] = data.draw(SOME)
    folder = tmp_path / "r"
    shutil.copytree(made / "r", folder, dirs_exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for act in (
        lambda: status(folder),
        lambda: compare_folders(folder, made / "r"),
        lambda: (ro_crate(read_manifest(folder)), croissant(folder, read_manifest(folder))),
    ):
        only_one_line(act)


@fuzz
@given(data=st.data())
def test_archives(made, tmp_path, data):
    (tmp_path / "x.zip").write_bytes(data.draw(bitten((made / "r.zip").read_bytes())))
    opened(tmp_path)


@fuzz
@given(st.lists(st.tuples(st.text("./\\ar:~é", min_size=1, max_size=8), st.integers(0, 2**16 - 1)), min_size=1, max_size=3))
def test_entries_of_archives(tmp_path, entries):
    with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        warnings.simplefilter("ignore")  # of names that occur twice
        for name, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16  # a link, a device
            archive.writestr(info, "../../evil")
    opened(tmp_path)


def opened(place: Path) -> None:
    before = set(place.parent.iterdir())
    only_one_line(lambda: unpack(place / "x.zip", place / "out"))
    assert set(place.parent.iterdir()) == before
    assert {path.name for path in place.iterdir()} <= {"x.zip", "out"}
    shutil.rmtree(place / "out", ignore_errors=True)


@fuzz
@given(data=st.data())
def test_stores(made, tmp_path, data):
    path = tmp_path / "store.sqlite"
    path.write_bytes(data.draw(bitten((made / "r" / "store.sqlite").read_bytes())))
    with Claims(tmp_path) as claims:
        only_one_line(lambda: repair_store(path, claims))
        with ResultStore(path) as store:
            assert store.damaged() == {}
            assert len(store.results([])) <= 2


@cache
def weights() -> bytes:
    from tabbench.pfn.network import PFN, NetworkConfig, save_weights

    with tempfile.TemporaryDirectory() as folder:
        save_weights(PFN(NetworkConfig(width=8, n_layers=1, n_heads=2, hidden=8, n_thinking=1)), Path(folder) / "w", {})
        return (Path(folder) / "w").read_bytes()


@fuzz
@given(data=st.data())
def test_weights(tmp_path, data):
    from tabbench.pfn.network import load_weights

    content = weights()
    head = 8 + int.from_bytes(content[:8], "little")
    bytes_ = data.draw(st.one_of(bitten(content[:head]).map(lambda start: start + content[head:]), bitten(content)))
    (tmp_path / "w.safetensors").write_bytes(bytes_)
    only_one_line(lambda: load_weights(tmp_path / "w.safetensors"))
