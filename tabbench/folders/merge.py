"""Merge result folders of one protocol, e.g. the shards of a run, into one."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tabbench.errors import UserError
from tabbench.files import remove_temporaries
from tabbench.folders.describe import describe_merged
from tabbench.folders.results import Results
from tabbench.store.checksums import NAME as CHECKSUMS
from tabbench.store.checksums import write_checksums
from tabbench.store.claims import Claims
from tabbench.store.importers import join_imported
from tabbench.store.manifest import NAME as MANIFEST
from tabbench.store.manifest import add_earlier, check_protocol, is_new, open_folder, read_manifest, specs_of, write_manifest
from tabbench.store.runs import NAME as STORE
from tabbench.store.runs import ResultStore, is_intact


def merge(folders: Sequence[Path], out: Path) -> Results:
    """Make `out`, a new folder, of the runs in `folders`; of a job done twice, an ok run is kept, else the later one.

    What was imported into them, and their metafeatures, come along. Raises UserError if protocols, datasets or splits differ, a
    stored run is damaged, or a folder holds imported results only.
    """
    manifest: dict[str, Any] = {}
    for folder in folders:
        made = read_manifest(folder)
        if not (folder / STORE).exists():
            raise UserError(
                f"{folder}: holds no run of its own: results made elsewhere, on other splits, are set beside a run, and "
                "marked, by `tabbench import KIND FILE --out RUN --force`"
            )
        if manifest:
            check_protocol(folder, manifest, made)
            _check_splits(folder, manifest, made)
            made = add_earlier(made, manifest)
        manifest = made
    *earlier, last = [replace(spec, shard=None) for spec in specs_of(manifest)]
    manifest |= {"run": last.to_json(), "earlier": [spec.to_json() for spec in dict.fromkeys(earlier) if spec != last]}
    _check_new(out, manifest)
    open_folder(out)
    with Claims(out) as claims, claims.whole_folder():
        remove_temporaries(out)
        write_manifest(out, manifest)
        with ResultStore(out / STORE) as store:
            for folder in folders:
                _copy(folder, out, store)
        imported = join_imported(folders, out)
        describe_merged(folders, out, manifest)
        write_manifest(out, {**manifest, "imported": imported} if imported else manifest, finished=True)
        results = Results(out)
        results.write_report()
        write_checksums(out)
    return results


def _check_new(out: Path, manifest: dict[str, Any]) -> None:
    """Raise UserError unless `out` is new, or what such a merge has left that was killed before its end."""
    if not out.is_dir() or is_new(out):
        return
    if not (out / CHECKSUMS).exists() and (out / MANIFEST).exists():
        begun = read_manifest(out)
        if all(begun.get(name) == manifest.get(name) for name in ("run", "earlier", "tasks")):
            return
    raise UserError(f"{out}: is not empty: give --out a new folder")


def _check_splits(folder: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    splits = {facts["digest"]: facts.get("splits") for facts in old["tasks"]}
    for facts in new["tasks"]:
        if splits.get(facts["digest"], facts.get("splits")) != facts.get("splits"):
            raise UserError(f"{folder}: has other splits of {facts['name']!r}: its runs cannot be merged")


def _copy(folder: Path, out: Path, store: ResultStore) -> None:
    shutil.copytree(folder / "splits", out / "splits", dirs_exist_ok=True)
    status_of = {stored.key: stored.run.status for stored in store.runs()}
    with ResultStore(folder / STORE) as source:
        for row, digest in source.rows():
            if not is_intact(row, digest):
                raise UserError(f"{folder}: the stored run {row.key} is damaged: `tabbench run` again mends it")
            if status_of.get(row.key) != "ok":
                store.add_row(row, digest)
