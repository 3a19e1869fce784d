"""Protocols: how a configuration is tried on a fold, and which configuration of a model is then taken.

"tabbench": inner folds within the training part, one selection metric, then a refit on the whole training part.
"tabzilla": as McElfresh et al. (2023) did it, for numbers that can be laid beside theirs: docs/protocols.md compares the two.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tabbench.data.folds import dealt, future
from tabbench.data.split import DEFAULT_FOLDS, Split
from tabbench.data.task import Task
from tabbench.errors import UserError
from tabbench.job import Job
from tabbench.models import Needs, get_model
from tabbench.models.space import Choice, Range, Space
from tabbench.registry import Registry

CV_ROWS = 2000  # at most so many training rows: cross-validation; above: one holdout
CV_FOLDS = 5
HOLDOUT_EVERY = 5

Parts = Sequence[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Protocol:
    """How configurations are tried and chosen.

    refit : on the whole training part, after the inner fits. select_by : metric, or None: each metric reported, by itself.
    n_configs : configurations tried unless said otherwise. n_folds : outer folds of a table without official ones.
    seconds : of tuning per fold and model, at most.
    plain : every model gets unscaled numbers with means for gaps, and categories as codes unless it takes them as they are.
    models : defaults and search space, instead of the model's own. max_rows : random training rows a model gets at most.
    patience : steps after which a model that is trained in steps stops unless the validation rows are predicted better.
    """

    name: str
    refit: bool
    select_by: str | None
    n_configs: int
    n_folds: int = DEFAULT_FOLDS
    seconds: float = float("inf")
    plain: bool = False
    models: Mapping[str, tuple[Mapping[str, Any], Space]] = field(default_factory=dict)
    max_rows: Mapping[str, int] = field(default_factory=dict)
    patience: int | None = None

    @property
    def search_by(self) -> str:
        """Metric by which a search goes on."""
        return self.select_by or "log_loss"

    def check(self, folds: int | None, configs: int | None) -> None:
        """Raise UserError for numbers of folds or configurations that do not fit."""
        if folds is not None and folds < 2:
            raise UserError(f"folds must be at least 2, got {folds}")
        if folds is not None and not self.refit:
            raise UserError(f"protocol {self.name} takes every fold: leave the number of folds out")
        if configs is not None and configs < 1:
            raise UserError(f"configs must be at least 1, got {configs}")

    def cut(self, job: Job, n_rows: int) -> Job:
        """Return the job with random rows up to the model's limit, if it has one and more rows."""
        limit = self.max_rows.get(job.model, n_rows)
        return replace(job, max_rows=limit, row_policy="random") if n_rows > limit else job


