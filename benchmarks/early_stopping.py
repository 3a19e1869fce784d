"""Rules that end fits early, replayed on stored full curves: what they save, and what they cost on the test rows.

    python -m benchmarks.early_stopping FOLDER [--orders 10] [--models mlp] [--least 10]

FOLDER: see `benchmarks.stored_curves`. Of every table and model the configurations are tried in random orders, the default
first. A rule sees validation losses and says how many steps each fit takes; of the configurations, each at the last step it has
been given (`…, best step`: at its best), the one with the least validation loss is chosen, and its test loss counts. Costs are
CPU seconds, all steps of a fit being taken to cost the same, and besides what decisions take.

`none`: every fit to its end. `patience`: until a tenth of the steps brought nothing better. `i-epoch`: a tenth of the steps
each, then the best of them to its end (Egele et al. 2024). `halving`: a ninth, the best third a third, the best third of these
to the end; both as if fits could be resumed. At 10, 20, 40 and 80% of the steps end what is worse than the median of the
running means of finished trials (`median`), is without hope by a power law fitted by least squares with normal residuals
(`power law`), by the network of `tabbench.pfn.curves` (`lc-pfn`, at chances of .05 and .01), or in truth (`oracle`, which knows
the rest of the curve). Without hope: no later step has a larger chance to be better than the best loss so far.

Prints by rule, over tables (each the mean over its models and orders): how many times cheaper than `none` (geometric mean), the
same if decisions cost nothing, as where fits are long; the change of the test loss in % (mean) from that of `none` and from
that of `best step`, with 95% bootstrap intervals and the share of tables that are more than .5% worse. Then the same by model.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tabbench.pfn.curves import DELTA, chances, checks
from tabbench.resources import torch_threads

WORSE = 0.005
LEAST_LOSS = 0.01  # nats; what is less counts as so much where changes are told in %
DRAWS = 2000


class Curve(NamedTuple):
    """A fit. val, test : losses by step (n,). start : validation loss of the classes' shares. seconds : CPU, of all steps."""

    val: np.ndarray
    test: np.ndarray
    start: float
    seconds: float


class Given(NamedTuple):
    """Steps that a rule has given every fit, and the CPU seconds of its decisions."""

    steps: list[int]
    seconds: float = 0.0


class Found(NamedTuple):
    """Logs of how many times a rule is cheaper than `none`, with its decisions and without; relative changes of the test loss."""

    cheaper: float
    fits_cheaper: float
    beside_none: float
    beside_best: float


