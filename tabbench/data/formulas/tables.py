"""Tables of designs that hold or fail: seeded classification problems whose labels come from formulas.

After the problems of Picard and Ahmed (2401.06948), not copies of them: their sampling boxes and thresholds are not published, so
these are ours. Training rows are a scrambled Sobol sequence over a box, test rows another one. A rule says which rows hold; where
that is rare, rows that fail are thinned until those that hold are a stated share of both parts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import pi

import numpy as np
import pandas as pd

from tabbench.data.formulas.designs import DESIGNS
from tabbench.registry import Registry

TEST_ROWS = 10_000
TRAIN_SEED, TEST_SEED = 0, 1
BLOCK = 2**15  # points drawn at a time

Rule = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class DesignTable:
    """Rows of a box, and which of them hold.

    rows : training rows. lower, upper : the box by column. holds : f((n, d)) -> (n,) bool. share : of rows that hold, None: as
    they fall. choices : the labels of columns that are choices; such a column counts from 0 in `holds`. whole : columns of whole
    numbers.
    """

    name: str
    rows: int
    lower: Mapping[str, float]
    upper: tuple[float, ...]
    holds: Rule
    share: float | None = None
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    whole: tuple[str, ...] = ()

    def frame(self) -> pd.DataFrame:
        """Return the table: its columns, `class` ("holds" or "fails") and `fold` (0: test rows, -1: training rows)."""
        parts = [self._sample(self.rows, TRAIN_SEED), self._sample(TEST_ROWS, TEST_SEED)]
        x = np.concatenate(parts)
        columns = {name: self._labels(name, values) for name, values in zip(self.lower, x.T, strict=True)}
        verdict = np.where(self.holds(x), "holds", "fails")
        return pd.DataFrame({**columns, "class": verdict, "fold": np.repeat([-1, 0], [len(part) for part in parts])})

    def _sample(self, n: int, seed: int) -> np.ndarray:
        """(n, d) rows of the box in the order of the sequence, thinned to the stated share."""
        from scipy.stats import qmc

        sequence = qmc.Sobol(len(self.lower), rng=np.random.default_rng(seed))
        wanted = None if self.share is None else np.array([n - round(self.share * n), round(self.share * n)])
        kept: list[np.ndarray] = []
        while sum(map(len, kept)) < n:
            points = self._box(sequence.random(BLOCK))
            if wanted is not None:
                holds = self.holds(points).astype(int)
                place = np.where(holds == 1, np.cumsum(holds), np.cumsum(1 - holds))
                points, holds = points[place <= wanted[holds]], holds[place <= wanted[holds]]
                wanted = wanted - np.bincount(holds, minlength=2)
            kept.append(points)
        rows = np.concatenate(kept)[:n]
        return (
            rows if wanted is None else np.random.default_rng([seed, n]).permutation(rows)
        )  # thinned, they come sorted by class

    def _box(self, unit: np.ndarray) -> np.ndarray:
        lower, upper = np.array(list(self.lower.values())), np.array(self.upper)
        x = lower + unit * (upper - lower)
        for j, name in enumerate(self.lower):
            if name in self.choices or name in self.whole:
                x[:, j] = np.floor(lower[j] + unit[:, j] * (upper[j] - lower[j] + 1))
        return x

    def _labels(self, name: str, values: np.ndarray) -> np.ndarray:
        return np.array(self.choices[name])[values.astype(int)] if name in self.choices else values


TABLES: Registry[DesignTable] = Registry("table of designs")


def solar_heat_exchanger(x: np.ndarray) -> np.ndarray:
    """(n, 3) head loss [m], length [m] and volume [m³] of pipes of diameter x0 [m] in x1 passes, for 1 kW/m² of sun."""
    d, n = x.T
    flow, heat, friction, density, capacity, gap, gravity = 0.2, 1000.0, 0.4, 997.1, 4200.0, 0.02, 9.81
    slope = 8 * friction * (flow / density) ** 2 / (pi**2 * gravity * d**5)
    straight = (3 * flow * capacity / heat - pi * d * (3 * d + gap) / 2 - (n - 1) * pi**2 / 2 * d**2) / (pi * d * n / 2)
    length = straight + 3 * d + gap
    head = slope * (n * straight + 3 * d + gap + 50 * d * (n - 1))
    return np.column_stack([head, length, length * ((2 * n - 1) * d + gap) * (d + gap)])


# The .7 quantiles of the three over the box below, its 20 numbers of passes equally likely.
SOLAR_LIMITS = np.array([1.143, 6.244, 0.2797])

# Young's modulus [Pa], density [kg/m³], yield stress [Pa] of a structural steel, an aluminium and a titanium alloy, rounded.
MATERIALS = {"steel": (210e9, 7850.0, 350e6), "aluminium": (69e9, 2700.0, 270e6), "titanium": (114e9, 4430.0, 880e6)}
TRUSS_LOAD = np.array([60e3, 60e3])  # N, to the side and down
TRUSS_LIMITS = (5.0, 5e-3)  # kg of the bars, m of the joint


def material_truss(x: np.ndarray) -> np.ndarray:
    """(n, 5) stress over yield stress of three bars, mass and displacement over their limits, less one.

    The bars run from a ceiling, 1 m apart, to one joint 1 m below: x[:, :3] are their areas [cm²], x[:, 3:] numbers of their
    materials. Displacements solve the 2 × 2 stiffness equations, so that stiff bars draw load.
    """
    area, facts = x[:, :3] * 1e-4, np.array(list(MATERIALS.values()))[x[:, 3:].astype(int)]
    modulus, density, strength = np.moveaxis(facts, 2, 0)
    length = np.array([np.sqrt(2), 1.0, np.sqrt(2)])
    along = np.array([[1.0, 1.0], [0.0, 1.0], [-1.0, 1.0]]) / length[:, None]  # from the ceiling to the joint, down is positive
    stiffness = np.einsum("nb,bi,bj->nij", modulus * area / length, along, along)
    (a, b), (_, c) = stiffness[:, 0].T, stiffness[:, 1].T
    u = np.column_stack([c * TRUSS_LOAD[0] - b * TRUSS_LOAD[1], a * TRUSS_LOAD[1] - b * TRUSS_LOAD[0]]) / (a * c - b * b)[:, None]
    stress = modulus / length * (u @ along.T)
    mass, moved = (density * area * length).sum(axis=1), np.sqrt((u**2).sum(axis=1))
    return np.column_stack([np.abs(stress) / strength, mass / TRUSS_LIMITS[0], moved / TRUSS_LIMITS[1]]) - 1


def _of_design(name: str, design: str, columns: str, rows: int, share: float | None = None) -> None:
    """Add the table of a design problem over its box; what meets every constraint holds."""
    problem = DESIGNS[design]
    box = dict(zip(columns.split(), problem.lower, strict=True))
    TABLES.add(name, DesignTable(name, rows, box, problem.upper, problem.feasible, share))


WELD = "weld_height weld_length beam_height beam_width"
_of_design("welded_beam", "welded_beam_7", WELD, 2000)
_of_design("welded_beam_balanced", "welded_beam_7", WELD, 2500, share=0.5)
_of_design("three_bar_truss", "three_bar_truss", "outer_area inner_area", 1000)
_of_design("pressure_vessel", "pressure_vessel", "shell head radius length", 1000)
_of_design("reinforced_beam", "reinforced_beam", "steel height width", 1000)
_of_design(
    "car_side_impact",
    "car_side_impact",
    "pillar_inner pillar_reinforcement floor_inner cross_members door_beam door_reinforcement roof_rail "
    "pillar_material floor_material barrier_height barrier_position",
    2000,
)
_of_design("spring", "spring", "wire coil coils", 2000)
_of_design(
    "cantilever",
    "cantilever",
    "width_1 width_2 width_3 width_4 width_5 height_1 height_2 height_3 height_4 height_5",
    2500,
    share=0.1,
)
_of_design("speed_reducer", "speed_reducer", "face module teeth length_1 length_2 shaft_1 shaft_2", 2500, share=0.1)
_of_design("ackley_disc", "ackley_2", "x1 x2", 500)
TABLES.add(
    "solar_heat_exchanger",
    DesignTable(
        "solar_heat_exchanger",
        500,
        {"diameter": 0.01, "passes": 1.0},
        (0.1, 20.0),
        lambda x: np.asarray((solar_heat_exchanger(x) <= SOLAR_LIMITS).all(axis=1)),
        whole=("passes",),
    ),
)
TABLES.add(
    "material_truss",
    DesignTable(
        "material_truss",
        1000,
        {"area_1": 0.5, "area_2": 0.5, "area_3": 0.5, "material_1": 0.0, "material_2": 0.0, "material_3": 0.0},
        (5.0, 5.0, 5.0, 2.0, 2.0, 2.0),
        lambda x: np.asarray((material_truss(x) <= 0).all(axis=1)),
        choices=dict.fromkeys(("material_1", "material_2", "material_3"), tuple(MATERIALS)),
    ),
)
