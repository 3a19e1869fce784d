"""Engines: where jobs can be done. Add one by writing a function with @engine, and say in `open_engine` when it is meant."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from tabbench.engine.runner import Engine, LocalEngine
from tabbench.errors import UserError
from tabbench.registry import Registry
from tabbench.resources import Resources

Opener = Callable[[str, Resources, Sequence[str]], AbstractContextManager[Engine]]
ENGINES: Registry[Opener] = Registry("engine")


def open_engine(scheduler: str | None, resources: Resources, models: Sequence[str]) -> AbstractContextManager[Engine]:
    """The engine for jobs of these models: a cluster's if the address of a scheduler is given, else that of this machine.

    Raises UserError if the machine has fewer cores than are asked for, or the cluster cannot be used.
    """
    return ENGINES["dask" if scheduler else "local"](scheduler or "", resources, models)


def engine(name: str) -> Callable[[Callable[[str, Resources, Sequence[str]], Iterator[Engine]]], Opener]:
    """Register `f(address, resources, models)`, a generator that yields an engine and closes it afterwards."""

    def register(opened: Callable[[str, Resources, Sequence[str]], Iterator[Engine]]) -> Opener:
        return ENGINES.add(name, contextmanager(opened))

    return register


@engine("local")
def local(address: str, resources: Resources, models: Sequence[str]) -> Iterator[Engine]:
    """Child processes of this one."""
    resources.check_cores()
    yield LocalEngine(resources)


@engine("dask")
def dask(address: str, resources: Resources, models: Sequence[str]) -> Iterator[Engine]:
    """The workers of a Dask cluster."""
    try:
        from tabbench.engine.cluster import DaskEngine
    except ImportError:
        raise UserError("--scheduler needs Dask: pip install 'tabbench-harness[dask]'") from None
    with DaskEngine(address, resources, models) as found:
        yield found