Rule = Callable[[Sequence[Curve]], Given]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--orders", type=int, default=10)
    parser.add_argument("--models", help="only these")
    parser.add_argument("--least", type=int, default=10, help="configurations of a table and model that counts")
    args = parser.parse_args()
    cells = read(args.folder, args.models.split(",") if args.models else None)
    cells = {cell: curves for cell, curves in cells.items() if len(curves) >= args.least}
    counts = sorted({len(curves) for curves in cells.values()})
    names = sorted({table for table, _ in cells})
    print(f"{len(names)} tables, models {', '.join(sorted({model for _, model in cells}))}, {counts} configurations a cell")
    rows: dict[str, dict[str, dict[str, list[Found]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    with torch_threads(1):
        for (table, model), curves in sorted(cells.items()):
            for number in range(args.orders):
                rest = np.random.default_rng(number).permutation(len(curves) - 1) + 1
                for rule, found in replay([curves[place] for place in [0, *rest]]).items():
                    rows["all models"][rule][table].append(found)
                    rows[model][rule][table].append(found)
    for models, of_rules in rows.items():
        heads = ("times cheaper", "fits alone", "beside none, %", "tables worse", "beside best step, %", "tables worse")
        print(f"\n{models}\n\n| rule | {' | '.join(heads)} |\n|---{'|---' * len(heads)}|")
        for rule, tables in of_rules.items():
            print(line(rule, tables))


def read(folder: Path, models: Sequence[str] | None) -> dict[tuple[str, str], list[Curve]]:
    """Curves of every table and model, in the order of their numbers; a loss that is none is taken as a very bad one."""
    cells: dict[tuple[str, str], list[Curve]] = defaultdict(list)
    for file in sorted(folder.glob("*.npz")):
        table, model, _ = file.stem.rsplit(".", 2)
        with np.load(file) as kept:
            val, test = (np.nan_to_num(kept[name], nan=99.0, posinf=99.0) for name in ("val", "test"))
            if models is None or model in models:
                cells[table, model].append(Curve(val, test, float(kept["base"]), float(kept["seconds"])))
    return dict(cells)


def replay(curves: Sequence[Curve]) -> dict[str, Found]:
    """What comes of every rule."""
    asked = {rule: rule(curves) for rule in dict.fromkeys(rule for rule, _ in RULES.values())}
    chosen: dict[str, tuple[float, float, float]] = {}
    for name, (rule, at_best) in RULES.items():
        given = asked[rule]
        fits = sum(curve.seconds * n / len(curve.val) for curve, n in zip(curves, given.steps, strict=True))
        at = [int(np.argmin(curve.val[:n])) if at_best else n - 1 for curve, n in zip(curves, given.steps, strict=True)]
        best = min(range(len(curves)), key=lambda place: curves[place].val[at[place]])
        chosen[name] = fits + given.seconds, fits, float(curves[best].test[at[best]])
    (_, all_fits, plain), (_, _, at_best_step) = chosen["none"], chosen["best step"]

    def change(loss: float, base: float) -> float:
        return (loss - base) / max(base, LEAST_LOSS)

    return {
        name: Found(
            float(np.log(all_fits / cost)), float(np.log(all_fits / fits)), change(loss, plain), change(loss, at_best_step)
        )
        for name, (cost, fits, loss) in chosen.items()
    }


def line(rule: str, tables: dict[str, list[Found]]) -> str:
    """A row of a printed table."""
    means = np.array([np.mean(found, axis=0) for found in tables.values()])
    draws = means[np.random.default_rng(0).integers(len(means), size=(DRAWS, len(means)))].mean(axis=1)
    middle, (low, high) = Found(*means.mean(axis=0)), (Found(*ends) for ends in np.quantile(draws, (0.025, 0.975), axis=0))
    times = (
        f"{np.exp(middle.cheaper):.2f} ({np.exp(low.cheaper):.2f}–{np.exp(high.cheaper):.2f}) | {np.exp(middle.fits_cheaper):.2f}"
    )
    changes = [
        f"{100 * getattr(middle, name):+.2f} ({100 * getattr(low, name):+.2f} to {100 * getattr(high, name):+.2f})"
        f" | {(means[:, Found._fields.index(name)] > WORSE).mean():.0%}"
        for name in ("beside_none", "beside_best")
    ]
    return f"| {rule} | {' | '.join((times, *changes))} |"


def none(curves: Sequence[Curve]) -> Given:
    return Given([len(curve.val) for curve in curves])


def patience(curves: Sequence[Curve]) -> Given:
    steps = []
    for curve in curves:
        wait = -(-len(curve.val) // 10)
        since = np.arange(len(curve.val)) - np.array([np.argmin(curve.val[: n + 1]) for n in range(len(curve.val))])
        stop = np.flatnonzero(since >= wait)
        steps.append(int(stop[0]) + 1 if len(stop) else len(curve.val))
    return Given(steps)


def i_epoch(curves: Sequence[Curve]) -> Given:
    steps = [-(-len(curve.val) // 10) for curve in curves]
    best = min(range(len(curves)), key=lambda place: curves[place].val[: steps[place]].min())
    steps[best] = len(curves[best].val)
    return Given(steps)


def halving(curves: Sequence[Curve]) -> Given:
    steps, alive = [0] * len(curves), list(range(len(curves)))
    for share in (1 / 9, 1 / 3, 1.0):
        for place in alive:
            steps[place] = max(1, round(share * len(curves[place].val)))
        alive = sorted(alive, key=lambda place: curves[place].val[steps[place] - 1])[: -(-len(alive) // 3)]
    return Given(steps)


def at_checks(hopeless_at: Callable[[Curve, int, float, list[Curve]], bool]) -> Rule:
    """A rule that is asked at every check of every fit but the first: (curve, steps done, best loss so far, finished curves)."""

    def rule(curves: Sequence[Curve]) -> Given:
        steps: list[int] = []
        finished: list[Curve] = []
        best, began = np.inf, time.process_time()
        for curve in curves:
            n = len(curve.val)
            given = next((at for at in checks(n) if np.isfinite(best) and hopeless_at(curve, at, best, finished)), n)
            best = min(best, curve.val[:given].min())
            steps.append(given)
            finished += [curve] if given == n else []
        return Given(steps, time.process_time() - began)

    return rule


def below_median(curve: Curve, at: int, _: float, finished: list[Curve]) -> bool:
    means = [other.val[:at].mean() for other in finished if len(other.val) >= at]
    return bool(means) and curve.val[:at].min() > np.median(means)


def by_power_law(curve: Curve, at: int, best: float, _: list[Curve]) -> bool:
    from scipy.stats import norm

    t, later, y = np.arange(1.0, at + 1), np.arange(at + 1.0, len(curve.val) + 1), curve.val[:at]
    fits = []
    for alpha in (0.1, 0.25, 0.5, 1.0, 2.0, 4.0):
        design = np.column_stack([np.ones(at), t**-alpha])
        weights = np.linalg.lstsq(design, y, rcond=None)[0]
        fits.append((float(np.mean((design @ weights - y) ** 2)), weights[0] + weights[1] * later**-alpha))
    variance, mean = min(fits, key=lambda fit: fit[0])
    return bool((norm.cdf((best - mean) / max(variance**0.5, 1e-6)) <= 0.05).all())


@cache
def largest_chance(known: bytes, n_steps: int, start: float, best: float) -> tuple[float, float]:
    """The network's largest chance of a later step, and the CPU seconds of asking; orders and thresholds ask much the same."""
    began = time.process_time()
    chance = chances(np.frombuffer(known), n_steps, start, best).max()
    return float(chance), time.process_time() - began


def by_network(delta: float) -> Rule:
    def rule(curves: Sequence[Curve]) -> Given:
        seconds = []

        def ends(curve: Curve, at: int, best: float, _: list[Curve]) -> bool:
            chance, took = largest_chance(curve.val[:at].tobytes(), len(curve.val), curve.start, float(best))
            seconds.append(took)
            return chance <= delta

        return Given(at_checks(ends)(curves).steps, sum(seconds))

    return rule


LC_PFN, MEDIAN = by_network(DELTA), at_checks(below_median)
RULES: dict[str, tuple[Rule, bool]] = {
    "none": (none, False),
    "i-epoch": (i_epoch, False),
    "halving": (halving, False),
    "median": (MEDIAN, False),
    "power law": (at_checks(by_power_law), False),
    "lc-pfn": (LC_PFN, False),
    "lc-pfn, .01": (by_network(0.01), False),
    "oracle": (at_checks(lambda curve, at, best, _: curve.val[at:].min() >= best), False),
    "best step": (none, True),
    "patience": (patience, True),
    "i-epoch, best step": (i_epoch, True),
    "halving, best step": (halving, True),
    "median, best step": (MEDIAN, True),
    "lc-pfn, best step": (LC_PFN, True),
}


if __name__ == "__main__":
    main()
