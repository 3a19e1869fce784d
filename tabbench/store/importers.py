"""Published results tables of other benchmarks as result folders: recompute their leaderboards, or set them beside a run.

An importer turns a file into one row per (task, model, fold); add one by writing a function with @importer.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tabbench.border.parquet import read_parquet
from tabbench.data.reader import read_typed
from tabbench.errors import UserError
from tabbench.files import file_hash, refuse_links, remove_temporaries, replace_file
from tabbench.metrics import METRICS
from tabbench.models import MODELS, load_models
from tabbench.registry import Registry
from tabbench.store.checksums import NAME as CHECKSUMS
from tabbench.store.manifest import NAME as MANIFEST
from tabbench.store.manifest import is_new, new_manifest, read_manifest, write_manifest
from tabbench.store.runs import column_types

IMPORTERS: Registry[Callable[[pd.DataFrame], pd.DataFrame]] = Registry("importer")
NAME = "imported.parquet"

NAMES = frozenset(  # columns that name things
    "alg_name dataset_name task framework constraint dataset method data__keyword model_name benchmark".split()
)
SHARES = frozenset(["accuracy", "balanced_accuracy", "f1", "roc_auc_ovo", "roc_auc_ovr"])  # metrics that lie between 0 and 1
NOISE = 1e-6  # of published decimals
MAX_FOLDS = 1_000_000

# What results elsewhere, and runs of version 0.1, call models of a family: whole names of simple ones, beginnings of the others
SIMPLE = frozenset(
    "decisiontree knn linearmodel randomforest svm dummy tree logreg random_forest extra_trees constantpredictor".split()
)
BEGINNINGS = {
    "boosting": ("xgb", "lightgbm", "catboost", "hist_gbdt", "gbm"),
    "network": (
        *(
            "mlp",
            "pfn",
            "tabpfn",
            "tabicl",
            "resnet",
            "rtdl",
            "saint",
            "fttransformer",
            "ft_transformer",
            "node",
            "danet",
            "tabnet",
            "stg",
            "vime",
        ),
        *("tabtransformer", "nam", "deepfm", "modernnca", "realmlp", "tabm", "mitra", "limix", "fastai", "neural", "torch", "nn"),
    ),
}


def importer(name: str) -> Callable[[Callable[[pd.DataFrame], pd.DataFrame]], Callable[[pd.DataFrame], pd.DataFrame]]:
    """Register a function from the file's table to one with the column task and any of model, fold, metrics, times, counts.

    Without models, all rows are of one that is called like the file.
    """

    def register(function: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[pd.DataFrame], pd.DataFrame]:
        IMPORTERS.add(name, function)
        return function

    return register


@importer("tabzilla")
def tabzilla(table: pd.DataFrame) -> pd.DataFrame:
    """Aggregated results of TabZilla (McElfresh et al. 2023): means over ten folds of each tuned algorithm.

    Log loss and F1 (averaged over rows, so that it equals accuracy) are published scaled by dataset; they are scaled back.
    Algorithms get the names that models have here, those in their default configuration with the ending "_default".
    """
    load_models()
    names = table["alg_name"].astype(str)
    stems = names.str.removesuffix("_default")
    model = stems.map(MODELS.own_name) + np.where(names == stems, "", "_default")
    columns = {"task": table["dataset_name"], "model": model, "accuracy": table["Accuracy__test_mean"]}
    for metric, theirs in (("f1", "F1"), ("log_loss", "Log Loss")):
        low, high = (table[f"{theirs}__test_mean_{end}"] for end in ("min", "max"))
        columns[metric] = low + table[f"normalized_{theirs}__test_mean"] * (high - low)
    return pd.DataFrame({**columns, "fit_seconds": table["time__train_mean"]})


@importer("amlb")
def amlb(table: pd.DataFrame) -> pd.DataFrame:
    """Results of the AutoML benchmark (Gijsbers et al. 2024), one row per task, framework and fold; no result: failed.

    Classification only. Reads its files of 2019 (a column a metric) and later ones (`result` is what `metric` says, a loss being
    negative; `type`; times of training and prediction apart). With several constraints in a file, each is a model of its own.
    """
    of_regression = (
        table.reindex(columns=["mae", "r2", "rmse"]).notna().any(axis=1).groupby(table["task"], dropna=False).transform("any")
    )
    table = table[~of_regression & ~_column(table, "type").isin(["regression", "timeseries"])]
    failed, constraint = _numbers(table["result"]).isna(), _column(table, "constraint")
    several = constraint.nunique() > 1
    auc, log_loss = _amlb_scores(table, "auc"), _amlb_scores(table, "logloss")
    return pd.DataFrame(
        {
            "task": table["task"],
            "model": table["framework"] + (" [" + constraint.astype(str) + "]" if several else ""),
            "fold": table["fold"],
            "accuracy": _amlb_scores(table, "acc"),
            "balanced_accuracy": _amlb_scores(table, "balacc"),
            "roc_auc_ovo": auc,
            "log_loss": log_loss,
            "auc_or_log_loss": (1 - auc).fillna(log_loss),
            "fit_seconds": _numbers(_column(table, "training_duration")).fillna(_numbers(table["duration"])),
            "predict_seconds": _numbers(_column(table, "predict_duration")),
            "status": np.where(failed, "failed", "ok"),
            "reason": _column(table, "info").where(failed, "").fillna("").astype(str).str.slice(0, 300),
        }
    )


def _amlb_scores(table: pd.DataFrame, name: str) -> pd.Series:
    """Scores from the metric's own column, or else from `result` where that is this metric."""
    is_this = _column(table, "metric").isin([name, f"neg_{name}"])
    return _numbers(_column(table, name)).fillna(_numbers(table["result"]).abs().where(is_this))


