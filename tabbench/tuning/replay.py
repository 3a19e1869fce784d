"""From stored trials to results: default, tuned and ensembled, within a budget, without fitting anything again.

A trial is one job of a tuned run: its validation metrics, its predictions for validation and test rows, and what it cost. What
is made of the trials is a pure function of them, so the run itself and `tabbench replay` agree.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from tabbench.errors import UserError
from tabbench.metrics import METRICS, compute_metrics
from tabbench.resources import Bounds
from tabbench.store.runs import ResultStore, as_table
from tabbench.tuning.protocols import Protocol

Trial = dict[str, Any]  # as ResultStore.trials gives it
ROUNDS = 25  # of greedy selection, with replacement (Caruana et al. 2004)
VALIDATION = "val_"  # begins the names of validation metrics


@dataclass(frozen=True)
class Budget:
    """Of one model on one fold. seconds : wall seconds of its trials; configs : their number; None: no limit."""

    seconds: float | None = None
    configs: int | None = None


def replay(
    store: ResultStore, protocol: Protocol, budget: Budget = Budget(), *, ensemble: bool = True, limits: Bounds = Bounds()
) -> pd.DataFrame:
    """Results table with up to three rows for a model and fold: "(default)", "(tuned)", "(tuned + ensembled)".

    Trials count in their order; the first always counts, later ones while the seconds of all together keep to the budget and
    to the protocol's own limit.
    """
    rows: list[Trial] = []
    for trials in _series(store):
        if trials[0]["base"] in protocol.max_rows:
            trials[0]["model"] = trials[0]["base"]  # the cut is part of the protocol
        if trials[0]["trial"] == 0:  # else it has not been done yet
            rows.append(beyond(_row(trials[0], trials[0], "default", trials[:1]), limits.exceeded(trials[0])))
        if len(trials) < 2:
            continue
        within = affordable(trials, budget, protocol.seconds)
        ok = [trial for trial in within if trial["status"] == "ok"]
        fits = [trial for trial in ok if not limits.exceeded(trial)]
        none_fits = f"none of its {len(ok)} trials is within the limits" if ok and not fits else ""
        rows.append(beyond(_tuned(trials[0], fits or ok, within, protocol), none_fits))
        if ensemble:
            row = _ensembled(trials[0], fits or ok, within, store, limits)
            rows.append(beyond(row, none_fits))
    return as_table(rows, list(METRICS))


def beyond(row: Trial, reason: str) -> Trial:
    """A row that ended ok as one that is not within the limits, for that reason, without scores; as it is if there is none."""
    if not reason or row["status"] != "ok":
        return row
    return {**{name: value for name, value in row.items() if name not in METRICS}, "status": "unsupported", "reason": reason}


def keep_within(frame: pd.DataFrame, limits: Bounds) -> pd.DataFrame:
    """A results table in which what is not within the limits has no scores (see `beyond`)."""
    if not limits.asked:
        return frame
    rows = [beyond(row, limits.exceeded(row)) for row in frame.to_dict("records")]
    return pd.DataFrame(rows, columns=list(frame)).astype(frame.dtypes)


def check_met(frame: pd.DataFrame, limits: Bounds) -> None:
    """Raise UserError if limits leave no row of a results table with scores."""
    if not limits.asked or not len(frame) or (frame["status"] == "ok").any():
        return
    reasons = frame.loc[frame["status"] == "unsupported", "reason"]
    if len(reasons):
        asked = ", ".join(f"{name} {bound:g}" for name, bound in limits.asked.items())
        raise UserError(f"nothing is within the limits ({asked}): {reasons.iloc[0]}, for one: raise them")


def _series(store: ResultStore) -> Iterator[list[Trial]]:
    """The trials of every model on every fold, in the order in which they were to be done."""

    def place(trial: Trial) -> tuple[Any, ...]:
        cut = (str(trial[name]) for name in ("max_rows", "row_policy", "max_columns", "column_policy"))
        return (trial["task"], trial["repeat"], trial["fold"], trial["base"], *cut)

    trials = sorted(store.trials(), key=lambda trial: (*place(trial), trial["rung"], trial["trial"], trial["key"]))
    return (list(group) for _, group in groupby(trials, key=place))


def trials_table(store: ResultStore) -> pd.DataFrame:
    """Every trial of a tuned run: one row per job, in the order of each search.

    Columns: those of the results table (`model` without the configuration), and trial (number of the configuration, 0: the
    default), rung (of halving: how often it had been given more steps), pruned (whether it was given no more), n_val (rows),
    val_* (validation values of the metrics), seconds (all that it took); of a run that stops fits, also n_steps (asked for),
    stopped_at (step; NA: it was not stopped), incumbent (loss to beat) and watched_loss (least of the fit that was watched).
    """
    rows = []
    for trials in _series(store):
        last = {trial["trial"]: trial["rung"] for trial in trials}  # of each configuration
        for trial in trials:
            over = trial["rung"] == last[trial["trial"]] < max(last.values())
            rows.append({**trial, "pruned": over and trial["trial"] > 0})
    values = [*(VALIDATION + name for name in METRICS), "seconds"]
    types = {"key": str, "trial": "int64", "rung": "int64", "pruned": bool, "n_val": "Int64", **dict.fromkeys(values, "float64")}
    if any("n_steps" in row for row in rows):
        types |= {"n_steps": "Int64", "stopped_at": "Int64", "incumbent": "float64", "watched_loss": "float64"}
    more = pd.DataFrame(rows, columns=list(types), dtype=object).astype(types)
    return as_table(rows, list(METRICS)).merge(more, on="key").set_index("key").loc[more["key"]].reset_index()


def curve_points(store: ResultStore) -> pd.DataFrame:
    """Every point of every curve (see `engine.curves`), in the order of trials and steps; empty where no trial has one.

    Columns: task, repeat, fold, model (without the configuration), config, trial, rung, step, val_log_loss (NaN where a loss left
    all bounds), cpu_seconds (of the inner fits so far).
    """
    frames = []
    for _, job, run in store.curves():
        facts = {name: getattr(job, name) for name in ("task", "repeat", "fold", "config", "trial", "rung")}
        step, loss, seconds = run.curve.T
        columns = {"step": step.astype(np.int64), "val_log_loss": loss, "cpu_seconds": seconds}
        frames.append(pd.DataFrame({**facts, "model": job.contender, **columns}))
    names = ["task", "repeat", "fold", "model", "config", "trial", "rung", "step", "val_log_loss", "cpu_seconds"]
    points = pd.concat(frames)[names] if frames else pd.DataFrame(columns=names)
    return points.sort_values(["task", "repeat", "fold", "model", "rung", "trial", "step"], ignore_index=True)


def affordable(trials: Sequence[Trial], budget: Budget, limit: float) -> list[Trial]:
    """Return the first trials that keep to the budget, at least one."""
    seconds = np.cumsum([trial["seconds"] for trial in trials])
    most = min(limit, np.inf if budget.seconds is None else budget.seconds)
    n = max(1, int(np.searchsorted(seconds, most, side="right")))
    return list(trials[: n if budget.configs is None else max(1, min(n, budget.configs))])


def best(trials: Iterable[Trial], metric: str) -> Trial | None:
    """Return the trial with the best validation value of a metric, the earlier of equals; None if none has a value."""
    sign = 1.0 if METRICS[metric].greater_is_better else -1.0
    scored = [trial for trial in trials if np.isfinite(trial.get(VALIDATION + metric, np.nan))]
    return max(scored, key=lambda trial: sign * trial[VALIDATION + metric], default=None)


def _row(first: Trial, chosen: Trial, kind: str, within: Sequence[Trial]) -> Trial:
    """Return the row of a chosen trial: its metrics, and the time of all the trials it was chosen from."""
    row = {**chosen, "model": f"{first['model']} ({kind})"}
    row["fit_seconds"] = sum(trial["seconds"] for trial in within) if len(within) > 1 else chosen.get("fit_seconds")
    return row


def _tuned(first: Trial, ok: list[Trial], within: list[Trial], protocol: Protocol) -> Trial:
    chosen = best(ok, protocol.search_by)
    if chosen is None:
        return _row(first, first, "tuned", within)
    row = _row(first, chosen, "tuned", within)
    for name in METRICS if protocol.select_by is None else ():
        by_itself = best(ok, name)
        row[name] = by_itself[name] if by_itself else np.nan
    return row


def _ensembled(first: Trial, ok: list[Trial], within: list[Trial], store: ResultStore, limits: Bounds) -> Trial:
    """Average of trials chosen by greedy selection on the validation log loss; what it costs to fit and to keep is their sum."""
    if not ok:
        return _row(first, first, "tuned + ensembled", within)
    runs = [store.stored(trial["key"]).run for trial in ok]
    kept = [run.validation for run in runs if run.validation is not None]
    members = greedy([validation.proba for validation in kept], kept[0].y_val)
    proba = np.mean([runs[member].proba for member in members], axis=0)
    row = _row(first, ok[members[0]], "tuned + ensembled", within)
    used = {member: ok[member] for member in members}.values()
    row |= compute_metrics(kept[0].y_test, proba)
    row["predict_seconds"] = sum(trial["predict_seconds"] for trial in used)
    row["note"] = f"{len(used)} of {len(ok)} trials"
    sizes = [trial["model_mb"] for trial in used if "model_mb" in trial]
    if len(sizes) == len(used):
        row["model_mb"] = sum(sizes)
    together = {**row, "fit_seconds": sum(trial["fit_seconds"] for trial in used)}
    return beyond(row, limits.exceeded(together))


def greedy(validations: Sequence[np.ndarray], y: np.ndarray) -> list[int]:
    """Members of an ensemble, with repetition: each round adds what lowers the log loss of the mean most (Caruana et al. 2004).

    validations : (n, k) class probabilities of every candidate; y : (n,) codes. Of all rounds, the best ensemble is taken.
    """
    right = np.array([validation[np.arange(len(y)), y] for validation in validations])
    members: list[int] = []
    losses, total = [], np.zeros(right.shape[1])
    for size in range(1, ROUNDS + 1):
        candidates = -np.log(np.clip((total + right) / size, 1e-15, None)).mean(axis=1)
        members.append(int(candidates.argmin()))
        total += right[members[-1]]
        losses.append(candidates.min())
    return members[: int(np.argmin(np.round(losses, 12))) + 1]  # the smallest of equals


def parse_seconds(text: str) -> float:
    """Seconds of "60", "60s", "5m" or "2h"; raises UserError for anything else.

    >>> parse_seconds("1.5m")
    90.0
    """
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1.0)
    try:
        seconds = float(number) * unit
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UserError(f"budget {text!r}: write seconds, minutes or hours, like 60s, 5m or 2h")
    return seconds