# Ranges that TabZilla's random sampler really draws from, and its defaults, where our model has the same parameter.
TABZILLA_MODELS: dict[str, tuple[dict[str, Any], Space]] = {
    "knn": ({"n_neighbors": 9}, {"n_neighbors": Choice(tuple(range(3, 42, 2)))}),
    "svm": ({"C": 1.0}, {"C": Range(1e-10, 1e10, log=True)}),
    "tree": ({"max_depth": 5}, {"max_depth": Range(2, 12, log=True, whole=True)}),
    "random_forest": (
        {"max_depth": 5, "n_estimators": 50},
        {"max_depth": Range(2, 12, log=True, whole=True), "n_estimators": Range(5, 100, log=True, whole=True)},
    ),
    "xgboost": (
        {"max_depth": 5, "reg_alpha": 1e-4, "reg_lambda": 1e-4, "learning_rate": 0.08},
        {
            "max_depth": Range(2, 12, log=True, whole=True),
            "reg_alpha": Range(1e-8, 1, log=True),
            "reg_lambda": Range(1e-8, 1, log=True),
            "learning_rate": Range(0.03, 0.3, log=True),
        },
    ),
    "catboost": (
        {"learning_rate": 0.08, "depth": 5, "l2_leaf_reg": 5.0, "iterations": 100},
        {
            "learning_rate": Range(0.03, 0.3, log=True),
            "depth": Range(2, 12, log=True, whole=True),
            "l2_leaf_reg": Range(0.5, 30, log=True),
        },
    ),
    "lightgbm": (
        {"num_leaves": 512, "reg_alpha": 1e-3, "reg_lambda": 1e-3, "learning_rate": 0.08, "n_estimators": 500},
        {
            "num_leaves": Range(2, 4096, log=True, whole=True),
            "reg_alpha": Range(1e-8, 10, log=True),
            "reg_lambda": Range(1e-8, 10, log=True),
            "learning_rate": Range(0.03, 30, log=True),  # theirs: the mistake is part of the protocol
        },
    ),
    "mlp": (
        {"width": 30, "n_layers": 3, "learning_rate": 7e-4, "max_epochs": 100},
        {
            "width": Range(10, 100, whole=True),
            "n_layers": Range(2, 5, whole=True),
            "learning_rate": Range(5e-4, 1e-3),
        },
    ),
    "rtdl_mlp": ({"max_epochs": 100}, {"learning_rate": Range(1e-4, 1e-2, log=True)}),
    "resnet": ({"max_epochs": 100}, {"learning_rate": Range(1e-4, 1e-2, log=True)}),
    "ft_transformer": (
        {"n_blocks": 3, "width": 192, "max_epochs": 100},
        {"learning_rate": Range(1e-4, 1e-2, log=True)},
    ),
    "saint": (
        {"width": 64, "depth": 3, "dropout": 0.5, "learning_rate": 3e-5},
        {
            "width": Choice((32, 64, 128, 256)),
            "depth": Choice((1, 2, 3, 6, 12)),
            "n_heads": Choice((2, 4, 8)),
            "dropout": Range(0.0, 0.8),
        },
    ),
    "node": (
        {"n_layers": 4, "n_trees": 1024, "learning_rate": 1e-3},
        {"n_layers": Choice((2, 4, 8)), "n_trees": Choice((1024, 2048)), "depth": Choice((6, 8))},
    ),
    "tabnet": (
        {"momentum": 0.015, "learning_rate": 0.02, "max_epochs": 100},
        {
            "width": Range(8, 64, whole=True),
            "n_steps": Range(3, 10, whole=True),
            "gamma": Range(1.0, 2.0),
            "embedding": Range(1, 3, whole=True),
            "n_independent": Range(1, 5, whole=True),
            "n_shared": Range(1, 5, whole=True),
            "momentum": Range(4e-4, 0.04, log=True),
            "mask": Choice(("sparsemax", "entmax")),
        },
    ),
    "tabtransformer": (
        {"n_blocks": 6, "learning_rate": 1e-4, "weight_decay": 1e-3, "dropout": 0.3},
        {
            "width": Choice((32, 64, 128, 256)),
            "n_blocks": Choice((1, 2, 3, 6, 12)),
            "n_heads": Choice((2, 4, 8)),
            "weight_decay": Choice((1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)),
            "learning_rate": Choice((1e-6, 1e-5, 1e-4, 1e-3)),
            "dropout": Range(0.0, 0.5),
        },
    ),
    "danet": (
        {"n_layers": 16, "dropout": 0.2, "learning_rate": 8e-3},
        {
            "n_layers": Range(8, 32, whole=True),
            "width": Choice((64, 96)),
            "n_masks": Choice((8,)),  # theirs: meant 3 to 8
            "dropout": Choice((0.0, 0.1, 0.2, 0.3)),
        },
    ),
    "stg": (
        {"max_epochs": 1000},
        {
            "hidden": Choice(("500-50-10", "60-20", "500-500-10", "500-400-20")),
            "penalty": Range(1e-3, 10.0, log=True),
            "learning_rate": Range(1e-4, 0.1, log=True),
        },
    ),
    "vime": (
        {"p_mask": 0.5, "alpha": 3.0, "beta": 3.0, "n_copies": 5},
        {
            "p_mask": Range(0.1, 0.9),
            "alpha": Range(0.1, 10.0),
            "beta": Range(0.1, 10.0),
            "n_copies": Choice((2, 3, 5, 10, 15, 20)),
        },
    ),
    "nam": (
        {"learning_rate": 8e-3, "penalty": 0.05, "dropout": 0.5, "feature_dropout": 0.1},
        {
            "learning_rate": Range(1e-3, 0.1, log=True),
            "penalty": Range(1e-3, 0.1, log=True),
            "dropout": Range(0.0, 0.9),
            "feature_dropout": Range(0.0, 0.2),
        },
    ),
    "deepfm": ({"dropout": 0.5}, {"dropout": Range(0.0, 0.9)}),
}

