"""`tabbench run` and `tabbench plan`: what is asked for, in words."""

import argparse
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from tabbench.border.texts import say
from tabbench.cli.parser import (
    AddUp,
    Commands,
    Exit,
    Parser,
    add_limits,
    add_splits,
    complete_models,
    complete_suites,
    limits_of,
    names,
    splits_asked,
    whole_numbers,
)
from tabbench.errors import UserError

if TYPE_CHECKING:
    from tabbench.job import Subsample
    from tabbench.request import Spec


def register(commands: Commands) -> None:
    """Add the commands."""
    run = commands.add(
        "run",
        "run models on a suite or on a table of yours, and write leaderboard and report",
        example="tabbench run --data my.csv --target y --models logreg,lightgbm",
        group="run",
    )
    _add_request(run)
    run.add_argument("--shard", metavar="I/N", help="do only the i-th of n parts of the jobs; `tabbench merge` joins them")
    run.add_argument("--retry-failed", action="store_true", help="run failed jobs of this folder again")
    run.add_argument("--strict", action="store_true", help="exit with 1 if a job did not end well")
    run.add_argument("--quiet", action="store_true", help="no progress")
    run.add_argument("--open", action="store_true", help="open the report in a browser")
    run.add_argument("--scheduler", metavar="ADDRESS", help="do the jobs on a Dask cluster, e.g. tcp://host:8786")
    run.add_argument("--log", type=Path, metavar="FILE", help="append what happens to a file, one JSON object a line")
    run.set_defaults(func=_run)
    plan = commands.add(
        "plan",
        "say what such a run would do and cost, without doing it",
        example="tabbench plan --suite starter --learn results/starter",
        group="run",
    )
    _add_request(plan)
    plan.add_argument(
        "--learn", type=Path, nargs="+", action=AddUp, default=[], metavar="FOLDER", help="result folders to learn costs from"
    )
    plan.set_defaults(func=_plan, shard=None)


def _add_request(run: Parser) -> None:
    what = run.add_mutually_exclusive_group(required=True)
    suite = what.add_argument(
        "--suite", help="name (see `tabbench suites`) or path of a suite, or openml:suite/99, openml:task/3, …"
    )
    suite.completer = complete_suites  # type: ignore[attr-defined]
    what.add_argument("--data", type=Path, help="table: CSV, Parquet, ARFF, … (docs/data.md); needs --target")
    run.add_argument("--target", help="target column of --data")
    run.add_argument("--classes", action="store_true", help="the target holds classes, though it looks like numbers")
    models = run.add_argument(
        "--models",
        "--model",
        type=names,
        action=AddUp,
        metavar="A,B,…",
        help="names with commas between them, or module:Class of your own; given again, they add up (default: the usual ten)",
    )
    models.completer = complete_models  # type: ignore[attr-defined]
    run.add_argument("--out", type=Path, help="result folder (default: results/<suite or file name>)")
    add_splits(run)
    run.add_argument("--protocol", default="tabbench", help="tabbench (default) or tabzilla: see docs/protocols.md")
    run.add_argument("--configs", type=int, metavar="N", help="configurations of a model: the default and N - 1 others")
    run.add_argument("--search", default="random", help="how these are found: random (default), tpe, pfn or halving")
    run.add_argument("--stop", metavar="pfn", help="end fits early that a network gives no chance against the best so far")
    run.add_argument("--seed", type=int, default=0)
    run.add_argument("--workers", type=int, help="jobs at a time (default: as many as the cores allow)")
    run.add_argument("--threads", type=int, default=1, help="threads of one job (default 1)")
    run.add_argument("--time-limit", type=float, default=600, metavar="S", help="wall seconds of one job (default 600)")
    run.add_argument(
        "--memory-limit", type=float, default=0, metavar="MB", help="memory of one job (default: 80%% of RAM / workers)"
    )
    run.add_argument("--max-rows", type=int, metavar="N", help="cut every training part to N rows")
    run.add_argument("--row-policy", default="stratified", help="how rows are chosen (default stratified)")
    run.add_argument(
        "--train-sizes", type=whole_numbers, action=AddUp, metavar="N,N,…", help="run at each training size: learning curves"
    )
    run.add_argument("--max-columns", type=int, metavar="N", help="cut every table to N columns")
    run.add_argument("--column-policy", default="mutual_info", help="how columns are chosen (default mutual_info)")
    add_limits(run)


def _run(args: argparse.Namespace) -> int:
    from tabbench.folders.run import run
    from tabbench.report.leaderboard import format_leaderboard

    if args.scheduler and args.workers is not None:
        raise UserError("--workers is for this machine: with --scheduler the cluster does as many jobs as it has threads for")
    results = run(
        _spec(args),
        _out(args),
        scheduler=args.scheduler,
        retry_failed=args.retry_failed,
        quiet=args.quiet,
        log=args.log,
    )
    print(format_leaderboard(results.leaderboard()))
    for task in results.manifest["tasks"] if args.quiet else ():  # else they were said before the run
        for remark in task.get("remarks", ()):
            say(f"{task['name']}: {remark}")
    for reason, tasks in _missing(results.manifest["missing_tasks"]).items():
        say(f"not run: {', '.join(tasks)}: {reason}")
    report = results.path / "report.html"
    say(f"report: {report}")
    if args.open and not webbrowser.open(report.resolve().as_uri()):
        print("no browser could be opened: open the report yourself")
    bad = int((~results.frame["status"].isin(["ok", "unsupported"])).sum())
    if bad:
        print(f"{bad} jobs did not end well: the report says which and why")
    return Exit.FOUND if args.strict and bad else Exit.OK


def _missing(tasks: list[dict[str, str]]) -> dict[str, list[str]]:
    """The names of tasks by the reason for which they are missing: one absent package is one line."""
    found: dict[str, list[str]] = {}
    for task in tasks:
        found.setdefault(task["reason"].removeprefix(f"{task['name']}: "), []).append(task["name"])
    return found


def _plan(args: argparse.Namespace) -> int:
    from tabbench.folders.plan import forecast
    from tabbench.folders.run import make_request

    print(forecast(make_request(_spec(args), fetch=False), _out(args), args.learn))
    return Exit.OK


def _spec(args: argparse.Namespace) -> "Spec":
    """What `run` and `plan` are asked for."""
    from tabbench.models import own_names, usual_models
    from tabbench.request import Spec
    from tabbench.resources import Resources, spare_workers

    workers = spare_workers(args.threads) if args.workers is None else args.workers
    return Spec(
        suite=args.suite,
        file=str(args.data) if args.data else None,
        target=args.target,
        classes=args.classes,
        models=own_names(args.models) if args.models else usual_models()[0],
        **splits_asked(args),
        seed=args.seed,
        subsamples=tuple(_subsamples(args)),
        protocol=args.protocol,
        configs=args.configs,
        search=args.search,
        stop=args.stop,
        shard=args.shard,
        resources=Resources(workers, args.threads, args.time_limit, args.memory_limit),
        limits=limits_of(args),
    )


def _out(args: argparse.Namespace) -> Path:
    from tabbench.data.gather import table_name

    asked = str(args.suite or args.data)
    name = asked.replace(":", "-").replace("/", "-") if asked.startswith("openml:") else table_name(Path(asked))
    return args.out or Path("results") / name


def _subsamples(args: argparse.Namespace) -> "list[Subsample]":
    from tabbench.job import Subsample

    sizes = args.train_sizes or [args.max_rows]
    return [Subsample(size, args.row_policy, args.max_columns, args.column_policy) for size in sizes]
