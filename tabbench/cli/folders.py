"""What can be done with result folders that exist: `tabbench verify`, `diff`, `status`, `rerun`, `merge`, `pack`, `unpack`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabbench.errors import UserError

if TYPE_CHECKING:
    from tabbench.api import Results

EXIT_OK, EXIT_DIFFERENT = 0, 1


def register(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the commands to the parser."""
    verify = commands.add_parser("verify", help="check a result folder: hashes, numbers, refits; exit code 1 if it fails")
    verify.add_argument("folder", type=Path)
    verify.add_argument("--level", type=int, choices=[1, 2, 3], default=2, help="1 hashes, 2 + numbers, 3 + refits (default 2)")
    verify.add_argument("--sample", type=int, default=5, metavar="K", help="jobs to refit at level 3 (default 5)")
    verify.set_defaults(func=_verify)
    diff = commands.add_parser("diff", help="say why two result folders differ; exit code 1 if they do")
    diff.add_argument("first", type=Path)
    diff.add_argument("second", type=Path)
    diff.set_defaults(func=_diff)
    status = commands.add_parser("status", help="say how far a run is, from another shell")
    status.add_argument("folder", type=Path)
    status.set_defaults(func=_status)
    rerun = commands.add_parser("rerun", help="repeat the run of a manifest in a new folder")
    rerun.add_argument("manifest", type=Path, help="manifest.json, or its folder")
    rerun.add_argument("--out", type=Path, required=True, help="result folder of the repetition")
    rerun.add_argument("--quiet", action="store_true", help="no progress")
    rerun.set_defaults(func=_rerun)
    merge = commands.add_parser("merge", help="make one result folder of several, e.g. of the shards of a run")
    merge.add_argument("folders", type=Path, nargs="+")
    merge.add_argument("--out", type=Path, required=True, help="new result folder")
    merge.set_defaults(func=_merge)
    pack = commands.add_parser("pack", help="make one archive of a result folder, without absolute paths or user names")
    pack.add_argument("folder", type=Path)
    pack.add_argument("--out", type=Path, help="archive (default: <folder>.zip)")
    pack.set_defaults(func=_pack)
    unpack = commands.add_parser("unpack", help="open such an archive safely")
    unpack.add_argument("archive", type=Path)
    unpack.add_argument("--out", type=Path, required=True, help="new result folder")
    unpack.set_defaults(func=_unpack)


def _verify(args: argparse.Namespace) -> int:
    from tabbench.folders.verify import verify

    if args.sample < 1:
        raise UserError(f"--sample {args.sample}: refit at least one job")
    verdict = verify(args.folder, args.level, args.sample)
    print(verdict)
    return EXIT_DIFFERENT if verdict.problems else EXIT_OK


def _diff(args: argparse.Namespace) -> int:
    from tabbench.folders.diff import compare_folders

    lines = compare_folders(args.first, args.second)
    print("\n".join(lines) or "no difference but in times")
    return EXIT_DIFFERENT if lines else EXIT_OK


def _status(args: argparse.Namespace) -> int:
    from tabbench.folders.status import status

    print(status(args.folder))
    return EXIT_OK


def _rerun(args: argparse.Namespace) -> int:
    from tabbench.folders.rerun import rerun

    return _show(rerun(args.manifest, args.out, quiet=args.quiet))


def _merge(args: argparse.Namespace) -> int:
    from tabbench.folders.merge import merge

    return _show(merge(args.folders, args.out))


def _show(results: "Results") -> int:
    from tabbench.report.leaderboard import format_leaderboard

    print(format_leaderboard(results.leaderboard()))
    print(f"report: {results.path / 'report.html'}")
    return EXIT_OK


def _pack(args: argparse.Namespace) -> int:
    from tabbench.folders.pack import pack

    archive = args.out or args.folder.with_name(f"{args.folder.resolve().name}.zip")
    pack(args.folder, archive)
    print(f"archive: {archive}")
    return EXIT_OK


def _unpack(args: argparse.Namespace) -> int:
    from tabbench.folders.pack import unpack

    unpack(args.archive, args.out)
    print(f"opened: {args.out}")
    return EXIT_OK
