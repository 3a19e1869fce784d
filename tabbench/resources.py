"""Resources: how many jobs at a time, and what one of them may take."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from tabbench.errors import UserError

MOST, LONGEST, LARGEST = 10_000, 1e9, 1e12  # beyond these, infinite and NaN included, nothing is held


@dataclass(frozen=True)
class Resources:
    """Limits of every job and the number of jobs at a time. time_limit : wall seconds; memory_limit : MB, per process tree."""

    workers: int = 1
    threads: int = 1
    time_limit: float = 600.0
    memory_limit: float = 0.0  # 0: four fifths of the machine's memory, shared by the workers

    def __post_init__(self) -> None:
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
