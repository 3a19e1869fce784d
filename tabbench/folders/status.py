"""`tabbench status`: how far a run is, asked from another shell."""

import os
from pathlib import Path

import pandas as pd

from tabbench.border.texts import printable
from tabbench.folders.recorded import recorded_jobs
from tabbench.folders.results import Results
from tabbench.store.claims import Claims

N_SLOWEST = 5


def status(folder: Path) -> str:
    """Jobs done, by status and model, the slowest, and whether a runner is at work; raises UserError for another folder."""
    results = Results(folder)
    manifest, spec, frame = results.manifest, results.spec, results.jobs
    at_work = _is_at_work(folder)
    missing = {job.key for job in recorded_jobs(folder, manifest)} - set(frame["key"])
    is_finished = manifest["finished"] and not missing
    state = "running" if at_work else "finished" if is_finished else "stopped: the same command goes on with it"
    more = f", then what search {spec.search} makes of them" if missing and spec and spec.search else ""
    counts = ", ".join(f"{count} {name}" for name, count in frame["status"].value_counts().sort_index().items())
    lines = [f"{folder.name}: {state}", f"{len(frame)} jobs are stored ({counts or 'none'}), {len(missing)} are to do{more}"]
    by_model = pd.crosstab(frame["model"], frame["status"])
    for model, row in by_model.iterrows():
        lines.append(f"  {model}: {', '.join(f'{count} {name}' for name, count in row.items() if count)}")
    seconds = frame["fit_seconds"].fillna(0) + frame["predict_seconds"].fillna(0)
    for place in seconds.nlargest(N_SLOWEST).index:
        row = frame.loc[place]
        lines.append(f"  {seconds[place]:8.1f} s  {row['model']} on {row['task']}, repeat {row['repeat']}, fold {row['fold']}")
    return "\n".join(map(printable, lines))


def _is_at_work(folder: Path) -> bool:
    """Whether a runner uses the folder."""
    if not os.access(folder, os.W_OK):
        return False  # nor could one
    with Claims(folder) as claims, claims.alone() as alone:
        return not alone
