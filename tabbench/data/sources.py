"""Where tables come from: one function a kind of source, each from a TaskSpec to a DataFrame with its target, and remarks.

Nothing here touches a network: the packages that carry data are found on disk and not imported, and OpenML's tables are read
from what `tabbench.data.openml.pull` has fetched.
"""

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from tabbench.data.formulas.tables import TABLES
from tabbench.data.openml.tables import table
from tabbench.data.reader import Table, read_file
from tabbench.data.spec import TaskSpec
from tabbench.errors import UserError
from tabbench.registry import Registry

Loader = Callable[[TaskSpec], Table]
SOURCES: Registry[Loader] = Registry("data source")
FIXTURES = "sklearn/datasets/tests/data/openml"
SKLEARN_TABLES = ("breast_cancer", "digits", "iris", "wine")
CARRIERS = ("river", "sklego")  # packages of the extra "starter"


def source(name: str) -> Callable[[Loader], Loader]:
    """Register `f(spec) -> (DataFrame, remarks)`; it raises UserError if the data is not there."""

    def register(load: Loader) -> Loader:
        return SOURCES.add(name, load)

    return register


@source("file")
def from_file(spec: TaskSpec) -> Table:
    """A file in any format that `reader` reads; a relative path starts at the suite file's folder."""
    return read_file(spec.folder / spec.path)


@source("package")
def from_package(spec: TaskSpec) -> Table:
    """The same inside an installed package: "package/folder/file"."""
    return read_file(package_file(spec.path, spec.name))


@source("package_svmlight")
def from_package_svmlight(spec: TaskSpec) -> Table:
    """First file of a zip archive inside an installed package, in svmlight format; columns x1, x2, ... and `target`."""
    from sklearn.datasets import load_svmlight_file

    with zipfile.ZipFile(package_file(spec.path, spec.name)) as archive:
        content = archive.read(archive.namelist()[0])
    X, y = load_svmlight_file(io.BytesIO(content))
    frame = pd.DataFrame(X.toarray(), columns=[f"x{i + 1}" for i in range(X.shape[1])])
    return frame.assign(target=y.astype(int)), []


@source("sklearn")
def from_sklearn(spec: TaskSpec) -> Table:
    """Return a table that scikit-learn's `load_<path>` carries, with class names as labels in the column `target`."""
    from sklearn import datasets

    if spec.path not in SKLEARN_TABLES:
        raise UserError(f"{spec.name}: scikit-learn carries no table {spec.path!r}: it has {', '.join(SKLEARN_TABLES)}")
    bunch = getattr(datasets, f"load_{spec.path}")(as_frame=True)
    labels = [str(bunch.target_names[code]) for code in bunch.target]
    return bunch.data.assign(target=labels), []


@source("sklearn_openml")
def from_sklearn_openml(spec: TaskSpec) -> Table:
    """OpenML dataset `path` among scikit-learn's test data, with the types of OpenML's own metadata."""
    if not spec.path.isdecimal():
        raise UserError(f"{spec.name}: {spec.path!r} is no number of an OpenML dataset")
    folder = package_file(f"{FIXTURES}/id_{spec.path}", spec.name)
    features = json.loads(gzip.decompress((folder / f"api-v1-jdf-{spec.path}.json.gz").read_bytes()))
    [data] = folder.glob("data-v1-dl-*.arff.gz")
    frame, remarks = read_file(data)
    types = {f["name"]: "float64" if f["data_type"] == "numeric" else "category" for f in features["data_features"]["feature"]}
    return frame.astype(types), remarks


@source("openml")
def from_openml(spec: TaskSpec) -> Table:
    """Return a fetched OpenML table: path "task/3" (with its official splits) or "data/31"."""
    return table(spec)


@source("formula")
def from_formula(spec: TaskSpec) -> Table:
    """Return the table of designs of that name, drawn and labelled by its formulas; columns `class` and `fold`."""
    return TABLES[spec.path].frame(), []


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
