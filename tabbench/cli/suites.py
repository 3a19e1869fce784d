"""`tabbench suites`, `tabbench suites show`, `tabbench suites hardest` and `tabbench audit`: what tables there are."""

import argparse
import sys
from collections import Counter
from pathlib import Path

from tabbench.border.texts import say
from tabbench.cli.parser import Commands, Exit, add_splits, splits_asked


def register(commands: Commands) -> None:
    """Add the commands."""
    suites = commands.add(
        "suites", "list the suites, show one, or choose the hard tables of a run", example="tabbench suites", group="read"
    )
    suites.set_defaults(func=_list)
    parts = Commands(suites, required=False)
    show = parts.add("show", "show the tables of a suite: sizes, what is on this machine", example="tabbench suites show starter")
    show.add_argument("name", help="name or path of a suite, or openml:suite/99")
    show.set_defaults(func=_show)
    hardest = parts.add(
        "hardest", "choose the hard datasets of a run by TabZilla's rule", example="tabbench suites hardest results/starter"
    )
    hardest.add_argument("folder", type=Path, help="result folder")
    hardest.set_defaults(func=_hardest)
    audit = commands.add(
        "audit",
        "warn of leaks, twins, ids and odd columns in the tables of a suite, or in a table",
        example="tabbench audit my.csv --target y",
        group="check",
    )
    audit.add_argument("what", help="name or path of a suite, or a table (needs --target)")
    audit.add_argument("--target", help="target column of a file")
    audit.add_argument("--classes", action="store_true", help="the target holds classes, though it looks like numbers")
    add_splits(audit)
    audit.add_argument("--format", choices=["text", "json"], default="text")
    audit.set_defaults(func=_audit)


def _list(_: argparse.Namespace) -> int:
    from tabbench.data.suite import list_suites, load_suite

    for name in list_suites():
        suite = load_suite(name)
        of = f" of {len(suite.tasks) + len(suite.left_out)}" if suite.left_out else ""
        say(f"{suite.name:28} {len(suite.tasks):4} datasets{of:8}  {suite.title}")
    return Exit.OK


def _show(args: argparse.Namespace) -> int:
    from tabbench.cli.suite_table import format_suite, suite_table
    from tabbench.data.suite import load_suite

    print(format_suite(suite_table(args.name)))
    reasons = Counter(reason.partition(" (")[0] for _, reason in load_suite(args.name).left_out)
    for reason, n in reasons.items():
        print(f"{n} published tables are left out: {reason} (the suite's file names them)")
    return Exit.OK


def _hardest(args: argparse.Namespace) -> int:
    """Print the hard datasets of a result folder by log loss, one a line."""
    from tabbench.api import open_results
    from tabbench.report.hardest import hardest

    results = open_results(args.folder)
    scores = results.compared("log_loss").scores
    found = hardest(scores.table, scores.settings.greater_is_better, results.families)
    for row in found.itertuples():
        gaps = " ".join("   –" if gap != gap else f"{gap:.2f}" for gap in (row.baseline_gap, row.fourth_gap, row.gbdt_gap))
        say(f"{row.Index:40} {gaps}  {row.why}")
    print(
        f"{len(found)} of {len(scores.table)} datasets are hard. Gaps: best simple model, fourth best model, best boosted trees."
    )
    return Exit.OK


def _audit(args: argparse.Namespace) -> int:
    from tabbench.api import audit_data
    from tabbench.data.audit import format_findings

    path = Path(args.what)
    is_table = args.target is not None or (path.is_file() and path.suffix != ".toml")
    what = {"data": args.what} if is_table else {"suite": args.what}
    found, missing = audit_data(**what, target=args.target, classes=args.classes, **splits_asked(args))
    print(format_findings(found, args.format))
    for table in missing:
        say(f"not looked at: {table['name']}: {table['reason']}", file=sys.stderr)
    return Exit.OK
