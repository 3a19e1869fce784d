"""`tabbench metafeatures`, `tabbench analyze` and `tabbench recommend`."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tabbench.border.texts import say
from tabbench.cli.parser import AddUp, Commands, Exit, add_splits, names, splits_asked
from tabbench.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from tabbench.api import Results
    from tabbench.resources import Resources


def register(commands: Commands) -> None:
    """Add the three commands."""
    meta = commands.add(
        "metafeatures",
        "describe the training part of every fold of a suite or a table by numbers",
        example="tabbench metafeatures --data my.csv --target y --out m.parquet",
        group="read",
    )
    what = meta.add_mutually_exclusive_group(required=True)
    what.add_argument("--suite", help="name of a suite or path of a suite file")
    what.add_argument("--data", type=Path, help="table: CSV, Parquet, ARFF, … (docs/data.md); needs --target")
    meta.add_argument("--target", help="target column of --data")
    meta.add_argument("--out", type=Path, required=True, help="Parquet file to write: one row per fold")
    add_splits(meta)
    meta.add_argument("--seed", type=int, default=0)
    meta.set_defaults(func=_metafeatures)
    analyze = commands.add(
        "analyze",
        "which metafeatures go with the gap between networks and GBDTs, or two models",
        example="tabbench analyze results/starter --models pfn,catboost",
        group="read",
    )
    analyze.add_argument("folder", type=Path, help="result folder of a run")
    analyze.add_argument(
        "--models", type=names, action=AddUp, metavar="A,B", help="two models (default: best network or PFN, best GBDT)"
    )
    analyze.set_defaults(func=_analyze)
    advise = commands.add(
        "recommend",
        "the datasets most like a table, what won there, and what to expect on it",
        example="tabbench recommend my.csv --target y",
        group="read",
    )
    advise.add_argument("data", type=Path, help="table: CSV, Parquet, ARFF, … (docs/data.md)")
    advise.add_argument("--target", required=True, help="its target column")
    advise.add_argument("--results", dest="folder", type=Path, help="result folder of a run (default: the one in the package)")
    advise.set_defaults(func=_recommend)
    for parser in (analyze, advise):
        parser.add_argument("--metafeatures", type=Path, metavar="FILE", help="Parquet or CSV file of them, instead of computing")
        parser.add_argument("--metric", help="metric to compare by (default roc_auc_ovo, or the first recorded)")
    for parser in (meta, advise):
        parser.add_argument("--classes", action="store_true", help="the target holds classes, though it looks like numbers")
    for parser in (meta, analyze, advise):
        parser.add_argument("--workers", type=int, default=1, help="groups of metafeatures at a time (default 1)")
        parser.add_argument("--time-limit", type=float, default=300, metavar="S", help="wall seconds of one group (default 300)")
        parser.add_argument("--quiet", action="store_true", help="no progress")


def _metafeatures(args: argparse.Namespace) -> int:
    from tabbench import api
    from tabbench.files import check_file, replace_file

    check_file(args.out)  # said before minutes of work
    frame = api.metafeatures(
        args.suite,
        data=args.data,
        target=args.target,
        classes=args.classes,
        **splits_asked(args),
        seed=args.seed,
        resources=_resources(args),
        on_part=_progress(args),
    )
    replace_file(args.out, lambda temporary: frame.to_parquet(temporary, index=False))
    for remark in frame.attrs["remarks"]:
        say(remark)
    for missing in frame.attrs["missing_tasks"]:
        say(f"not described: {missing['name']}: {missing['reason']}")
    say(f"{len(frame)} training parts of {frame['task'].nunique()} datasets × {frame.shape[1] - 4} metafeatures: {args.out}")
    return Exit.OK


def _analyze(args: argparse.Namespace) -> int:
    from tabbench.api import open_results
    from tabbench.folders.analyze import analyze, format_analysis
    from tabbench.folders.describe import describe_results
    from tabbench.metrics import METRICS
    from tabbench.store.checksums import write_checksums

    models = tuple(args.models) if args.models else None
    if models and len(models) != 2:
        raise UserError(f"--models {','.join(models)}: give two models separated by a comma")
    if args.metric:
        METRICS[args.metric]  # a wrong name is said before minutes of work
    results = open_results(args.folder)
    models = (_recorded(models[0], results), _recorded(models[1], results)) if models else None
    parts = _metafeatures_of(args, results, describe_results)
    found = analyze(results, parts, args.metric, models)
    results.write_report()
    write_checksums(args.folder, derived_only=True)
    print(format_analysis(found))
    return Exit.OK


def _recorded(name: str, results: "Results") -> str:
    """What the results call a model of that name or alias; raises UserError if they have none, before minutes of work."""
    from tabbench.models import own_names
    from tabbench.report.gaps import members

    there = sorted(results.frame["model"].unique())
    found = name if name in there else own_names([name])[0]
    members(found, there, results.families)
    return found


def _recommend(args: argparse.Namespace) -> int:
    from tabbench.api import open_results
    from tabbench.data.gather import remarks_on, table_task
    from tabbench.folders.describe import known_metafeatures
    from tabbench.folders.recommend import format_advice, recommend
    from tabbench.folders.reference import Reference, expect, format_expected

    task = table_task(args.data, args.target, classes=args.classes)
    for remark in remarks_on([task]):
        say(remark)
    if args.folder is None:
        if args.metric or args.metafeatures:
            raise UserError("--metric and --metafeatures go with --results: the reference run has its own")
        reference = Reference()
        found = expect(task, reference, _resources(args))
        print(format_expected(found, reference, task.name, str(args.data), args.target))
        return Exit.OK
    results = open_results(args.folder)
    parts = _metafeatures_of(args, results, known_metafeatures)
    advice = recommend(task, results.frame, results.manifest, parts, _resources(args), args.metric)
    print(format_advice(advice, task.name))
    return Exit.OK


def _metafeatures_of(args: argparse.Namespace, results: "Results", describe: Callable[..., "pd.DataFrame"]) -> "pd.DataFrame":
    """Those of --metafeatures FILE, or those that `describe` gives."""
    from tabbench.folders.describe import read_parts

    if args.metafeatures:
        parts, remarks = read_parts(args.metafeatures)
        for remark in remarks:
            say(f"{args.metafeatures.name}: {remark}")
        return parts
    tasks = results.frame["task"].unique().tolist()
    return describe(args.folder, results.manifest, tasks, _resources(args), _progress(args))


def _resources(args: argparse.Namespace) -> "Resources":
    from tabbench.resources import Resources

    return Resources(args.workers, time_limit=args.time_limit)


def _progress(args: argparse.Namespace) -> Callable[[str], None]:
    return (lambda _: None) if args.quiet else lambda text: say(text, file=sys.stderr)
