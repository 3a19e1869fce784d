"""Repeat the run of a manifest: the same tables, by digest, and the same requests, in a new folder."""

from pathlib import Path

from tabbench.api import Results, run_request
from tabbench.errors import UserError
from tabbench.folders.recorded import recorded_tasks
from tabbench.models import get_model
from tabbench.request import Request
from tabbench.resources import spare_workers
from tabbench.store.manifest import NAME, read_manifest


def rerun(manifest: Path, out: Path, *, quiet: bool = False) -> Results:
    """Do in `out` what made the folder of this manifest (its path, or the folder's), with at most the workers that fit here.

    Raises UserError if a dataset of the recorded digest or a model is not to be had, or for a folder of imported results.
    """
    made = read_manifest(manifest.parent if manifest.name == NAME else manifest)
    tasks, problems = recorded_tasks(made)
    if len(tasks) < len({facts["digest"] for facts in made["tasks"]}):
        raise UserError(problems[0])
    specs = [spec for spec in (*made.get("earlier", []), made["run"]) if "seed" in spec]
    if not specs:
        raise UserError(f"{manifest}: imported results, no run: there is nothing to do again")
    for name in dict.fromkeys(name for spec in specs for name in spec["models"]):
        get_model(name)
    for spec in specs:
        fits = {**spec, "workers": min(spec["workers"], spare_workers(spec["threads"]))}
        missing = made["missing_tasks"] if spec is made["run"] else []
        those = [task for task in tasks.values() if task.name in spec.get("tasks", [task.name])]
        results = run_request(Request(those, missing, fits), out, quiet=quiet)
    return results
