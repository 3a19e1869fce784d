"""Why two result folders differ: software, machine, request, data, splits, and then the numbers."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from tabbench.folders.results import open_results
from tabbench.metrics import METRICS

NO_CAUSE = ("workers",)  # fields of a request that change no number
IDENTITY = ["task", "repeat", "fold", "model", "max_rows", "max_columns"]


def compare_folders(a: Path, b: Path) -> list[str]:
    """What differs, one line each, causes first; empty if nothing does but times. Raises UserError if one is no result folder."""
    first, second = open_results(a), open_results(b)
    return [*_causes(first.manifest, second.manifest), *_effects(first.frame, second.frame)]


def _causes(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[str]:
    then, now = a["environment"], b["environment"]
    yield from _differing("software", {"tabbench": then["tabbench"], "Python": then["python"], **then["packages"]},
                          {"tabbench": now["tabbench"], "Python": now["python"], **now["packages"]})  # fmt: skip
    yield from _differing("code", a.get("git") or {}, b.get("git") or {})
    machine = ("platform", "cpu", "cores", "memory_mb")
    yield from _differing("machine", {key: then.get(key) for key in machine}, {key: now.get(key) for key in machine})
    runs = ({key: value for key, value in manifest["run"].items() if key not in NO_CAUSE} for manifest in (a, b))
    yield from _differing("request", *runs)
    for what, field in (("data", "digest"), ("splits", "splits")):
        short = ({facts["name"]: str(facts.get(field))[:12] for facts in manifest["tasks"]} for manifest in (a, b))
        yield from _differing(what, *short)


def _differing(what: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*a, *b}):
        if a.get(name) != b.get(name):
            yield f"{what:9} {name}: {_shown(a, name)} | {_shown(b, name)}"


def _shown(values: Mapping[str, Any], name: str) -> str:
    return str(values[name]) if name in values else "absent"


def _effects(a: pd.DataFrame, b: pd.DataFrame) -> Iterator[str]:
    merged = a.merge(b, on=IDENTITY, how="outer", suffixes=("", "_b"), indicator=True)
    for side, where in (("left_only", "first"), ("right_only", "second")):
        only = merged[merged["_merge"] == side]
        if len(only):
            yield f"runs      {len(only)} only in the {where}: {', '.join(sorted(only['model'].unique()))}"
    both = merged[merged["_merge"] == "both"]
    moved = both[both["status"] != both["status_b"]]
    for row in moved.itertuples():
        yield f"status    {row.model} on {row.task}, repeat {row.repeat}, fold {row.fold}: {row.status} | {row.status_b}"
    for metric in METRICS:
        gap = (both[metric] - both[f"{metric}_b"]).abs()
        differs = gap > 0
        if differs.any():
            worst = both.loc[gap.idxmax()]
            models = ", ".join(sorted(both.loc[differs, "model"].unique()))
            yield (
                f"numbers   {metric}: {int(differs.sum())} of {len(both)} runs differ ({models}), most by {gap.max():.3g}: "
                f"{worst['model']} on {worst['task']}, fold {worst['fold']}: {worst[metric]} | {worst[metric + '_b']}"
            )
