"""Fetch what a suite needs and the cache lacks: in parallel, resumable at any point, with every failure in one line."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, TypeVar

from tabbench.data.openml.cache import Cache, Kind, open_cache, server_url
from tabbench.errors import UserError

if TYPE_CHECKING:
    from rich.progress import Progress

    from tabbench.data.openml.patience import Line

T = TypeVar("T")
WORKERS = 4
NOT_INSTALLED = "fetching from OpenML needs the package openml: pip install 'tabbench-harness[openml]'"
NOT_ASKED = "not on this machine: run `tabbench fetch` where there is a network, or `tabbench mirror import`"
_asking = ContextVar("asking", default=True)
UNIT_TRIES = 2  # of a dataset or task whose content came damaged


def parse_path(path: str) -> tuple[Literal["suite", "task", "data"], int]:
    """("task", 3) of "task/3"; raises UserError if it is none of suite/N, task/N, data/N."""
    kind, _, number = path.partition("/")
    if kind not in ("suite", "task", "data") or not (number.isascii() and number.isdecimal() and len(number) < 19):
        raise UserError(f"openml:{path}: write openml:suite/99, openml:task/3 or openml:data/31")
    return kind, int(number)  # type: ignore[return-value]


def suite_tasks(number: int, *, fresh: bool = False) -> list[int]:
    """Task ids of an OpenML suite, from the cache or else from the server; `fresh`: from the server if it can be had.

    Raises UserError if neither has it.
    """
    cache = open_cache()
    if fresh or not cache.has("suites", number):
        try:
            with _connection():
                from tabbench.data.openml import client

                facts = client.get_suite(number)
            cache.discard("suites", number)
            cache.add_suite(number, facts)
        except UserError:
            if not cache.has("suites", number):
                raise
    return [int(task) for task in cache.meta("suites", number)["tasks"]]


def pull(paths: Iterable[str], *, workers: int = WORKERS, quiet: bool = False, check: bool = False) -> dict[str, str]:
    """Fetch every "task/N" and "data/N" that is missing; `check`: and those that do not match their hashes.

    Returns the reason for each path that could not be had. What is complete is never touched. On KeyboardInterrupt what is
    complete stays.
    """
    cache = open_cache()
    missing = [path for path in dict.fromkeys(paths) if not _is_here(cache, path, check)]
    if not _asking.get():
        return dict.fromkeys(missing, NOT_ASKED)
    if missing and find_spec("openml") is None:
        return dict.fromkeys(missing, NOT_INSTALLED)
    if not missing:
        return {}
    failed: dict[str, str] = {}
    with _connection() as line, _bar(quiet) as bar, ThreadPoolExecutor(workers) as pool:
        item = bar.add_task("", total=len(missing))
        futures: dict[Future[None], str] = {pool.submit(_pull_one, cache, path): path for path in missing}
        try:
            for future in as_completed(futures):
                bar.update(item, advance=1, description=futures[future])
                try:
                    future.result()
                except UserError as error:
                    failed[futures[future]] = str(error)
        except BaseException:
            line.stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    if len(failed) < len(missing):
        cache.write_index(cache.folder.name)
        bar.console.print(f"fetched {len(missing) - len(failed)} of {len(missing)} from OpenML", highlight=False)
    return failed


@contextmanager
def offline() -> Iterator[None]:
    """Inside, no server is asked: what is not in the cache is not to be had."""
    before = _asking.set(False)
    try:
        yield
    finally:
        _asking.reset(before)


@contextmanager
def _connection() -> "Iterator[Line]":
    if not _asking.get():
        raise UserError(NOT_ASKED)
    if find_spec("openml") is None:
        raise UserError(NOT_INSTALLED)
    from tabbench.data.openml.client import connected
    from tabbench.data.openml.patience import Line

    line = Line(server_url())
    with connected(line):
        yield line


def _bar(quiet: bool) -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True, quiet=quiet)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.description}"), console=console, disable=not console.is_terminal)


def _is_here(cache: Cache, path: str, check: bool) -> bool:
    """Whether a task and its dataset, or a dataset, are complete; with `check` damaged parts are removed first."""
    kind, number = parse_path(path)
    if kind == "data":
        return _has(cache, "datasets", number, check)
    return _has(cache, "tasks", number, check) and _has(cache, "datasets", cache.meta("tasks", number)["dataset"], check)


def _has(cache: Cache, kind: Kind, number: int, check: bool) -> bool:
    if check and cache.has(kind, number) and not cache.is_sound(kind, number):
        cache.discard(kind, number)
    return cache.has(kind, number)


def _pull_one(cache: Cache, path: str) -> None:
    from tabbench.data.openml import client

    kind, number = parse_path(path)
    if kind == "data":
        return _pull_dataset(cache, number)
    if cache.has("tasks", number):
        return _pull_dataset(cache, cache.meta("tasks", number)["dataset"])
    facts, test_fold = _twice(lambda: client.get_task(number))
    _pull_dataset(cache, facts["dataset"])
    dataset = cache.meta("datasets", facts["dataset"])
    if len(test_fold) != dataset["rows"]:
        raise UserError(f"OpenML task {number}: its splits are for {len(test_fold)} rows, its dataset has {dataset['rows']}")
    cache.add_task(number, test_fold, {"name": dataset["name"], **facts})
    return None


def _pull_dataset(cache: Cache, number: int) -> None:
    from tabbench.data.openml import client

    if not cache.has("datasets", number):
        facts, frame = _twice(lambda: client.get_dataset(number))
        cache.add_dataset(number, frame, facts)


def _twice(get: Callable[[], T]) -> T:
    from tabbench.data.openml.patience import Damaged

    for _ in range(UNIT_TRIES - 1):
        try:
            return get()
        except Damaged:
            pass
    return get()
