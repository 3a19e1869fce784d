"""A user's own classifier as a model, found as "package.module:Attribute"."""

import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from importlib import import_module
from types import ModuleType
from typing import Any

from tabbench.border.texts import one_line
from tabbench.errors import UserError
from tabbench.models import FAMILIES, Limits, Model, Needs

SEEDS = ("random_state",)
THREADS = ("n_jobs", "thread_count")


def load_attribute(name: str) -> Model:
    """Model behind "package.module:Attribute"; see `tabbench.models.get_model`."""
    module_name, _, attribute = name.partition(":")
    if module_name == "__main__":
        raise UserError(f"model {name!r}: jobs run in processes of their own and cannot import it from __main__: {_ELSEWHERE}")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    with _foreign(f"model {name!r}: importing {module_name!r} fails"):
        module = _import(module_name, name)
        found = getattr(module, attribute, None)
    if found is None:
        near = get_close_matches(attribute, dir(module), n=1)
        hint = f"did you mean {near[0]!r}?" if near else "check the spelling"
        raise UserError(f"model {name!r}: module {module_name!r} has no {attribute!r}: {hint}")
    return as_model(found, name)


def name_of(found: Any) -> str:
    """What `get_model` finds a model by that is given as a name, a Model, a class, a function, or an instance of defaults.

    Jobs are done in other processes, and folders are read again, so a model has to be importable. Raises UserError for one that
    is not, and for an instance with parameters of its own.
    """
    if isinstance(found, str):
        return found.strip()
    if isinstance(found, Model):
        return found.name
    thing = found if callable(found) and hasattr(found, "__qualname__") else type(found)
    place, name = str(thing.__module__), str(thing.__qualname__)
    if not hasattr(thing, "fit") and not inspect.isfunction(thing):
        raise UserError(
            f"models: {_a(found)} is no model: give a name, a classifier class, or a function that returns a classifier"
        )
    if place == "__main__" or "<" in name or getattr(sys.modules.get(place), name, None) is not thing:
        raise UserError(f"model {name}: jobs run in processes of their own and cannot import it from {place}: {_ELSEWHERE}")
    if thing is not found and _own_parameters(found):
        raise UserError(
            f"model {name}: an instance with parameters of its own ({', '.join(_own_parameters(found))}) cannot be recorded: "
            "write a function that returns it, in a module, and give that"
        )
    return f"{place}:{name}"


_ELSEWHERE = "put it into a module, a file beside your script, and give it from there"


def _own_parameters(estimator: Any) -> list[str]:
    """The parameters of an estimator that are not the defaults of its class."""
    defaults = {name: p.default for name, p in _parameters(type(estimator)).items()}
    given = estimator.get_params(deep=False) if hasattr(estimator, "get_params") else vars(estimator)
    return [name for name, value in given.items() if repr(value) != repr(defaults.get(name, inspect.Parameter.empty))]


def as_model(found: Any, name: str) -> Model:
    """Model called `name` from a Model, a classifier class or a function that returns a classifier.

    Raises UserError if it is none of these, needs arguments, or raises when it is called without.
    """
    if isinstance(found, Model):
        return replace(found, name=name)
    with _foreign(f"model {name!r} cannot be built"):
        return _looked_at(found, name)


def _looked_at(found: Any, name: str) -> Model:
    if not callable(found):
        raise UserError(f"model {name!r} is {_a(found)}, not a classifier class, a function that returns one, or a Model")
    required = [p.name for p in _parameters(found).values() if p.default is p.empty and p.kind not in _VARIABLE]
    if required:
        raise UserError(f"model {name!r} requires arguments ({', '.join(required)}): give them defaults")

    def build(seed: int, threads: int, **config: Any) -> Any:
        return _build(found, seed, threads, config)

    build.__doc__ = (inspect.getdoc(found) or name).split("\n")[0]
    estimator = build(seed=0, threads=1)
    if not _is_classifier(estimator):
        raise UserError(
            f"model {name!r} gives {_a(estimator)}, which is not a classifier: it needs fit, and predict_proba or predict"
        )
    needs = getattr(found, "tabbench_needs", getattr(estimator, "tabbench_needs", Needs()))
    if not isinstance(needs, Needs):
        raise UserError(f"model {name!r}: tabbench_needs is {_a(needs)}: make it a tabbench.models.Needs")
    family: Any = getattr(found, "tabbench_family", getattr(estimator, "tabbench_family", "other"))
    if family not in FAMILIES:
        raise UserError(f"model {name!r}: tabbench_family is {family!r}: make it one of {', '.join(FAMILIES)}")
    return Model(name, build, needs, Limits(), imports=(), family=family)


_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _import(module_name: str, name: str) -> ModuleType:
    try:
        return import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise UserError(f"model {name!r}: no module {error.name!r}: install it or run in the folder that holds it") from None
        raise


@contextmanager
def _foreign(trouble: str) -> Iterator[None]:
    """Tell whatever foreign code raises, the ends of a process included, in one line; Ctrl-C stays what it is."""
    try:
        yield
    except (UserError, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - foreign code may raise anything
        raise UserError(f"{trouble}: {_one_line(error)}") from None


def _build(found: Callable[..., Any], seed: int, threads: int, config: dict[str, Any]) -> Any:
    """Call it with the seed and threads that its signature takes, and set those that sit deeper, e.g. in a pipeline."""
    given = {**dict.fromkeys(SEEDS, seed), **dict.fromkeys(THREADS, threads)}
    accepted = {key: value for key, value in given.items() if key in _parameters(found)}
    estimator = found(**{**accepted, **config})
    if hasattr(estimator, "get_params") and hasattr(estimator, "set_params"):
        depths = {key: key.rpartition("__")[2] for key in estimator.get_params() if key not in config}
        estimator.set_params(**{key: given[leaf] for key, leaf in depths.items() if leaf in given and key not in accepted})
    return estimator


def _parameters(found: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(found).parameters)
    except ValueError:  # some built-in types show no signature
        return {}


def _is_classifier(estimator: Any) -> bool:
    from sklearn.base import is_classifier

    if not (hasattr(estimator, "fit") and (hasattr(estimator, "predict") or hasattr(estimator, "predict_proba"))):
        return False
    return is_classifier(estimator) if hasattr(estimator, "__sklearn_tags__") else hasattr(estimator, "predict_proba")


def _a(thing: Any) -> str:
    return f"an object of type {type(thing).__name__}"


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {one_line(error)}"
