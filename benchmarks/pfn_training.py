"""Tasks that a CPU second trains on: the trainer of the network over cells (fp32) against today's, in one run.

    python benchmarks/pfn_training.py [--seconds 15]

Everything counts, drawing tables and their evidence too; one thread, CPU seconds, the two taking turns step by step, so that
other work on the machine favours neither. GFLOP/s are the network's matrix products over the seconds of its step alone. Goals:
6 times the tasks at 512 rows × 24 columns and 10 times at 1,024 × 40. Half of the rows are context.
"""

import argparse
import time
from dataclasses import dataclass, replace

import torch

from benchmarks.support.pfn_cells import CELLS, CellConfig
from tabbench.pfn.curriculum import Config, Shape, load_config
from tabbench.pfn.trainer import TABLES, Trainer, step_flops

SHAPES = ((256, 12), (512, 24), (1024, 40))
OLD_TASKS, NEW_TASKS = 4, 8  # a step, in either's config


@dataclass
class Entrant:
    """A trainer, the tasks of its steps, and the CPU seconds that they took."""

    trainer: Trainer
    n_tasks: int
    steps: int = 0
    seconds: float = 0.0
    in_step: float = 0.0

    def go(self, n_rows: int, n_features: int) -> None:
        """Draw a batch and make one step."""
        shape = Shape(self.n_tasks, n_rows, n_rows // 2, n_features)
        started = time.process_time()
        batch = self.trainer.sample(0, self.steps, **vars(shape))
        drawn = time.process_time()
        self.trainer.advance(batch, shape, 0.1)
        ended = time.process_time()
        self.steps, self.seconds, self.in_step = self.steps + 1, self.seconds + ended - started, self.in_step + ended - drawn

    @property
    def tasks_per_second(self) -> float:
        """Of all CPU seconds."""
        return self.steps * self.n_tasks / self.seconds

    def gflops(self, n_rows: int, n_features: int) -> float:
        """GFLOP/s of the step."""
        shape = Shape(self.n_tasks, n_rows, n_rows // 2, n_features)
        return self.steps * step_flops(self.trainer.problem, self.trainer.config, shape) / self.in_step / 1e9


def entrants(config: Config) -> tuple[Entrant, Entrant]:
    """The old trainer and the new one."""
    old_config = replace(config, network=CellConfig())  # type: ignore[arg-type]
    cpu = torch.device("cpu")
    return Entrant(Trainer(old_config, cpu, CELLS, torch.float32), OLD_TASKS), Entrant(Trainer(config, cpu, TABLES), NEW_TASKS)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=15, help="least CPU seconds of either trainer at a shape")
    parser.add_argument("--config", default="base")
    args = parser.parse_args()
    torch.set_num_threads(1)
    config = load_config(args.config)
    print(f"products in {entrants(config)[1].trainer.dtype}; voices: {', '.join(config.network.voices)}")
    print("| table | old tasks/s | GFLOP/s | new tasks/s | GFLOP/s | in the step | ratio |\n|---|--:|--:|--:|--:|--:|--:|")
    for n_rows, n_features in SHAPES:
        both = entrants(config)
        for entrant in both:
            entrant.go(n_rows, n_features)  # the first step allocates
            entrant.steps, entrant.seconds, entrant.in_step = 0, 0.0, 0.0
        while min(entrant.seconds for entrant in both) < args.seconds:
            min(both, key=lambda entrant: entrant.seconds).go(n_rows, n_features)
        old, new = both
        cells = [f"{n_rows:,} × {n_features}"]
        for entrant in both:
            cells += [f"{entrant.tasks_per_second:.2f}", f"{entrant.gflops(n_rows, n_features):.0f}"]
        cells += [f"{new.in_step / new.seconds:.0%}", f"{new.tasks_per_second / old.tasks_per_second:.1f}×"]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
