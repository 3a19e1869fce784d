"""Resources: how many jobs at a time, and what one of them may take."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from numbers import Integral, Real
from typing import Any

import psutil

from tabbench.errors import UserError

MOST, LONGEST, LARGEST = 10_000, 1e9, 1e12  # beyond these, infinite and NaN included, nothing is held
LIMITS = frozenset({"seconds", "memory_mb"})  # as they are recorded of a job; one that is new, stored jobs may lack


@dataclass(frozen=True)
class Resources:
    """Limits of every job and the number of jobs at a time. time_limit : wall seconds; memory_limit : MB, per process tree."""

    workers: int = 1
    threads: int = 1
    time_limit: float = 600.0
    memory_limit: float = 0.0  # 0: four fifths of the machine's memory, shared by the workers

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, bool) or not isinstance(value, Integral if name in ("workers", "threads") else Real):
                raise UserError(
                    f"{name} must be a number{' without a fraction' if name in ('workers', 'threads') else ''}, got {value!r}"
                )
        if not (1 <= self.workers <= MOST and 1 <= self.threads <= MOST):
            raise UserError(f"workers and threads must be positive, at most {MOST}")
        if not (0 < self.time_limit <= LONGEST and 0 <= self.memory_limit <= LARGEST):
            raise UserError(f"limits must be positive, of time at most {LONGEST:g} s, of memory at most {LARGEST:g} MB")

    def check_cores(self) -> None:
        """Raise UserError if this machine has fewer cores."""
        cores = psutil.cpu_count() or 1
        if self.workers * self.threads > cores:
            raise UserError(f"{self.workers} workers × {self.threads} threads exceed the {cores} cores: lower one of them")

    @property
    def limits(self) -> dict[str, float]:
        """Limits of one job as they are recorded: seconds, memory_mb."""
        share = 0.8 * psutil.virtual_memory().total / 2**20 / self.workers
        return {"seconds": self.time_limit, "memory_mb": self.memory_limit or round(share)}


@dataclass(frozen=True)
class Bounds:
    """What a fitted model may have cost to be chosen and ranked; None: whatever.

    fit_seconds : wall seconds of one fit on a training part. model_mb : size of what it needs to predict, see `facts`.
    rss_mb : most memory that its process held. Sizes are in units of 2**20 bytes.
    """

    fit_seconds: float | None = None
    model_mb: float | None = None
    rss_mb: float | None = None

    def __post_init__(self) -> None:
        for name, bound in self.asked.items():
            if not 0 < bound <= LARGEST:
                raise UserError(f"limit of {name} {bound:g}: must be positive, at most {LARGEST:g}")

    @property
    def asked(self) -> dict[str, float]:
        """The limits there are, by name."""
        return {name: bound for name, bound in asdict(self).items() if bound is not None}

    @property
    def facts(self) -> dict[str, float]:
        """The same by the columns of the results table that they limit."""
        return {"peak_rss_mb" if name == "rss_mb" else name: bound for name, bound in self.asked.items()}

    def exceeded(self, facts: Mapping[str, Any]) -> str:
        """Why a job with these facts is not within the limits; "" if it is. What was not recorded is not within."""
        for name, bound in self.facts.items():
            value = facts.get(name)
            if value is None or value != value:
                return f"no {name} is recorded, so it may exceed the limit of {bound:g}"
            if value > bound:
                return f"{name} {value:.4g} exceeds the limit of {bound:g}"
        return ""


def spare_workers(threads: int) -> int:
    """As many workers of so many threads as the cores allow, at least one."""
    return max(1, (psutil.cpu_count() or 1) // max(1, threads))


@contextmanager
def torch_threads(n: int | None) -> Iterator[None]:
    """Let torch use `n` threads for a while (None: as many as it does; -1: all cores)."""
    import torch
    from joblib import effective_n_jobs

    before = torch.get_num_threads()
    torch.set_num_threads(effective_n_jobs(n) if n else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
