"""Repeat the run of a manifest: the same tables, by digest, and the same requests, in a new folder."""

from dataclasses import replace
from pathlib import Path

from tabbench.engine.runner import LocalEngine
from tabbench.errors import UserError
from tabbench.folders.recorded import check_trust, recorded_tasks
from tabbench.folders.results import Results
from tabbench.folders.run import Request, run_request
from tabbench.models import get_model
from tabbench.resources import spare_workers
from tabbench.store.manifest import NAME, read_manifest, specs_of


def rerun(manifest: Path, out: Path, *, trust: bool = False, quiet: bool = False) -> Results:
    """Do in `out` what made the folder of this manifest (its path, or the folder's), with at most the workers that fit here.

    trust : whether models that the manifest names as "module:Class" may be imported and run.
    Raises UserError if a dataset of the recorded digest or a model is not to be had, or for a folder of imported results.
    """
    made = read_manifest(manifest.parent if manifest.name == NAME else manifest)
    check_trust(made, trust, "it")
    tasks, problems = recorded_tasks(made, fetch=True)
    if len(tasks) < len({facts["digest"] for facts in made["tasks"]}):
        raise UserError(problems[0])
    specs = specs_of(made)
    if not specs:
        raise UserError(f"{manifest}: imported results, no run: there is nothing to do again")
    for name in dict.fromkeys(name for spec in specs for name in spec.models):
        get_model(name)
    for spec in specs:
        workers = min(spec.resources.workers, spare_workers(spec.resources.threads))
        fits = replace(spec, resources=replace(spec.resources, workers=workers))
        missing = made["missing_tasks"] if spec is specs[-1] else []
        those = [task for task in tasks.values() if spec.includes(task.name)]
        results = run_request(Request(fits, those, missing), out, LocalEngine(fits.resources), quiet=quiet)
    return results
