"""The workers of a Dask cluster: asked what they are before they get a job, and refused if the numbers would not be ours."""

import logging
import pkgutil
import platform
from collections.abc import Iterable, Sequence
from typing import Any

import dask
import distributed
from distributed import Client

from tabbench import __version__
from tabbench.engine.remote import describe
from tabbench.errors import UserError
from tabbench.models import get_model
from tabbench.store.manifest import NUMERIC, environment

CONNECT_SECONDS = 15.0
MACHINE = ("platform", "cpu", "cores", "memory_mb", "python", "limits", "store")


def connect(address: str) -> Client:
    """A client of the scheduler at `address`; raises UserError within seconds if none answers there."""
    for name in ("distributed", "distributed.client"):  # Dask gives the second a level of its own
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters is said in one line, by us
    dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"})  # tables are large, and sent once
    try:
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False, name="tabbench")
    except Exception as error:  # noqa: BLE001 - an address may be wrong in many ways
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"--scheduler {address}: no Dask scheduler answers there ({reason}): give tcp://host:port") from None


class Workers:
    """The workers that have been met. environments : by address, see `manifest.environment`; models : what they have to run."""

    def __init__(self, client: Client, models: Sequence[str]) -> None:
        self._client, self._models = client, list(models)
        self.environments: dict[str, dict[str, Any]] = {}

    def meet(self, addresses: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Ask those that are new what they are; return all environments. Who does not answer is asked again the next time.

        Raises UserError for one that has another tabbench or Python, or cannot run a model.
        """
        new = [address for address in addresses if address not in self.environments]
        if new:
            versions = self._ask(new, pkgutil.resolve_name, "tabbench:__version__")
            for address, version in versions.items():
                _check_version(address, version)
            there = [address for address, version in versions.items() if version == __version__]
            for address, facts in self._ask(there, describe, self._models).items():
                if isinstance(facts, dict):
                    _check_environment(address, facts)
                    self.environments[address] = facts
        return self.environments

    def _ask(self, addresses: list[str], function: Any, *args: Any) -> dict[str, Any]:
        """Answers by address; exceptions are answers, too."""
        answers = self._client.run(function, *args, workers=addresses, on_error="return") if addresses else {}
        return dict(answers)

    @property
    def facts(self) -> dict[str, Any]:
        """For the manifest: the engine, and the distinct machines with the packages that are others than here."""
        ours = environment()["packages"]
        machines = []
        for theirs in self.environments.values():
            others = {name: version for name, version in theirs["packages"].items() if ours.get(name) != version}
            machine = {**{name: theirs[name] for name in MACHINE}, "other_packages": others}
            if machine not in machines:
                machines.append(machine)
        return {"name": "dask", "distributed": distributed.__version__, "workers": len(self.environments), "machines": machines}

    @property
    def warnings(self) -> list[str]:
        """Packages that compute numbers and are of another version on a worker, one line each."""
        ours = environment()["packages"]
        names = {*NUMERIC, *(package for name in self._models for package in get_model(name).packages)} & {*ours}
        versions = {(name, env["packages"].get(name, ours[name])) for env in self.environments.values() for name in names}
        return [
            f"{name} {theirs} on a worker, {ours[name]} here: numbers may differ in their last digits"
            for name, theirs in sorted(versions)
            if theirs != ours[name]
        ]


def _check_version(address: str, version: object) -> None:
    if isinstance(version, ImportError):
        raise UserError(f"worker {address}: tabbench cannot be imported there ({version}): install tabbench {__version__}")
    if isinstance(version, str) and version != __version__:
        raise UserError(f"worker {address}: runs tabbench {version}, not {__version__}: install the same on every worker")


def _check_environment(address: str, facts: dict[str, Any]) -> None:
    ours = platform.python_version()
    if facts["trouble"]:
        raise UserError(f"worker {address}: {facts['trouble']}")
    if facts["python"].split(".")[:2] != ours.split(".")[:2]:
        raise UserError(f"worker {address}: runs Python {facts['python']}, not {ours} as here")
