"""Suite: a TOML file that lists tables, where they come from and what is known of them.

    title = "Two tables of mine"

    [[tasks]]
    name = "mine"            # also the name in results
    source = "file"          # see sources.py
    path = "my.csv"          # for "file": relative to the suite file
    target = "y"

Optional per task: categorical, numeric, drop (lists of columns), na (texts or numbers that mean missing); groups, time,
test_fold (columns that steer the splits), gap (between times), folds, repeats, holdout, window (how splits are made unless a run
says otherwise: see folds.py); title, licence, openml_id, url, notes; rows, features, classes (sizes as published, known before
the table is).

A list `left_out` (name, reason) names what was published with a suite and is not had here.

Without a file: "openml:suite/99", "openml:task/3" and "openml:data/31" are suites of what OpenML has under that number.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from tabbench.border.forms import Count, Few, Folds, LongText, Text, fit
from tabbench.border.texts import one_line, printable
from tabbench.data.openml.tables import described, suite_specs
from tabbench.data.sources import SOURCES
from tabbench.data.spec import TaskSpec
from tabbench.data.task import Task, make_task
from tabbench.errors import UserError

OPENML = "openml:"
FACTS = ("title", "licence", "openml_id", "url", "notes")


@dataclass(frozen=True)
class Suite:
    """A named list of tables. left_out : name and reason of what was published with it and is not had here."""

    name: str
    title: str
    tasks: tuple[TaskSpec, ...]
    left_out: tuple[tuple[str, str], ...] = ()


def suite_folder() -> Path:
    """Folder of the suites that come with the package: inside an installed one, beside a checkout's."""
    package = Path(__file__).parents[1]
    inside = package / "suites"
    return inside if inside.is_dir() else package.parent / "suites"


def list_suites() -> list[str]:
    """Names of the suites that come with the package."""
    return sorted(path.stem for path in suite_folder().glob("*.toml"))


def load_suite(name: str) -> Suite:
    """Suite of that name, of the TOML file at that path, or of OpenML; raises UserError with what is wrong in it."""
    if name.startswith(OPENML):
        return Suite(name.replace(":", "-").replace("/", "-"), name, suite_specs(name.removeprefix(OPENML)))
    path = Path(name) if name.endswith(".toml") else suite_folder() / f"{name}.toml"
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(_unknown_suite(name)) from None
    except (ValueError, OSError, RecursionError) as error:  # a NUL in its name, wrong TOML, text that is none, too many brackets
        raise UserError(f"{printable(str(path))[:200]}: not a TOML file: {one_line(error)}") from None
    _refuse_unknown(raw, {"title", "tasks", "left_out"}, str(path))
    entries = raw.get("tasks")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise UserError(f"{path}: no tasks: add a [[tasks]] table")
    tasks = tuple(_spec(entry, path) for entry in entries)
    names = [task.name for task in tasks]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{path}: task {twice[0]!r} is listed twice: names must differ")
    left_out = fit(raw.get("left_out", []), list[_LeftOut], f"{path}, left_out")
    return Suite(path.stem, str(raw.get("title", path.stem)), tasks, tuple((entry.name, entry.reason) for entry in left_out))


def _unknown_suite(name: str) -> str:
    if name.endswith(".toml"):
        return f"{name}: no such suite file"
    near = get_close_matches(name, list_suites(), n=1)
    return f"no suite {name!r}: " + (f"did you mean {near[0]!r}?" if near else f"known: {', '.join(list_suites())}")


def _spec(entry: Mapping[str, Any], path: Path) -> TaskSpec:
    known = {field.name for field in fields(TaskSpec)} - {"folder"}
    where = f"{path}, task {str(entry.get('name', '?'))[:60]!r}"
    _refuse_unknown(entry, known, where)
    missing = [key for key in ("name", "source", "path") if key not in entry]
    if missing:
        raise UserError(f"{where}: key {missing[0]!r} is missing")
    if not isinstance(entry["name"], str) or not entry["name"] or set(entry["name"]) & set("/\\"):
        raise UserError(f"{where}: the name must be a text without slashes")
    if not entry["name"].isprintable():
        raise UserError(f"{where}: the name must be plain text")
    fit({**entry, "path": str(entry["path"])}, _Form, where)
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    SOURCES[values["source"]]
    return TaskSpec(**{**values, "path": str(values["path"]), "folder": path.parent})


class _LeftOut(msgspec.Struct, forbid_unknown_fields=True):
    name: Text
    reason: Text


class _Form(msgspec.Struct):
    """A task of a suite file."""

    name: Text
    source: Text
    path: LongText
    target: Text = ""
    categorical: list[Text] = []
    numeric: list[Text] = []
    drop: list[Text] = []
    na: list[Text | int | float] = []
    groups: Text | None = None
    time: Text | None = None
    gap: Text | float | None = None
    test_fold: Text | list[Text] | None = None
    folds: Folds | None = None
    repeats: Few | None = None
    holdout: float | None = None
    window: Text | None = None
    title: LongText | None = None
    licence: LongText | None = None
    openml_id: Count | None = None
    url: LongText | None = None
    notes: LongText | None = None
    rows: Count | None = None
    features: Count | None = None
    classes: Count | None = None


def _refuse_unknown(table: Mapping[str, Any], known: set[str], where: str) -> None:
    for key in table:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
            raise UserError(f"{where}: unknown key {key!r}: {hint}")


def load_spec(spec: TaskSpec) -> Task:
    """Load the table of a spec as a Task; raises UserError if it is not to be had or does not fit its description."""
    if spec.source == "openml":
        spec = described(spec)
    frame, remarks = SOURCES[spec.source](spec)
    absent = [column for column in spec.drop if column not in frame]
    if absent:
        raise UserError(f"{spec.name}: no column {absent[0]!r} to drop")
    frame = frame.drop(columns=list(spec.drop))
    facts = {key: getattr(spec, key) for key in FACTS}
    info = {"source": f"{spec.source}:{spec.path}", **{key: value for key, value in facts.items() if value is not None}}
    return make_task(
        frame,
        spec.target,
        name=spec.name,
        categorical=spec.categorical,
        numeric=spec.numeric,
        na=spec.na,
        **vars(spec.steering),
        scheme=spec.scheme,
        info=info,
        remarks=remarks,
    )
