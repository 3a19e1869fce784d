"""The tables of a suite, or the one of a file or a DataFrame, as Tasks."""

from pathlib import Path

import pandas as pd

from tabbench.data.openml.pull import pull
from tabbench.data.suite import load_spec, load_suite
from tabbench.data.task import Task, make_task, read_table
from tabbench.errors import UserError


def gather(
    suite: str | None, data: str | Path | pd.DataFrame | None, target: str | None, quiet: bool = True
) -> tuple[list[Task], list[dict[str, str]]]:
    """Tasks, and the name and reason of those datasets of a suite that are not to be had; what OpenML has is fetched.

    Raises UserError on bad input, and if no dataset is to be had.
    """
    if (suite is None) == (data is None):
        raise UserError("give either a suite or data with a target")
    if data is not None:
        if target is None:
            raise UserError("data needs a target: name its target column")
        frame, name = (data, "data") if isinstance(data, pd.DataFrame) else (read_table(Path(data)), Path(data).stem)
        return [make_task(frame, target, name=name)], []
    tasks, missing = [], []
    specs = load_suite(str(suite)).tasks
    not_fetched = pull([spec.path for spec in specs if spec.source == "openml"], quiet=quiet)
    for spec in specs:
        try:
            tasks.append(load_spec(spec))
        except UserError as error:
            missing.append({"name": spec.name, "reason": not_fetched.get(spec.path, str(error))})
    if not tasks:
        raise UserError(f"suite {suite!r}: no dataset could be loaded; the first says: {missing[0]['reason']}")
    return tasks, missing
