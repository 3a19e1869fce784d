"""What can be done with result folders that exist: read, check, repeat, join and carry them."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tabbench.border.texts import printable, say
from tabbench.cli.parser import Commands, Exit, add_limits, limits_of
from tabbench.errors import UserError

if TYPE_CHECKING:
    from tabbench.api import Results


def register(commands: Commands) -> None:
    """Add the commands."""
    _register_reading(commands)
    _register_checking(commands)
    _register_moving(commands)


def _register_reading(commands: Commands) -> None:
    status = commands.add("status", "say how far a run is, from another shell", example="tabbench status results/my", group="run")
    status.add_argument("folder", type=Path)
    status.set_defaults(func=_status)
    rerun = commands.add(
        "rerun",
        "repeat the run of a manifest in a new folder",
        example="tabbench rerun results/my/manifest.json --out results/again",
        group="run",
    )
    rerun.add_argument("manifest", type=Path, help="manifest.json, or its folder")
    rerun.add_argument("--out", type=Path, required=True, help="result folder of the repetition")
    rerun.add_argument("--quiet", action="store_true", help="no progress")
    rerun.add_argument("--trust", action="store_true", help="import and run models that the manifest names by their module")
    rerun.set_defaults(func=_rerun)
    board = commands.add(
        "leaderboard",
        "print the leaderboard of a result folder by any metric",
        example="tabbench leaderboard results/my --metric accuracy --format csv",
        group="read",
    )
    board.add_argument("folder", type=Path)
    board.add_argument("--metric", help="metric to rank by (default roc_auc_ovo, or the first recorded)")
    board.add_argument("--ties", choices=["average", "min"], default="average", help="rank of equal scores (default average)")
    add_limits(board)
    board.add_argument("--format", choices=["text", "csv", "md", "json"], default="text")
    board.set_defaults(func=_leaderboard)
    report = commands.add(
        "report",
        "write the leaderboard and report of a result folder again",
        example="tabbench report results/my --figures figures",
        group="read",
    )
    report.add_argument("folder", type=Path)
    report.add_argument("--figures", type=Path, metavar="DIR", help="also write its figures (SVG, PNG) and tables (CSV, MD, TeX)")
    report.set_defaults(func=_report)


def _register_checking(commands: Commands) -> None:
    verify = commands.add(
        "verify",
        "check a result folder: hashes, numbers, refits",
        example="tabbench verify results/my --level 3",
        group="check",
    )
    verify.add_argument("folder", type=Path)
    verify.add_argument("--level", type=int, choices=[1, 2, 3], default=2, help="1 hashes, 2 + numbers, 3 + refits (default 2)")
    verify.add_argument("--sample", type=int, default=5, metavar="K", help="jobs to refit at level 3 (default 5)")
    verify.add_argument(
        "--trust", action="store_true", help="at level 3: import and run models that the folder names by their module"
    )
    verify.set_defaults(func=_verify)
    diff = commands.add(
        "diff", "say why two result folders differ", example="tabbench diff results/my results/again", group="check"
    )
    diff.add_argument("first", type=Path)
    diff.add_argument("second", type=Path)
    diff.set_defaults(func=_diff)


def _register_moving(commands: Commands) -> None:
    merge = commands.add(
        "merge",
        "make one result folder of several, e.g. of the shards of a run",
        example="tabbench merge results/1 results/2 --out results/all",
        group="move",
    )
    merge.add_argument("folders", type=Path, nargs="+")
    merge.add_argument("--out", type=Path, required=True, help="new result folder")
    merge.set_defaults(func=_merge)
    pack = commands.add(
        "pack",
        "make one archive of a result folder, without absolute paths or user names",
        example="tabbench pack results/my",
        group="move",
    )
    pack.add_argument("folder", type=Path)
    pack.add_argument("--out", type=Path, help="archive (default: <folder>.zip)")
    pack.set_defaults(func=_pack)
    unpack = commands.add(
        "unpack", "open such an archive safely", example="tabbench unpack my.zip --out results/my", group="move"
    )
    unpack.add_argument("archive", type=Path)
    unpack.add_argument("--out", type=Path, required=True, help="new result folder")
    unpack.set_defaults(func=_unpack)
    imports = commands.add(
        "import",
        "make a result folder of another benchmark's published results",
        example="tabbench import tabzilla results.csv --out results/theirs",
        group="move",
    )
    imports.add_argument("kind", help="tabzilla, amlb, tabarena, talent or grinsztajn")
    imports.add_argument("file", type=Path, help="CSV or Parquet file")
    imports.add_argument("--out", type=Path, required=True, help="result folder")
    imports.add_argument("--force", action="store_true", help="merge into an existing folder, marked, though splits differ")
    imports.add_argument(
        "--reference", action="store_true", help="beside the reference run of this package, on the datasets that both have"
    )
    imports.set_defaults(func=_import)


def _report(args: argparse.Namespace) -> int:
    from tabbench.api import open_results
    from tabbench.report.leaderboard import format_leaderboard
    from tabbench.store.checksums import write_checksums

    results = open_results(args.folder)
    path = results.write_report()
    if args.figures:
        from tabbench.report.export import write_figures

        files = write_figures(args.folder, results.frame, results.described, args.figures, results.comparisons)
        endings = {file.suffix for file in files}
        png = "; no PNG without the extra 'plots'" if ".svg" in endings and ".png" not in endings else ""
        say(f"{len(files)} files of figures and tables: {args.figures}{png}")
    write_checksums(args.folder, derived_only=True)
    print(format_leaderboard(results.leaderboard()))
    say(f"report: {path}")
    return Exit.OK


def _leaderboard(args: argparse.Namespace) -> int:
    from tabbench.api import open_results
    from tabbench.report.leaderboard import default_metric, format_leaderboard, leaderboard
    from tabbench.tuning.replay import check_met

    results, limits = open_results(args.folder), limits_of(args)
    if limits.asked:
        frame = results.within(limits)
        check_met(frame, limits)
        board = leaderboard(frame, args.metric or default_metric(frame), args.ties)
    else:
        board = results.leaderboard(args.metric, args.ties)
    print(format_leaderboard(board, args.format))
    return Exit.OK


def _import(args: argparse.Namespace) -> int:
    from functools import partial

    from tabbench.folders.published import beside_reference
    from tabbench.folders.reference import Reference
    from tabbench.store.importers import import_results

    join = partial(beside_reference, kind=args.kind, reference=Reference()) if args.reference else None
    frame = import_results(args.kind, args.file, args.out, force=args.force, join=join)
    for remark in frame.attrs["remarks"]:
        say(f"{args.file.name}: {remark}")
    print(f"{len(frame):,} results of {frame['model'].nunique()} models on {frame['task'].nunique()} datasets")
    return _report(argparse.Namespace(folder=args.out, figures=None))


def _verify(args: argparse.Namespace) -> int:
    from tabbench.folders.verify import verify

    if args.sample < 1:
        raise UserError(f"--sample {args.sample}: refit at least one job")
    verification = verify(args.folder, args.level, args.sample, trust=args.trust)
    print(verification)
    return Exit.FOUND if verification.problems else Exit.OK


def _diff(args: argparse.Namespace) -> int:
    from tabbench.folders.diff import compare_folders

    lines = compare_folders(args.first, args.second)
    print("\n".join(map(printable, lines)) or "no difference but in times")
    return Exit.FOUND if lines else Exit.OK


def _status(args: argparse.Namespace) -> int:
    from tabbench.folders.status import status

    print(status(args.folder))
    return Exit.OK


def _rerun(args: argparse.Namespace) -> int:
    from tabbench.folders.rerun import rerun

    return _print_board(rerun(args.manifest, args.out, trust=args.trust, quiet=args.quiet))


def _merge(args: argparse.Namespace) -> int:
    from tabbench.folders.merge import merge

    return _print_board(merge(args.folders, args.out))


def _print_board(results: "Results") -> int:
    from tabbench.report.leaderboard import format_leaderboard

    print(format_leaderboard(results.leaderboard()))
    say(f"report: {results.path / 'report.html'}")
    return Exit.OK


def _pack(args: argparse.Namespace) -> int:
    from tabbench.folders.pack import pack

    archive = args.out or args.folder.with_name(f"{args.folder.resolve().name}.zip")
    pack(args.folder, archive)
    say(f"archive: {archive}")
    return Exit.OK


def _unpack(args: argparse.Namespace) -> int:
    from tabbench.folders.pack import unpack

    unpack(args.archive, args.out)
    say(f"opened: {args.out}")
    return Exit.OK
