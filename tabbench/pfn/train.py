"""Pretraining: a trunk at a constant learning rate that any later run continues.

    python -m tabbench.pfn.train --config base --minutes 60 --out runs/pfn [--resume]

needs torch, numpy and safetensors only. The batch of a step is a function of (seed, step), so on one kind of device the
curve does not depend on interruptions or on the number of sampling processes. Warmup–stable–decay after Hu et al. 2024.
"""

import argparse
import csv
import sys
import time
from pathlib import Path

import torch

from tabbench.errors import UserError
from tabbench.files import replace_text
from tabbench.pfn.checkpoint import load_trunk, save_trunk
from tabbench.pfn.curriculum import Config, batches, load_config
from tabbench.pfn.trainer import Trainer, averaged

LOG_COLUMNS = ["step", "tasks", "seconds", "loss", "prior_loss", "accuracy", "lr", "grad_norm", "rows", "features"]
CHECKPOINT_SECONDS = 180
LINE_SECONDS = 60
DEVELOPMENT_SECONDS = 600


def train(
    config: Config,
    minutes: float,
    out: Path,
    *,
    resume: bool = False,
    start: Path | None = None,
    n_workers: int,
    dev: Path | None,
) -> None:
    """Run or continue a trunk for so many minutes, with checkpoints in `out`; raises UserError if `out` is in the way.

    A new trunk begins at random, or with the released weights `start`.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    trainer = Trainer(config, device)
    if resume:
        tensors, facts = load_trunk(out, device)
        trainer.restore(tensors, facts)
        _cut_log(out / "log.csv", trainer.step)
    elif (out / "state.json").exists():
        raise UserError(f"{out}: holds a training state: add --resume, or choose another --out")
    elif start is not None:
        trainer.start_from(start)
    log = Log(out / "log.csv", trainer, minutes)
    started = saved = evaluated = time.monotonic()
    before = trainer.seconds
    for shape, batch in batches(config, trainer.step, trainer.tasks, n_workers, trainer.sample):
        rate = trainer.warmup
        row = trainer.advance(batch, shape, rate)
        now = time.monotonic()
        trainer.seconds = before + now - started
        log.add({**row, "lr": rate * config.muon_lr, "rows": shape.n_rows, "features": shape.n_features})
        done = now - started > 60 * minutes
        if done or now - saved > CHECKPOINT_SECONDS:
            log.flush()
            save_trunk(out, *trainer.state())
            saved = now
        if dev is not None and (done or now - evaluated > DEVELOPMENT_SECONDS):
            report_development(trainer, dev, out / "forest.json")
            evaluated = time.monotonic()
        if done:
            break


def report_development(trainer: Trainer, dev: Path, cache: Path) -> None:
    """Print the mean ROC AUC of the averaged weights on the development datasets, where pandas and scikit-learn are at hand."""
    try:
        from tabbench.pfn.evaluate import compare_with_forest
    except ImportError as error:
        print(f"development datasets skipped: {error.name} is not installed", flush=True)
        return
    table = compare_with_forest(averaged(trainer), dev, max_rows=2000, n_splits=1, cache=cache)
    means, wins = table.mean(), int((table["pfn"] > table["forest"]).sum())
    print(
        f"step {trainer.step} development ROC AUC {means['pfn']:.4f}, log loss {means['log_loss']:.4f}, "
        f"forest {means['forest']:.4f}, ahead on {wins} of {len(table)}",
        flush=True,
    )


class Log:
    """The curve as a CSV file, and one line a minute for people."""

    def __init__(self, path: Path, trainer: Trainer, minutes: float) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.trainer, self.minutes = trainer, minutes
        self.file = path.open("a", newline="", encoding="utf-8")
        self.writer = csv.DictWriter(self.file, LOG_COLUMNS)
        if self.file.tell() == 0:
            self.writer.writeheader()
        self.recent: list[dict[str, float]] = []
        self.started = self.last = time.monotonic()
        self.tasks_then, self.flops_then = trainer.tasks, trainer.flops

    def add(self, row: dict[str, float]) -> None:
        """Append one step; print the mean of the last minute when it is over."""
        counts = {"step": self.trainer.step, "tasks": self.trainer.tasks, "seconds": round(self.trainer.seconds, 2)}
        self.writer.writerow({**counts, **{name: f"{value:.6g}" for name, value in row.items()}})
        self.recent.append(row)
        now = time.monotonic()
        if now - self.last < LINE_SECONDS:
            return
        mean = {name: sum(r[name] for r in self.recent) / len(self.recent) for name in ("loss", "prior_loss", "accuracy")}
        speed = (self.trainer.tasks - self.tasks_then) / (now - self.last)
        gflops = (self.trainer.flops - self.flops_then) / (now - self.last) / 1e9
        left = self.minutes - (now - self.started) / 60
        print(
            f"step {self.trainer.step} tasks {self.trainer.tasks} loss {mean['loss']:.4f} "
            f"gain {mean['prior_loss'] - mean['loss']:.4f} accuracy {mean['accuracy']:.3f} "
            f"{speed:.1f} tasks/s, {gflops:.0f} GFLOP/s, {left:.0f} min left",
            flush=True,
        )
        self.recent, self.last, self.tasks_then, self.flops_then = [], now, self.trainer.tasks, self.trainer.flops
        self.flush()

    def flush(self) -> None:
        """Bring the file to disk."""
        self.file.flush()


def _cut_log(path: Path, step: int) -> None:
    """Forget the rows after the state that is continued."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    kept = [line for line in lines if not line.split(",")[0].isdigit() or int(line.split(",")[0]) <= step]
    replace_text(path, "".join(line for line in kept if line.endswith("\n")))


def main() -> int:
    """Entry point of a bare checkout; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", default="base")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--start", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dev", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    try:
        config = load_config(args.config)
        train(config, args.minutes, args.out, resume=args.resume, start=args.start, n_workers=args.workers, dev=args.dev)
    except UserError as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
