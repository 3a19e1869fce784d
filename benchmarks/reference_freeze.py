"""Freeze what is complete of a reference run into the package: numbers, never data.

    python benchmarks/reference_freeze.py OUT [--into tabbench/data/reference]

OUT is the folder of `reference_run.py`. A table is taken if all its jobs are stored, whatever their status; what is not complete
is listed on the card. Prints the card's figures; the files must stay below 3 MB.
"""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from tabbench.data.suite import load_suite
from tabbench.files import replace_text
from tabbench.folders.describe import known_metafeatures
from tabbench.folders.reference import FOLDER, scores_of
from tabbench.folders.results import Results
from tabbench.metafeatures.advice import best_constant, calibration, judged, left_out, losses_and_ranks
from tabbench.metafeatures.analysis import by_dataset
from tabbench.request import DEFAULT_MODELS
from tabbench.resources import Resources
from tabbench.store.checksums import write_checksums

FAMILY = {"colic-27": "colic-25", "glass2": "glass"}  # tables that are made of the same rows
KEPT = (
    "name",
    "digest",
    "n_rows",
    "n_features",
    "n_categorical",
    "n_missing",
    "n_classes",
    "minority_share",
    "openml_id",
    "licence",
)
PACKAGES = ("numpy", "pandas", "scikit-learn", "scipy", "torch", "lightgbm", "xgboost", "catboost", "xgboost-cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--into", type=Path, default=FOLDER)
    args = parser.parse_args()
    frames, parts, tasks, lacking, manifests = [], [], [], [], []
    for suite in sorted(args.out.glob("part-*.toml")):
        folder = suite.with_suffix("")
        if not (folder / "manifest.json").exists():
            continue  # not begun
        results = Results(folder)
        manifest, frame = results.manifest, results.frame
        manifests.append(manifest)
        folds, models = manifest["run"]["folds"], manifest["run"]["models"]
        n_jobs = folds * len(models)
        counts = frame.groupby("task").size()
        complete = [entry["name"] for entry in manifest["tasks"] if counts.get(entry["name"], 0) == n_jobs]
        lacking += [entry["name"] for entry in manifest["tasks"] if entry["name"] not in complete]
        run = {"folds": folds, "not_run": [model for model in DEFAULT_MODELS if model not in models]}
        kept = [entry for entry in manifest["tasks"] if entry["name"] in complete]
        tasks += [{**{key: entry[key] for key in KEPT if key in entry}, **run} for entry in kept]
        frames.append(frame[frame["task"].isin(complete)])
        described = known_metafeatures(folder, manifest, complete, Resources(1)) if complete else pd.DataFrame()
        parts.append(described[described["task"].isin(complete)] if len(described) else described)
    results = pd.concat(frames, ignore_index=True).drop(columns=["note", "config"])
    metafeatures = pd.concat(parts, ignore_index=True)
    known = by_dataset(metafeatures)
    losses, ranks = losses_and_ranks(scores_of(results).loc[known.index])
    told = left_out(known, losses, ranks, FAMILY)
    args.into.mkdir(parents=True, exist_ok=True)
    for name, frame in (("results", results), ("metafeatures", metafeatures), ("left_out", told)):
        frame.to_parquet(args.into / f"{name}.parquet", index=False, compression="zstd")
    last = manifests[-1]
    not_begun = [spec.name for spec in load_all(args.out) if spec.name not in {*(task["name"] for task in tasks), *lacking}]
    card = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "models": list(DEFAULT_MODELS),
        "folds": max(task["folds"] for task in tasks),
        "seed": last["run"]["seed"],
        "limits": {name: last["run"][name] for name in ("threads", "time_limit", "memory_limit")},
        "environment": {
            **{name: last["environment"][name] for name in ("tabbench", "python", "cpu", "cores", "memory_mb")},
            "packages": {name: version for name, version in last["environment"]["packages"].items() if name in PACKAGES},
        },
        "git": last["git"],
        "calibration_seconds": calibration(),
        "family": {name: kin for name, kin in FAMILY.items() if name in known.index},
        "tasks": tasks,
        "left_out": [
            *(
                {"name": name, "reason": "not all of its jobs were done when the run was frozen"}
                for name in [*lacking, *not_begun]
            ),
            *({"name": spec.name, "reason": "a sealed test set of our network"} for spec in load_suite("tabpfn-18").tasks),
        ],
    }
    replace_text(args.into / "manifest.json", json.dumps(card, indent=1, ensure_ascii=False) + "\n")
    write_checksums(args.into)
    size = sum(file.stat().st_size for file in args.into.iterdir())
    print(f"{len(known)} tables, {len(results)} jobs, {size / 1e6:.2f} MB; not complete: {len(lacking) + len(not_begun)}")
    print(results["status"].value_counts().to_string())
    print(judged(told).to_string())
    print(f"always-{best_constant(told)[0]}: {best_constant(told)[1]} right")
    print(pd.DataFrame({"mean rank": ranks.mean(), "mean loss": losses.mean()}).sort_values("mean rank").to_string())


def load_all(out: Path) -> list:
    return [spec for suite in sorted(out.glob("part-*.toml")) for spec in load_suite(str(suite)).tasks]


if __name__ == "__main__":
    main()
