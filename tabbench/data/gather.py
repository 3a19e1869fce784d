"""The tables of a suite, or the one that somebody has, as Tasks."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tabbench.border.texts import printable
from tabbench.data.frames import TARGET, as_frame
from tabbench.data.openml.pull import pull
from tabbench.data.reader import PACKED
from tabbench.data.spec import Steering
from tabbench.data.suite import load_spec, load_suite
from tabbench.data.task import Task, make_task
from tabbench.errors import UserError


def gather(
    suite: str | None,
    data: Any,
    target: Any,
    quiet: bool = True,
    *,
    classes: bool = False,
    steering: Steering = Steering(),
    fetch: bool = True,
) -> tuple[list[Task], list[dict[str, str]]]:
    """Tasks, and the name and reason of those datasets of a suite that are not to be had; what OpenML has is fetched.

    fetch : whether it is; else a suite may be missing as a whole. Raises UserError on bad input, and if no dataset is to be had.
    """
    if (suite is None) == (data is None):
        raise UserError("give either a suite or data with a target")
    if data is not None:
        return [table_task(data, target, classes=classes, steering=steering)], []
    if steering != Steering():
        raise UserError("groups, time, gap and test folds are of one table: of a suite, its file names them")
    tasks, missing = [], []
    specs = load_suite(str(suite)).tasks
    not_fetched = pull([spec.path for spec in specs if spec.source == "openml"], quiet=quiet) if fetch else {}
    for spec in specs:
        try:
            tasks.append(load_spec(spec))
        except UserError as error:
            missing.append({"name": spec.name, "reason": not_fetched.get(spec.path, str(error))})
    if not tasks and fetch:
        raise UserError(f"suite {suite!r}: no dataset could be loaded; the first says: {missing[0]['reason']}")
    return tasks, missing


def table_task(data: Any, target: Any, *, classes: bool = False, steering: Steering = Steering()) -> Task:
    """The task of a table in any form that `as_frame` takes. classes : the target holds classes though it looks like numbers.

    A pair (X, y) needs no target. Raises UserError on bad input.
    """
    is_file = isinstance(data, str | Path)
    if target is None and not isinstance(data, tuple):
        raise UserError("data needs a target: name its target column")
    if target is not None and isinstance(data, tuple):
        raise UserError(f"data is a pair (X, y), whose y is the target: leave target={target!r} out")
    name = table_name(Path(data)) if is_file else "data"
    frame, remarks = as_frame(data)
    target = TARGET if target is None else target
    labels = [target] if classes else []
    return make_task(frame, target, name=name, categorical=labels, remarks=remarks, **vars(steering))


def table_name(path: Path) -> str:
    """What a table is called after its file: "t" for t.csv, and for t.csv.gz as well."""
    stem = path.stem if path.suffix[1:].lower() in PACKED else path.name
    return printable(Path(stem).stem)


def remarks_on(tasks: Iterable[Task]) -> list[str]:
    """What was dropped, left out or taken in another way than written, one line each with the table's name."""
    return [f"{task.name}: {remark}" for task in tasks for remark in task.info.get("remarks", ())]