PROTOCOLS: Registry[Protocol] = Registry("protocol")
PROTOCOLS.add("tabbench", Protocol("tabbench", refit=True, select_by="log_loss", n_configs=1))
PROTOCOLS.add(
    "tabzilla",
    Protocol(
        "tabzilla",
        refit=False,
        select_by=None,
        n_configs=30,
        n_folds=10,
        seconds=3600.0,  # ten hours for the ten folds of a dataset
        plain=True,
        models=TABZILLA_MODELS,
        max_rows={"pfn": 3000, "tabpfn": 3000},
        patience=20,
    ),
)


def needs_under(protocol: str, needs: Needs) -> Needs:
    """What a model is given under a protocol ("": what it needs)."""
    if not protocol or not PROTOCOLS[protocol].plain:
        return needs
    return Needs("native" if needs.categories == "native" else "ordinal", scaled=False, complete=True, impute="mean")


def search_space(protocol: Protocol, model: str) -> tuple[Mapping[str, Any], Space]:
    """Defaults that differ from the model's own, and the space that is searched."""
    return protocol.models.get(model, ({}, {})) if protocol.models else ({}, get_model(model).space)


def inner_parts(protocol: str, task: Task, split: Split, seed: int) -> Parts:
    """Rows to fit on and rows to validate on, once or more, for one outer fold; none for the empty protocol.

    "tabzilla": the test rows of the next fold of the repeat validate, what is left of the training part is fitted on.
    "tabbench": stratified folds of the training part (at most `CV_ROWS` rows) or a stratified fifth of it; seeded. Where there
    are groups, these stay whole; where there are times, the latest fifth validates what came before it, the gap left out.
    Raises UserError if the training part cannot be parted so.
    """
    if protocol == "tabzilla":
        return [(np.setdiff1d(split.train, split.next_test), split.next_test)]
    if not protocol:
        return []
    if task.time is not None:
        return [future(task, 1 / HOLDOUT_EVERY, split.train)]
    groups = None if task.groups is None else task.groups[split.train]
    return _dealt_parts(task.y[split.train], groups, split.train, seed)


def stopping_parts(task: Task, rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Of training rows, those to fit on and those by which a model may stop that holds some out itself.

    Whole groups are held out, or the latest fifth, the gap before it left out; rows of a class that is nowhere else stay.
    None where there are neither groups nor times, or where the rows cannot be parted so: the model then parts them its own way.
    """
    if task.groups is None and task.time is None:
        return None
    try:
        if task.time is not None:
            fit, held_out = future(task, 1 / HOLDOUT_EVERY, rows)
        else:
            assert task.groups is not None
            fit, held_out = _dealt_parts(task.y[rows], task.groups[rows], rows, seed)[0]
    except UserError:
        return None
    seen = task.y[fit]
    held_out = held_out[np.isin(task.y[held_out], seen)]
    return (np.sort(np.r_[fit, rows[~np.isin(task.y[rows], seen)]]), held_out) if len(held_out) else None


def _dealt_parts(y: np.ndarray, groups: np.ndarray | None, rows: np.ndarray, seed: int) -> Parts:
    unit_of, order = dealt(y, groups, seed)
    n_folds = min(CV_FOLDS if len(y) <= CV_ROWS else HOLDOUT_EVERY, len(order))
    if n_folds < 2:
        raise UserError("all training rows are of one group: no whole group can validate")
    fold_of_unit = np.empty(len(order), dtype=np.int64)
    fold_of_unit[order] = np.arange(len(order)) % n_folds  # dealt out class by class, so every fold gets its share
    fold_of = fold_of_unit[unit_of]
    wanted = range(n_folds) if len(y) <= CV_ROWS else [0]
    return [(rows[fold_of != fold], rows[fold_of == fold]) for fold in wanted]