def _numbers(column: pd.Series) -> pd.Series:
    """A column as float64; raises ValueError for other cells."""
    return pd.to_numeric(column).astype(np.float64)


def _column(table: pd.DataFrame, name: str) -> pd.Series:
    """A column, all NaN where a file lacks it."""
    return table[name] if name in table else pd.Series(np.nan, table.index)


@importer("tabarena")
def tabarena(table: pd.DataFrame) -> pd.DataFrame:
    """Results of TabArena by split (Erickson et al. 2025), one row per dataset, method and fold; classification only.

    Its `metric_error` is 1 - ROC AUC for two classes and log loss for more; an imputed row stands for a failure.
    """
    table = table[table["metric"].isin(["roc_auc", "log_loss"])]
    is_auc, failed = table["metric"] == "roc_auc", _column(table, "imputed").isin([True, "True"])
    return pd.DataFrame(
        {
            "task": table["dataset"],
            "model": table["method" if "method" in table else "framework"],
            "fold": table["fold"],
            "roc_auc_ovo": (1 - table["metric_error"]).where(is_auc & ~failed),
            "log_loss": table["metric_error"].where(~is_auc & ~failed),
            "auc_or_log_loss": table["metric_error"].where(~failed),
            "fit_seconds": table["time_train_s"].where(~failed),
            "predict_seconds": table["time_infer_s"].where(~failed),
            "status": np.where(failed, "failed", "ok"),
            "reason": np.where(failed, "imputed by TabArena", ""),
        }
    )


@importer("grinsztajn")
def grinsztajn(table: pd.DataFrame) -> pd.DataFrame:
    """Random searches of Grinsztajn et al. (2022), one row per configuration that was tried; classification only, by accuracy.

    The configuration that is best on validation rows gives the model's row, its default one that with the ending "_default",
    both with means over their splits. Where a dataset is in several of its benchmarks, the benchmark follows its name.
    """
    load_models()
    table = table[~table["data__regression"].isin([True, "True"])]
    table = table.assign(task=table["data__keyword"].astype(str), model=table["model_name"].map(MODELS.own_name))
    table.loc[table["hp"] == "default", "model"] += "_default"
    benchmark = _column(table, "benchmark")
    several = benchmark.groupby(table["task"]).transform("nunique") > 1
    table.loc[several, "task"] += " [" + benchmark[several].astype(str) + "]"
    scored = table["mean_test_score"].notna()
    ordered = table.assign(rank=table["mean_val_score"].where(scored)).sort_values("rank", ascending=False, kind="stable")
    best = ordered.drop_duplicates(["task", "model"]).sort_index()
    failed = best["mean_test_score"].isna()
    return pd.DataFrame(
        {
            "task": best["task"],
            "model": best["model"],
            "accuracy": best["mean_test_score"],
            "fit_seconds": best["mean_time"],
            "status": np.where(failed, "failed", "ok"),
            "reason": np.where(failed, "no configuration has a score", ""),
        }
    )


