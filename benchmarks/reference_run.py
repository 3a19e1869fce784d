"""The reference run: the usual ten models with their defaults on every table at hand, five folds each, in parts by size.

    python benchmarks/reference_run.py TABLES OUT [--workers 1] [--time-limit 1800] [--memory-limit 5000]

TABLES holds a folder a dataset, with data.parquet (features and `target`) and meta.json (name, categorical, openml_dataset_id,
licence); the starter suite's tables that are not among them are added, the eighteen test sets of TabPFN are left out. The tables
are taken smallest first, a dozen at a time; the same command goes on where the last one ended. `--list` prints the parts.
What is complete is then frozen: `python benchmarks/reference_freeze.py OUT`.
"""

import argparse
import json
from pathlib import Path

import tabbench
from tabbench.data.suite import load_suite
from tabbench.request import DEFAULT_MODELS
from tabbench.resources import Resources

FOLDS = 5
PART = 12
SEALED = "tabpfn-18"  # where our network is measured in the end: nothing is learned from them
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
    args.out.mkdir(parents=True, exist_ok=True)
    resources = Resources(args.workers, 1, args.time_limit, args.memory_limit)
    for number, entries in enumerate(parts(args.tables)):
        if args.list:
            print(f"{number:02}: {', '.join(entry['name'] for entry in entries)}")
            continue
        suite = args.out / f"part-{number:02}.toml"
        suite.write_text(as_toml(f"Reference run, part {number}", entries), encoding="utf-8")
        tabbench.run(str(suite), models=DEFAULT_MODELS, folds=FOLDS, out=args.out / f"part-{number:02}", resources=resources)


def parts(folder: Path) -> list[list[dict]]:
    """Entries of a suite file, smallest tables first, in parts."""
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
    return [entries[start : start + PART] for start in range(0, len(entries), PART)]


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
    }


def starter_entry(task) -> dict:
    facts = ("name", "source", "path", "target", "categorical", "numeric", "drop", "na", "licence", "openml_id")
    values = {name: getattr(task, name) for name in facts}
    return {**{name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}, "size": 10_000}


def as_toml(title: str, entries: list[dict]) -> str:
    lines = [f"title = {json.dumps(title)}"]
    for entry in entries:
        lines += ["", "[[tasks]]"]
        # JSON's texts and lists of texts are TOML's, too
        lines += [f"{key} = {json.dumps(value)}" for key, value in entry.items() if key != "size" and value not in (None, [])]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
