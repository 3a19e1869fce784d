"""The `tabbench` command: one function per sub-command, no logic of its own."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabbench import __version__
from tabbench.cli.parser import Parser
from tabbench.errors import UserError

if TYPE_CHECKING:
    from tabbench.job import Subsample

EXIT_OK, EXIT_FAILED_JOBS, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="tabbench", description="Which method should I trust on tables like mine, and why?")
    parser.add_argument("--version", action="version", version=f"tabbench {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_run(commands)
    report = commands.add_parser("report", help="write the leaderboard and report of a result folder again")
    report.add_argument("folder", type=Path)
    report.add_argument("--figures", type=Path, metavar="DIR", help="also write its figures (SVG, PNG) and tables (CSV, MD, TeX)")
    report.set_defaults(func=_report)
    board = commands.add_parser("leaderboard", help="print the leaderboard of a result folder")
    board.add_argument("folder", type=Path)
    board.add_argument("--metric", help="metric to rank by (default roc_auc_ovo, or the first recorded)")
    board.add_argument("--ties", choices=["average", "min"], default="average", help="rank of equal scores (default average)")
    board.add_argument("--format", choices=["text", "csv", "md", "json"], default="text")
    board.set_defaults(func=_leaderboard)
    imports = commands.add_parser("import", help="make a result folder of another benchmark's published results")
    imports.add_argument("kind", help="tabzilla, amlb or tabarena")
    imports.add_argument("file", type=Path, help="CSV or Parquet file")
    imports.add_argument("--out", type=Path, required=True, help="result folder")
    imports.add_argument("--force", action="store_true", help="merge into an existing folder, marked, though splits differ")
    imports.set_defaults(func=_import)
    suites = commands.add_parser("suites", help="list the suites; `show NAME`: the tables of one; `hardest FOLDER`: of a run")
    suites.add_argument("words", nargs="*", metavar="show NAME | hardest FOLDER", help="suite to show, or run to choose from")
    suites.set_defaults(func=_suites)
    commands.add_parser("models", help="list the models with their limits and defaults").set_defaults(func=_models)
    from tabbench.cli.data import register as register_data_and_trials
    from tabbench.cli.folders import register as register_folders
    from tabbench.cli.metafeatures import register as register_metafeatures
    from tabbench.cli.openml import register as register_openml
    from tabbench.cli.pfn import register as register_pfn
    from tabbench.cli.stats import register_stats

    register_folders(commands)
    register_metafeatures(commands)
    register_stats(commands)
    register_data_and_trials(commands)
    register_openml(commands)
    register_pfn(commands)
    return parser


def _add_run(commands: "argparse._SubParsersAction[Parser]") -> None:
    run = commands.add_parser("run", help="run models on a suite or on a table of yours, and write leaderboard and report")
    _add_request(run)
    run.add_argument("--shard", metavar="I/N", help="do only the i-th of n parts of the jobs; `tabbench merge` joins them")
    run.add_argument("--retry-failed", action="store_true", help="run failed jobs of this folder again")
    run.add_argument("--strict", action="store_true", help="exit with 1 if a job did not end well")
    run.add_argument("--quiet", action="store_true", help="no progress")
    run.add_argument("--scheduler", metavar="ADDRESS", help="do the jobs on a Dask cluster, e.g. tcp://host:8786")
    run.add_argument("--log", type=Path, metavar="FILE", help="append what happens to a file, one JSON object a line")
    run.set_defaults(func=_run)
    plan = commands.add_parser("plan", help="say what such a run would do and cost, without doing it")
    _add_request(plan)
    plan.add_argument("--learn", type=Path, nargs="+", default=[], metavar="FOLDER", help="result folders to learn costs from")
    plan.set_defaults(func=_plan)


def _add_request(run: argparse.ArgumentParser) -> None:
    what = run.add_mutually_exclusive_group(required=True)
    what.add_argument("--suite", help="name (see `tabbench suites`) or path of a suite, or openml:suite/99, openml:task/3, …")
    what.add_argument("--data", type=Path, help="CSV or Parquet file; needs --target")
    run.add_argument("--target", help="target column of --data")
    run.add_argument("--models", "--model", help="comma-separated names, or module:Class of your own (default: the usual ten)")
    run.add_argument("--out", type=Path, help="result folder (default: results/<suite or file name>)")
    run.add_argument("--folds", type=int, help="folds (default: the official ones where a table has them, else 3 stratified)")
    run.add_argument("--repeats", type=int, default=1, help="repeats of the folds (default 1)")
    run.add_argument("--protocol", default="tabbench", help="tabbench (default) or tabzilla: see docs/protocols.md")
    run.add_argument("--configs", type=int, metavar="N", help="configurations of a model: the default and N - 1 others")
    run.add_argument("--search", default="random", help="how these are found: random (default), tpe or halving")
    run.add_argument("--seed", type=int, default=0)
    run.add_argument("--workers", type=int, help="jobs at a time (default: as many as the cores allow)")
    run.add_argument("--threads", type=int, default=1, help="threads of one job (default 1)")
    run.add_argument("--time-limit", type=float, default=600, metavar="S", help="wall seconds of one job (default 600)")
    run.add_argument(
        "--memory-limit", type=float, default=0, metavar="MB", help="memory of one job (default: 80%% of RAM / workers)"
    )
    run.add_argument("--max-rows", type=int, metavar="N", help="cut every training part to N rows")
    run.add_argument("--row-policy", default="stratified", help="how rows are chosen (default stratified)")
    run.add_argument("--train-sizes", metavar="N,N,…", help="run at each of these training sizes: learning curves")
    run.add_argument("--max-columns", type=int, metavar="N", help="cut every table to N columns")
    run.add_argument("--column-policy", default="mutual_info", help="how columns are chosen (default mutual_info)")


def _run(args: argparse.Namespace) -> int:
    from tabbench import api
    from tabbench.report.leaderboard import format_leaderboard

    if args.scheduler and args.workers is not None:
        raise UserError("--workers is for this machine: with --scheduler the cluster does as many jobs as it has threads for")
    results = api.run(
        **_request(args),
        out=_out(args),
        shard=args.shard,
        retry_failed=args.retry_failed,
        quiet=args.quiet,
        log=args.log,
        scheduler=args.scheduler,
    )
    print(format_leaderboard(results.leaderboard()))
    for missing in results.manifest["missing_tasks"]:
        print(f"not run: {missing['name']}: {missing['reason']}")
    print(f"report: {results.path / 'report.html'}")
    bad = int((~results.frame["status"].isin(["ok", "unsupported"])).sum())
    if bad:
        print(f"{bad} jobs did not end well: the report says which and why")
    return EXIT_FAILED_JOBS if args.strict and bad else EXIT_OK


def _plan(args: argparse.Namespace) -> int:
    from tabbench.folders.plan import outlook
    from tabbench.request import make_request

    print(outlook(make_request(**_request(args)), _out(args), args.learn))
    return EXIT_OK


def _request(args: argparse.Namespace) -> dict[str, Any]:
    """What `run` and `plan` are asked for, as arguments of `make_request`."""
    from tabbench.engine.runner import Resources, spare_workers
    from tabbench.request import DEFAULT_MODELS

    workers = spare_workers(args.threads) if args.workers is None else args.workers
    return {
        "suite": args.suite,
        "data": args.data,
        "target": args.target,
        "models": args.models.split(",") if args.models else DEFAULT_MODELS,
        "folds": args.folds,
        "repeats": args.repeats,
        "seed": args.seed,
        "subsamples": _subsamples(args),
        "resources": Resources(workers, args.threads, args.time_limit, args.memory_limit),
        "protocol": args.protocol,
        "configs": args.configs,
        "search": args.search,
    }


def _out(args: argparse.Namespace) -> Path:
    asked = str(args.suite or args.data)
    name = asked.replace(":", "-").replace("/", "-") if asked.startswith("openml:") else Path(asked).stem
    return args.out or Path("results") / name


def _subsamples(args: argparse.Namespace) -> "list[Subsample]":
    from tabbench.job import Subsample

    try:
        sizes = [int(size) for size in args.train_sizes.split(",")] if args.train_sizes else [args.max_rows]
    except ValueError:
        raise UserError(f"--train-sizes {args.train_sizes!r}: give whole numbers separated by commas") from None
    return [Subsample(size, args.row_policy, args.max_columns, args.column_policy) for size in sizes]


def _report(args: argparse.Namespace) -> int:
    from tabbench.api import open_results
    from tabbench.report.leaderboard import format_leaderboard
    from tabbench.store.checksums import write_checksums

    results = open_results(args.folder)
    path = results.write_report()
    if args.figures:
        from tabbench.report.export import write_figures

        files = write_figures(args.folder, results.frame, results.manifest, args.figures)
        endings = {file.suffix for file in files}
        png = "; no PNG without the extra 'plots'" if ".svg" in endings and ".png" not in endings else ""
        print(f"{len(files)} files of figures and tables: {args.figures}{png}")
    write_checksums(args.folder, derived_only=True)
    print(format_leaderboard(results.leaderboard()))
    print(f"report: {path}")
    return EXIT_OK


def _leaderboard(args: argparse.Namespace) -> int:
    from tabbench.api import open_results
    from tabbench.report.leaderboard import format_leaderboard

    print(format_leaderboard(open_results(args.folder).leaderboard(args.metric, args.ties), args.format))
    return EXIT_OK


def _import(args: argparse.Namespace) -> int:
    from tabbench.store.importers import import_results

    frame = import_results(args.kind, args.file, args.out, force=args.force)
    print(f"{len(frame):,} results of {frame['model'].nunique()} models on {frame['task'].nunique()} datasets")
    return _report(argparse.Namespace(folder=args.out, figures=None))


def _suites(args: argparse.Namespace) -> int:
    from tabbench.cli.suites import format_suite, suite_table
    from tabbench.data.suite import list_suites, load_suite

    names = [word for word in args.words if word != "show"]
    if names[:1] == ["hardest"]:
        from tabbench.cli.stats import print_hardest

        return print_hardest(Path(names[1]) if names[1:] else None)
    if len(names) > 1:
        raise UserError("suites: name one suite")
    if names:
        print(format_suite(suite_table(names[0])))
        return EXIT_OK
    for name in list_suites():
        suite = load_suite(name)
        print(f"{suite.name:24} {len(suite.tasks):4} datasets  {suite.title}")
    return EXIT_OK


def _models(_: argparse.Namespace) -> int:
    from tabbench.models import MODELS, load_models, missing_imports

    load_models()
    for model in MODELS.values():
        limits = ", ".join(f"{name} ≤ {size}" for name, size in vars(model.limits).items() if size is not None)
        missing = missing_imports(model)
        print(f"{model.name:14} {model.summary}")
        print(f"{'':14} limits: {limits or 'none'}; defaults: {model.defaults or 'none'}")
        if missing:
            print(f"{'':14} not available: install {' '.join(missing)}")
    return EXIT_OK


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (0 done, 1 failed jobs under --strict, 2 bad input, 130 interrupted)."""
    sys.path.insert(0, os.getcwd())  # models and suites of the folder one works in
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill ends as cleanly as Ctrl-C
    try:
        args = _parser().parse_args(argv)
        return int(args.func(args))
    except UserError as error:
        print(f"tabbench: {error}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        print("tabbench: interrupted; what is finished is stored: run the same command again to go on", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