@importer("talent")
def talent(table: pd.DataFrame) -> pd.DataFrame:
    """Results of a run in TALENT (Liu et al. 2025), one row per dataset; classification only.

    A file of one method does not name it: its own name is taken. Its AUC is one against rest; its F1 is averaged in a way
    that the file does not say, and left out.
    """
    table = table[table["task_type"].isin(["binclass", "multiclass"])]
    failed, binary = table["status"] != "ok", table["task_type"] == "binclass"
    auc, log_loss = (table[name].where(~failed) for name in ("roc_auc", "log_loss"))
    rows = pd.DataFrame(
        {
            "task": table["dataset_name"],
            "accuracy": table["accuracy"].where(~failed),
            "balanced_accuracy": table["balanced_accuracy"].where(~failed),
            "roc_auc_ovr": auc,
            "roc_auc_ovo": auc.where(binary),
            "log_loss": log_loss,
            "auc_or_log_loss": (1 - auc).where(binary, log_loss),
            "n_classes": table["n_classes"],
            "n_train": table["n_train"],
            "n_test": table["n_test"],
            "n_features": table["n_features"],
            "fit_seconds": table["fit_seconds"].where(~failed),
            "predict_seconds": table["predict_seconds"].where(~failed),
            "status": np.where(failed, "failed", "ok"),
            "reason": _column(table, "error").where(failed, "").fillna("").astype(str).str.slice(0, 300),
        }
    )
    return rows.assign(model=table["method"]) if "method" in table else rows


def family_by_name(model: str) -> str:
    """The family of a model that was run elsewhere, told from its name; "other" for an unknown one."""
    name = re.split(r" [\[(]", model)[0].lower()  # "xgboost [depth=3]", "KNN (tabzilla)"
    if name in SIMPLE:
        return "simple"
    return next((family for family, starts in BEGINNINGS.items() if name.startswith(starts)), "other")


Join = Callable[[pd.DataFrame], tuple[pd.DataFrame, dict[str, Any]]]


def import_results(kind: str, path: Path, folder: Path, *, force: bool = False, join: Join | None = None) -> pd.DataFrame:
    """Write the results in `path` into a result folder, a new one or, with `force`, beside an earlier run; return the rows.

    What was not taken as written in the file is said in the frame's `attrs["remarks"]`, and in the manifest.

    Beside a run, models are marked as "name (kind)": their splits are others, so differences are no paired comparison.
    join : sets other results beside them, in a new folder: returns all rows, and a note on what was added.
    Raises UserError for a file of another form, rows that occur twice, or an existing run without `force`.
    """
    read = IMPORTERS[kind]
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    digest = file_hash(path)
    is_merge = folder.is_dir() and not _has_begun(folder, kind, digest)
    if is_merge and not force:
        raise UserError(
            f"{folder}: holds results on other splits than {path.name}: use another --out, or --force to mark and merge"
        )
    if is_merge and join:
        raise UserError(f"{folder}: holds results already: use another --out to set these beside the reference run")
    try:
        table, remarks = read_typed(path, NAMES)
        frame = _results_frame(read(table), kind, path)
    except KeyError as error:
        raise UserError(
            f"{path}: no column {error.args[0]!r}: this is no results table of {kind}; `tabbench stats` takes any table of scores"
        ) from None
    except (ValueError, TypeError, OSError) as error:
        raise UserError(f"{path}: cannot be read as a table: {str(error).splitlines()[0]}") from None
    if is_merge:
        frame["model"] += f" ({kind})"
    note = {"kind": kind, "file": path.name, "sha256": digest, "rows": len(frame), **({"remarks": remarks} if remarks else {})}
    notes: list[dict[str, Any]] = [note]
    if join:
        joined, added = join(frame)
        frame = _typed(joined)
        notes.append(added)
    remove_temporaries(folder)
    _write(folder, frame, notes, is_merge)
    frame.attrs["remarks"] = [remark for one in notes for remark in one.get("remarks", [])]
    return frame


def _has_begun(folder: Path, kind: str, digest: str) -> bool:
    """Whether a folder is empty, or holds no more than the same import, which may have been killed before its end."""
    refuse_links(folder)
    if is_new(folder) or {path.name for path in folder.iterdir() if not path.name.endswith((".tmp", ".lock"))} == {NAME}:
        return True
    if not (folder / MANIFEST).exists() or (folder / CHECKSUMS).exists():
        return False
    manifest = read_manifest(folder)
    notes = [(note["kind"], note.get("sha256")) for note in manifest.get("imported", [])]
    return notes[:1] == [(kind, digest)] and not manifest["tasks"]


