"""The models: scikit-learn estimators behind one table, each with what it needs and what it can bear."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, get_args

from tabbench.border.texts import one_line
from tabbench.errors import UserError
from tabbench.models.space import Space
from tabbench.prepare.needs import Needs
from tabbench.registry import Registry
from tabbench.request import DEFAULT_MODELS

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

    Labelled = tuple[Any, Any]


Family = Literal["simple", "boosting", "network", "other"]


@dataclass(frozen=True)
class Limits:
    """Largest training table a model takes (None: no limit); a job beyond them is recorded as `unsupported`."""

    rows: int | None = None
    features: int | None = None
    classes: int | None = None


@dataclass(frozen=True)
class Steps:
    """How a model is trained step by step, in boosting rounds or epochs.

    parameter : says how many steps there are, at most. stop : (estimator, training part, validation part, patience), fits until
    the validation part has not been predicted better for so many steps (None: its own number); a part is a table and its labels.
    holds_out : a model that holds rows out itself, to stop by them, where it is given none.
    staged : (fitted estimator, table, number), yields so many steps at most, the last among them, each with the class
    probabilities (n, k) that the model would predict if it had ended there. A model that records held-out losses as it is fitted,
    as the networks do in `curve_`, needs none.
    watch : (estimator, training part, validation part, after), fits as usual, and tells `after` of each step that is done its
    number and the validation log loss (boosted trees may tell several at once); where that answers False, the fit ends there.
    """

    parameter: str
    stop: Callable[..., object] | None = None
    staged: Callable[[Any, Any, int], Iterator[tuple[int, Any]]] | None = None
    holds_out: bool = False
    watch: Callable[[Any, Labelled, Labelled, Callable[[int, float], bool]], object] | None = None


@dataclass(frozen=True)
class Model:
    """A named way to build an unfitted classifier: `build(seed=..., threads=..., **config)`.

    imports : modules that its jobs will import, done once in the fork server; without their packages jobs are `unsupported`.
    tolerance : how far a probability may be off when a job is fitted again on the same machine with the same software (0: exact).
    space : where configurations are searched. steps : of models that are trained step by step.
    family : what it is compared as, e.g. "which metafeatures go with the gap between networks and boosted trees".
    aliases : what others call it, TabZilla for one.
    """

    name: str
    build: Callable[..., ClassifierMixin]
    needs: Needs
    limits: Limits
    imports: tuple[str, ...]
    tolerance: float = 0.0
    space: Space = field(default_factory=dict)
    steps: Steps | None = None
    family: Family = "other"
    aliases: tuple[str, ...] = ()

    @property
    def defaults(self) -> dict[str, Any]:
        """The default configuration."""
        parameters = inspect.signature(self.build).parameters.values()
        named = [p for p in parameters if p.kind is not p.VAR_KEYWORD]
        return {p.name: p.default for p in named if p.name not in ("seed", "threads")}

    @property
    def packages(self) -> list[str]:
        """The packages it needs, sorted."""
        return sorted({name.split(".")[0] for name in self.imports})

    @property
    def summary(self) -> str:
        """First line of the builder's docstring."""
        return (inspect.getdoc(self.build) or "").split("\n")[0]


FAMILIES: tuple[Family, ...] = get_args(Family)
MODELS: Registry[Model] = Registry("model")


def model(  # noqa: PLR0913 - all that there is to say of a model
    name: str,
    *,
    needs: Needs = Needs(),
    limits: Limits = Limits(),
    imports: tuple[str, ...] = (),
    tolerance: float = 0.0,
    space: Space | None = None,
    steps: Steps | None = None,
    family: Family = "other",
    aliases: tuple[str, ...] = (),
) -> Callable[[Callable[..., ClassifierMixin]], Model]:
    """Register a builder as a model; `imports` : see `Model`."""

    def register(build: Callable[..., ClassifierMixin]) -> Model:
        made = Model(name, build, needs, limits, imports, tolerance, space or {}, steps, family, aliases)
        return MODELS.add(name, made, aliases)

    return register


@cache
def load_models() -> None:
    """Register every model: the modules beside this one, then the entry points of the group "tabbench.models".

    An entry point names a Model, or a classifier class or factory (see `get_model`), which gets the entry point's name.
    Raises UserError if one cannot be loaded.
    """
    for sibling in pkgutil.iter_modules(__path__):
        import_module(f"{__name__}.{sibling.name}")
    for entry_point in entry_points(group="tabbench.models"):
        _load_entry_point(entry_point)


def _load_entry_point(entry_point: EntryPoint) -> None:
    from tabbench.models.custom import as_model

    try:
        found = entry_point.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign code may raise anything
        reason = one_line(error)
        raise UserError(
            f"entry point {entry_point.name!r} ({entry_point.value}) fails to load: {type(error).__name__}: {reason}: "
            "mend or uninstall its package"
        ) from None
    if found not in MODELS.values():
        MODELS.add(entry_point.name, as_model(found, entry_point.name))


def get_model(name: str) -> Model:
    """Model of a registered name or alias, or from "package.module:Attribute" (the working directory is importable).

    The attribute is a Model, a classifier class, or a function that returns a classifier; it may require no argument.
    The seed goes to every `random_state` of the classifier and the threads to every `n_jobs` or `thread_count`, nested
    ones included. It gets one-hot, scaled, complete data unless its attribute `tabbench_needs` says otherwise;
    `tabbench_family` says what it is compared as.

    Raises UserError for an unknown name, module or attribute, and for what is not a classifier.
    """
    from tabbench.models.custom import load_attribute

    load_models()
    return load_attribute(name) if ":" in name else MODELS[name]


def own_names(names: Iterable[str]) -> tuple[str, ...]:
    """The names under which models are registered, once each, of names or aliases; others as they are."""
    load_models()
    return tuple(dict.fromkeys(MODELS.own_name(name) for name in names))


def missing_imports(model: Model) -> list[str]:
    """List the packages the model needs that are not installed."""
    return [package for package in model.packages if not _is_installed(package)]


def usual_models() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The models of a run that names none: those that can be imported here, and those that cannot."""
    lacking = tuple(name for name in DEFAULT_MODELS if missing_imports(get_model(name)))
    return tuple(name for name in DEFAULT_MODELS if name not in lacking), lacking


@cache
def _is_installed(package: str) -> bool:
    return find_spec(package) is not None
