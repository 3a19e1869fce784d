"""Metadata for other tools: the run as an RO-Crate (1.1, profile Process Run Crate), its datasets as Croissant (1.0, MLCommons).

Both are derived from the manifest alone. The tables themselves are not in the folder (licences differ): Croissant tells where
each comes from and its digest, and describes the splits, which are.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tabbench.data.split import splits_file
from tabbench.files import file_hash, replace_text

CRATE, CROISSANT = "ro-crate-metadata.json", "croissant.json"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
FILES = {
    "manifest.json": ("what was asked, tasks with digests, machine, versions", "application/json"),
    "results.parquet": ("one row per job", "application/vnd.apache.parquet"),
    "leaderboard.csv": ("one row per model", "text/csv"),
    "report.html": ("the report", "text/html"),
    CROISSANT: ("the datasets as Croissant", "application/json"),
}
_CROISSANT_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "conformsTo": "dct:conformsTo",
    "dct": "http://purl.org/dc/terms/",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "column": "cr:column",
    "recordSet": "cr:recordSet",
    "source": "cr:source",
}


def write_metadata(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write ro-crate-metadata.json and croissant.json."""
    replace_text(folder / CROISSANT, _as_text(croissant(folder, manifest)))
    replace_text(folder / CRATE, _as_text(ro_crate(manifest)))


def _as_text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def ro_crate(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The run as RO-Crate: the folder, the action that made it, its software, and the datasets it took."""
    run, environment = manifest["run"], manifest["environment"]
    name = f"tabbench: {run.get('suite') or run.get('data')}"
    datasets = [{"@id": f"#{facts['name']}", **_described(facts)} for facts in manifest["tasks"]]
    files = [{"@id": file, "@type": "File", "description": what, "encodingFormat": kind} for file, (what, kind) in FILES.items()]
    software = {
        "@id": "#tabbench",
        "@type": "SoftwareApplication",
        "name": "tabbench",
        "softwareVersion": environment["tabbench"],
        "softwareRequirements": [f"Python {environment['python']}", *(f"{k} {v}" for k, v in environment["packages"].items())],
    }
    action = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": name,
        "instrument": {"@id": "#tabbench"},
        "object": [{"@id": entry["@id"]} for entry in datasets],
        "result": [{"@id": "results.parquet"}, {"@id": "leaderboard.csv"}],
        "startTime": manifest["started"],
        **({"endTime": manifest["finished"]} if manifest["finished"] else {}),
    }
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": name,
        "description": f"{len(run['models'])} models on {len(datasets)} datasets, by tabbench",
        "datePublished": (manifest["finished"] or manifest["started"])[:10],
        "license": "the datasets carry their own",
        "conformsTo": {"@id": PROFILE},
        "hasPart": [{"@id": entry["@id"]} for entry in files],
        "mentions": {"@id": "#run"},
    }
    head = {
        "@id": CRATE,
        "@type": "CreativeWork",
        "conformsTo": [{"@id": "https://w3id.org/ro/crate/1.1"}],
        "about": {"@id": "./"},
    }
    profile = {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    graph = [head, root, profile, action, software, *files, *datasets]
    return {"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": graph}


def _described(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "@type": "Dataset",
        "name": facts["name"],
        "description": str(facts.get("title") or facts["name"]),
        "license": str(facts.get("licence", "not stated")),
        "identifier": f"sha256:{facts['digest']}",
        **({"url": facts["url"]} if facts.get("url") else {}),
    }


def croissant(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The datasets and their splits as Croissant: one data set whose parts are the tables, a record set a split file."""
    splits = {facts["name"]: splits_file(facts["name"], facts["digest"]) for facts in manifest["tasks"]}
    files = [
        {
            "@type": "cr:FileObject",
            "@id": path,
            "name": path,
            "contentUrl": path,
            "encodingFormat": "application/vnd.apache.parquet",
            "sha256": file_hash(folder / path),
        }
        for path in splits.values()
        if (folder / path).exists()
    ]
    return {
        "@context": _CROISSANT_CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"tabbench-{manifest['run'].get('suite') or manifest['run'].get('data')}",
        "description": "The tables of a benchmark run, by source and digest, and the rows that train and are scored in it.",
        "datePublished": (manifest["finished"] or manifest["started"])[:10],
        "license": sorted({str(facts.get("licence", "not stated")) for facts in manifest["tasks"]}),
        "url": "./",
        "hasPart": [_described(facts) for facts in manifest["tasks"]],
        "distribution": files,
        "recordSet": [_record_set(name, path) for name, path in splits.items()],
    }


def _record_set(name: str, path: str) -> dict[str, Any]:
    types = {"repeat": "sc:Integer", "fold": "sc:Integer", "part": "sc:Text", "row": "sc:Integer"}
    return {
        "@type": "cr:RecordSet",
        "@id": f"splits-{name}",
        "name": f"splits-{name}",
        "description": f"rows of {name} by repeat and fold: train or test",
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"splits-{name}/{column}",
                "name": column,
                "dataType": kind,
                "source": {"fileObject": {"@id": path}, "extract": {"column": column}},
            }
            for column, kind in types.items()
        ],
    }
