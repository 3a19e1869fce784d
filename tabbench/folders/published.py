"""Published results beside the reference run, on the datasets that both have: means over folds, for their splits differ."""

import hashlib
import re
from typing import Any

import pandas as pd

from tabbench.data.suite import load_suite
from tabbench.errors import UserError
from tabbench.files import file_hash
from tabbench.folders.reference import Reference
from tabbench.metrics import METRICS
from tabbench.store.runs import TIMES

MARK = "reference"
SUITES = {
    "tabzilla": ("tabzilla",),
    "amlb": ("amlb",),
    "tabarena": ("tabarena",),
    "talent": ("talent",),
    "grinsztajn": ("grinsztajn-numerical", "grinsztajn-categorical"),
}
Size = tuple[int | None, int | None, int | None]


def beside_reference(rows: pd.DataFrame, kind: str, reference: Reference) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Rows of an import and of the reference run, one a dataset and model, on equal datasets only; and a note on the latter.

    Datasets are equal whose names are, but for case and punctuation, and whose rows, features and classes are as many, as the
    import or the suite of its kind counts them. Our models are marked "name (reference)": differences across the two are not
    paired. A model that failed on a fold has no score on the dataset. Raises UserError if no dataset is equal.
    """
    ours = {_plain(entry["name"]): entry for entry in reference.card["tasks"]}
    alike = {str(task): ours[_plain(task)] for task in rows["task"].unique() if _plain(task) in ours}
    specs = [spec for name in SUITES[kind] for spec in load_suite(name).tasks]
    sizes = {_plain(spec.name): (spec.rows, spec.features, spec.classes) for spec in specs}
    equal = {task: entry["name"] for task, entry in alike.items() if _size(rows, task, sizes) == _size_of(entry)}
    if not equal:
        raise UserError(f"the reference run has none of its {rows['task'].nunique()} datasets: import it without --reference")
    called = {name: task for task, name in equal.items()}
    theirs = _means(rows[rows["task"].isin(equal)])
    results = reference.results
    results = results[results["task"].isin(called)]
    added = _means(results.assign(task=results["task"].map(called), model=results["model"] + f" ({MARK})"))
    for metric in added.columns.intersection(list(METRICS)):  # of what they did not measure, there is nothing to compare
        measured = theirs[metric].notna().groupby(theirs["task"]).any()
        added[metric] = added[metric].where(added["task"].map(measured))
    names = ", ".join(sorted(equal))
    remarks = [f"{len(equal)} datasets are in the reference run, by name and size: {names}; the others are left out"]
    if other := sorted(set(alike) - set(equal)):
        remarks.append(f"called like one of the reference run, but of another or unknown size: {', '.join(other)}")
    remarks.append(f"means over folds; their splits differ, so differences to the models marked ({MARK}) are not paired")
    note = {
        "kind": MARK,
        "file": "results.parquet",
        "sha256": file_hash(reference.folder / "results.parquet"),
        "rows": len(added),
        "remarks": remarks,
    }
    return pd.concat([theirs, added], ignore_index=True), note


def _plain(name: object) -> str:
    """A dataset's name as it is compared: "openml__kr-vs-kp__3" of TabZilla and "electricity [benchmark]" are names with more."""
    bare = re.sub(r"^openml__|__\d+$| \[.*\]$", "", str(name))
    return re.sub(r"[\W_]+", "", bare.casefold())


def _size(rows: pd.DataFrame, task: str, sizes: dict[str, Size]) -> Size:
    """Rows, features and classes of a dataset."""
    row = rows[rows["task"] == task].iloc[0]
    counts = row["n_train"] + row["n_test"], row["n_features"], row["n_classes"]
    return sizes.get(_plain(task), (None, None, None)) if any(map(pd.isna, counts)) else counts


def _size_of(entry: dict[str, Any]) -> Size:
    return entry["n_rows"], entry["n_features"], entry["n_classes"]


def _means(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for every dataset and model: means of metrics and times, where all of its folds ended ok."""
    numbers = [column for column in (*TIMES, *METRICS) if column in rows]
    by = [rows["task"], rows["model"]]
    ok = rows["status"].eq("ok").groupby(by).all()
    first = rows.assign(bad=rows["status"].eq("ok")).sort_values("bad", kind="stable")  # a failure, where there is one
    means = first.drop_duplicates(["task", "model"]).set_index(["task", "model"]).drop(columns=["bad", *numbers])
    means[numbers] = rows[numbers].groupby(by).mean().where(ok)
    keys = [hashlib.sha256(f"{MARK}/{task}/{model}".encode()).hexdigest()[:32] for task, model in means.index]
    return means.reset_index().assign(key=keys, repeat=0, fold=0)
