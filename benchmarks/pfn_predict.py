"""Seconds and memory of PFNClassifier on a CPU, beside the networks of TabICL and TabPFN with random weights.

    python benchmarks/pfn_predict.py [--threads 2] [--repeats 3]

Tables of 1,000 × 20 and 3,000 × 100 numbers, 1,000 rows to predict, 3 classes. `pfn` is the whole classifier with default
settings, from arrays to probabilities; the guests are one forward pass of their network per ensemble member (8 each, their
default), without preprocessing, and are left out where their package is not installed. Speed does not depend on weights.
Goals for `pfn` on two quiet cores: 1 s and 5 s, at most 1,500 MB.

Every measurement runs in a process of its own; seconds are the least of the repeats, memory is the peak of the process. On a
busy machine the CPU seconds (of all threads) tell more than the wall clock.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

SHAPES = ((1000, 20), (3000, 100))
N_TEST = 1000
N_CLASSES = 3
GUEST_MEMBERS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", nargs=3, metavar=("NETWORK", "ROWS", "COLUMNS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        name, n, d = args.one
        print(json.dumps(measure(name, int(n), int(d), args.threads, args.repeats)))
        return
    print(f"{'network':8} {'table':>12} {'fit s':>7} {'predict s':>9} {'wall s':>7} {'CPU s':>7} {'peak MB':>8}  × pfn")
    for n, d in SHAPES:
        reference = None
        for name in NETWORKS:
            if name != "pfn" and find_spec(name) is None:
                print(f"{name:8} {f'{n} × {d}':>12}  package not installed")
                continue
            row = in_own_process(name, n, d, args.threads, args.repeats)
            wall = row["fit"] + row["predict"]
            reference = reference or wall
            print(
                f"{name:8} {f'{n} × {d}':>12} {row['fit']:7.2f} {row['predict']:9.2f} {wall:7.2f} {row['cpu']:7.2f} "
                f"{row['mb']:8.0f} {wall / reference:6.2f}",
                flush=True,
            )


def in_own_process(name: str, n: int, d: int, threads: int, repeats: int) -> dict[str, float]:
    options = ["--threads", str(threads), "--repeats", str(repeats), "--one", name, str(n), str(d)]
    run = subprocess.run([sys.executable, __file__, *options], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(run.stdout.splitlines()[-1])


def measure(name: str, n: int, d: int, threads: int, repeats: int) -> dict[str, float]:
    """Least wall seconds of fit and predict with their CPU seconds, and peak memory in MB."""
    import torch

    torch.set_num_threads(threads)
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n + N_TEST, d))
    y = rng.integers(0, N_CLASSES, n)
    fit, predict = NETWORKS[name]()
    rows = []
    for _ in range(repeats):
        cpu, start = time.process_time(), time.perf_counter()
        fit(X[:n], y)
        between = time.perf_counter()
        answer = predict(X[n:])
        end = time.perf_counter()
        if len(answer) != N_TEST or not np.isfinite(answer).all():
            raise RuntimeError(f"{name} gave no answer")
        rows.append({"fit": between - start, "predict": end - between, "cpu": time.process_time() - cpu})
    best = min(rows, key=lambda row: row["fit"] + row["predict"])
    return {**best, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


Steps = tuple[Callable[[np.ndarray, np.ndarray], object], Callable[[np.ndarray], np.ndarray]]


def pfn() -> Steps:
    from tabbench import PFNClassifier

    model = PFNClassifier()
    return model.fit, model.predict_proba


def tabicl() -> Steps:
    import torch
    from tabicl._model.tabicl import TabICL

    network = TabICL().eval()  # its defaults are the published sizes

    def forward(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return network(x[None], y[None].float())[0]

    return forward_only(forward)


def tabpfn() -> Steps:
    import torch
    from tabpfn.architectures import tabpfn_v2_6 as architecture

    network = architecture.get_architecture(architecture.TabPFNV2p6Config(max_num_classes=10)).eval()

    def forward(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return network(x[:, None], y[:, None].float())[:, 0]

    return forward_only(forward)


def forward_only(forward: Callable[..., Any]) -> Steps:
    """Steps of a network without a cache: everything happens at prediction."""
    import torch

    table: dict[str, np.ndarray] = {}

    def fit(X: np.ndarray, y: np.ndarray) -> None:
        table.update(X=X, y=y)

    def predict(X: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(np.concatenate([table["X"], X])).float()
        with torch.inference_mode():
            answers = [forward(x, torch.from_numpy(table["y"])).float() for _ in range(GUEST_MEMBERS)]
        return torch.stack(answers).mean(0).numpy()

    return fit, predict


NETWORKS = {"pfn": pfn, "tabicl": tabicl, "tabpfn": tabpfn}

if __name__ == "__main__":
    main()