def _write(folder: Path, frame: pd.DataFrame, notes: list[dict[str, Any]], is_merge: bool) -> None:
    note = notes[0]
    if is_merge:
        manifest = read_manifest(folder)
        manifest["imported"] = [*(old for old in manifest.get("imported", []) if old["kind"] != note["kind"]), *notes]
        before = read_imported(folder)
        frame = pd.concat([before[~before["model"].isin(frame["model"])], frame], ignore_index=True)
    else:
        n_folds = len(frame["fold"].unique())
        run = {"suite": f"{note['kind']}: {note['file']}", "folds": n_folds, "models": sorted(frame["model"].unique())}
        manifest = {**new_manifest(run, [], []), "imported": notes}
    (folder / CHECKSUMS).unlink(missing_ok=True)
    replace_file(folder / NAME, lambda temporary: frame.to_parquet(temporary, index=False))
    write_manifest(folder, manifest, finished=not is_merge)


def read_imported(folder: Path) -> pd.DataFrame:
    """Rows of the results table that were imported into a folder; none if there are none."""
    path = folder / NAME
    if not path.exists():
        return _typed(pd.DataFrame())
    try:
        return _typed(read_parquet(path))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: damaged ({str(error).splitlines()[0]}): import it again") from None


def join_imported(folders: Sequence[Path], out: Path) -> list[dict[str, object]]:
    """Put what was imported into several folders into `out`, once each; return the notes on it for the manifest."""
    rows = pd.concat([read_imported(folder) for folder in folders], ignore_index=True).drop_duplicates("key", keep="last")
    if len(rows):
        replace_file(out / NAME, lambda temporary: rows.to_parquet(temporary, index=False))
    notes = [note for folder in folders for note in read_manifest(folder).get("imported", [])]
    return list({(note["kind"], note["sha256"]): note for note in notes}.values())


def _results_frame(rows: pd.DataFrame, kind: str, path: Path) -> pd.DataFrame:
    rows = rows if "model" in rows else rows.assign(model=path.stem)
    if not len(rows):
        raise UserError(f"{path}: no results in it")
    nameless = rows[["task", "model"]].isna().any(axis=1).sum()
    if nameless:
        raise UserError(f"{path}: {nameless} rows do not say which dataset or model they are of")
    rows = rows.assign(task=rows["task"].astype(str), model=rows["model"].astype(str))
    rows["fold"] = _whole(rows["fold"], path) if "fold" in rows else 0
    for metric in SHARES.intersection(rows):
        beyond = rows[metric][(rows[metric] < -NOISE) | (rows[metric] > 1 + NOISE)]
        if len(beyond):
            raise UserError(f"{path}: {metric} {beyond.iloc[0]:g} in row {beyond.index[0] + 1}: it must lie between 0 and 1")
    twice = rows.duplicated(["task", "model", "fold"])
    if twice.any():
        task, model, fold = rows.loc[twice, ["task", "model", "fold"]].iloc[0]
        raise UserError(f"{path}: {model!r} on {task!r}, fold {fold}, occurs twice: keep one row each")
    texts = rows["task"] + "/" + rows["fold"].astype(str) + "/" + rows["model"]
    rows["key"] = [hashlib.sha256(f"{kind}/{text}".encode()).hexdigest()[:32] for text in texts]
    return _typed(rows)


def _whole(folds: pd.Series, path: Path) -> pd.Series:
    """Numbers of folds; raises UserError for empty cells, texts, and numbers that are none."""
    numbers = pd.to_numeric(folds, errors="coerce")
    wrong = ~((numbers % 1 == 0) & (numbers >= 0) & (numbers < MAX_FOLDS))
    if wrong.any():
        row = wrong.idxmax()
        raise UserError(f"{path}: fold {str(folds[row])[:40]!r} in row {row + 1}: folds are numbered 0, 1, 2, …")
    return numbers.astype("int64")


def _typed(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with every column of the results table."""
    texts = {"config": "{}", "row_policy": "", "column_policy": "", "status": "ok", "reason": "", "note": ""}
    defaults = {**texts, "repeat": 0, "seed": 0, "threads": 0}
    types = column_types(METRICS)
    full = rows.reindex(columns=list(types))
    for column, value in defaults.items():
        full[column] = full[column].astype(object).where(full[column].notna(), value)
    return full.astype(types)
