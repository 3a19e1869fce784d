"""The reference run: the usual ten models with their defaults on every table at hand, in parts by size.

    python benchmarks/reference_run.py TABLES OUT [--workers 1] [--time-limit 1800] [--memory-limit 5000]

TABLES holds a folder a dataset, with data.parquet (features and `target`) and meta.json (name, categorical, openml_dataset_id,
licence); the starter suite's tables that are not among them are added, the eighteen test sets of TabPFN are left out. The tables
are taken smallest first, a dozen at a time in five folds, then wide ones without CatBoost and large ones in three folds, to end
in hours; the same command goes on where the last one ended. `--list` prints the parts.
What is complete is then frozen: `python benchmarks/reference_freeze.py OUT`.
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import tabbench
from tabbench.data.suite import load_suite
from tabbench.request import DEFAULT_MODELS
from tabbench.resources import Resources

FOLDS, FOLDS_OF_LARGE = 5, 3
PART, PART_OF_LARGE = 12, 4
LARGE = 1_000_000  # rows × features × classes
WIDE = 200  # features, above which CatBoost takes an hour a table: its trees are grown over all columns and classes at once
SEALED = "tabpfn-18"  # where our network is measured in the end: nothing is learned from them
NO_CATBOOST = tuple(model for model in DEFAULT_MODELS if model != "catboost")
NOT_SAID = {"size": 10_000, "n_features": 10}  # of the starter's tables, whose files are not read for it
TWINS = {"digits": 28, "hearts": 49, "shuttle": 40685}  # starter tables that are another form of one of OpenML


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--time-limit", type=float, default=1800, metavar="S")
    parser.add_argument("--memory-limit", type=float, default=5000, metavar="MB")
    parser.add_argument("--list", action="store_true", help="print the parts and do nothing")
    args = parser.parse_args()
    found = list(enumerate(parts(args.tables)))
    if args.list:
        for number, part in found:
            names = ", ".join(entry["name"] for entry in part.entries)
            print(f"{number:02}: {part.folds} folds, {len(part.models)} models: {names}")
        return
    args.out.mkdir(parents=True, exist_ok=True)
    resources = Resources(args.workers, 1, args.time_limit, args.memory_limit)
    for number, part in found:  # all of them first: what is not reached is named on the card
        (args.out / f"part-{number:02}.toml").write_text(as_toml(f"Reference run, part {number}", part.entries), encoding="utf-8")
    for number, part in found:
        out = args.out / f"part-{number:02}"
        tabbench.run(f"{out}.toml", models=part.models, folds=part.folds, out=out, resources=resources)


class Part(NamedTuple):
    """Entries of a suite file, and how they are run."""

    entries: list[dict]
    models: tuple[str, ...] = DEFAULT_MODELS
    folds: int = FOLDS


def parts(folder: Path) -> list[Part]:
    """All tables, smallest first, the wide ones before the large ones."""
    sealed = {task.openml_id for task in load_suite(SEALED).tasks}
    mirrored = [entry for entry in map(mirror_entry, sorted(folder.glob("*/meta.json"))) if entry["openml_id"] not in sealed]
    have = ({entry["openml_id"] for entry in mirrored} | sealed) - {None}
    names = {entry["name"] for entry in mirrored}
    added = [
        entry
        for entry in map(starter_entry, load_suite("starter").tasks)
        if (entry["openml_id"] or TWINS.get(entry["name"])) not in have and entry["name"] not in names
    ]
    entries = sorted([*mirrored, *added], key=lambda entry: (entry["size"], entry["name"]))
    small = [entry for entry in entries if entry["size"] < LARGE]
    wide = [entry for entry in entries if entry["size"] >= LARGE and entry["n_features"] > WIDE]
    large = [entry for entry in entries if entry["size"] >= LARGE and entry["n_features"] <= WIDE]
    return [
        *(Part(some) for some in divided(small, PART)),
        *(Part(some, NO_CATBOOST, FOLDS_OF_LARGE) for some in divided(wide, PART)),
        *(Part(some, folds=FOLDS_OF_LARGE) for some in divided(large, PART_OF_LARGE)),
    ]


def divided(entries: list[dict], size: int) -> list[list[dict]]:
    return [entries[start : start + size] for start in range(0, len(entries), size)]


def mirror_entry(path: Path) -> dict:
    meta = json.loads(path.read_text(encoding="utf-8"))
    number = meta["openml_dataset_id"]
    twin = f"-{number}" if meta["name"] == "colic" else ""
    return {
        "name": meta["name"].removeprefix("modeldata-") + twin,
        "source": "file",
        "path": str(path.with_name("data.parquet").resolve()),
        "target": meta["target"],
        "categorical": [*meta["categorical"], meta["target"]],
        "licence": meta["licence"],
        "openml_id": number,
        "size": meta["n_rows"] * meta["n_features"] * meta["n_classes"],
        "n_features": meta["n_features"],
    }


def starter_entry(task) -> dict:
    facts = ("name", "source", "path", "target", "categorical", "numeric", "drop", "na", "licence", "openml_id")
    values = {name: getattr(task, name) for name in facts}
    return {**{name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}, **NOT_SAID}


def as_toml(title: str, entries: list[dict]) -> str:
    lines = [f"title = {json.dumps(title)}"]
    for entry in entries:
        lines += ["", "[[tasks]]"]
        # JSON's texts and lists of texts are TOML's, too
        lines += [
            f"{key} = {json.dumps(value)}" for key, value in entry.items() if key not in NOT_SAID and value not in (None, [])
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
