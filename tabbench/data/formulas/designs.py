"""Constrained design problems of the literature on constrained search, as plain formulas with their known optima.

The collection is that of Yu, Picard and Ahmed (2404.04495). Where their code departs from the sources (the loads of the speed
reducer and of the cantilever, the sixth constraint of the heat exchanger, the length of the pressure vessel, the 7.375 of the
reinforced beam), the sources are followed. Constraints are ratios to their limits less one where a limit is not zero, so that all
have one scale.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi, sqrt

import numpy as np

from tabbench.registry import Registry

Formula = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Design:
    """Minimise `cost` in a box where every constraint is at most 0.

    lower, upper : the box, one number an input, in the units of the source. cost : f((n, d)) -> (n,). constraints : g((n, d))
    -> (n, m). optimum : the least feasible cost that is known, at `best`, which is rounded: constraints hold there to 1e-6.
    """

    name: str
    source: str
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    cost: Formula
    constraints: Formula
    optimum: float
    best: tuple[float, ...]

    def feasible(self, x: np.ndarray, tolerance: float = 0.0) -> np.ndarray:
        """(n,) bool: which rows of `x` (n, d) meet every constraint to within `tolerance`."""
        return np.asarray((self.constraints(x) <= tolerance).all(axis=1))

    def scaled(self, unit: np.ndarray) -> np.ndarray:
        """Points of the unit cube (n, d) in the box."""
        lower, upper = np.asarray(self.lower), np.asarray(self.upper)
        return lower + unit * (upper - lower)


DESIGNS: Registry[Design] = Registry("design problem")


def _add(  # noqa: PLR0913 - the facts of a problem
    name: str,
    source: str,
    lower: list[float],
    upper: list[float],
    cost: Formula,
    constraints: Formula,
    optimum: float,
    best: list[float],
) -> None:
    DESIGNS.add(name, Design(name, source, tuple(lower), tuple(upper), cost, constraints, optimum, tuple(best)))


def _columns(*values: np.ndarray) -> np.ndarray:
    return np.stack(np.broadcast_arrays(*values), axis=1)


# ---- functions with a known shape ----------------------------------------------------------------------------------------------


def ackley(x: np.ndarray) -> np.ndarray:
    """Ackley's function with a = 20, b = .2, c = 2π."""
    root = np.sqrt((x**2).mean(axis=1))
    return -20 * np.exp(-0.2 * root) - np.exp(np.cos(2 * pi * x).mean(axis=1)) + 20 + np.e


def ackley_constraints(x: np.ndarray) -> np.ndarray:
    """The half space below a diagonal, and a ball."""
    return _columns(x.sum(axis=1) / 5, np.sqrt((x**2).sum(axis=1)) / 5 - 1)


for _d in (2, 6, 10):
    _add(
        f"ackley_{_d}",
        "Eriksson and Poloczek 2021",
        [-5.0] * _d,
        [10.0] * _d,
        ackley,
        ackley_constraints,
        0.0,
        [0.0] * _d,
    )

_add(
    "jlh1",
    "Jetton, Li and Hoyle 2023",
    [0.0, 0.0],
    [1.0, 1.0],
    lambda x: (x[:, 0] - 0.5) ** 2 + (x[:, 1] - 0.5) ** 2,
    lambda x: _columns(x[:, 0] + x[:, 1] - 0.75),
    0.03125,
    [0.375, 0.375],
)


def _waves(x: np.ndarray) -> np.ndarray:
    return np.cos(2 * x[:, 0]) * np.cos(x[:, 1]) + np.sin(x[:, 0])


_add(
    "jlh2",
    "Jetton, Li and Hoyle 2023",
    [-5.0, -5.0],
    [0.0, 5.0],
    _waves,
    lambda x: _columns((x[:, 0] + 5) ** 2 / 4 + x[:, 1] ** 2 / 100 - 2.5),
    -1.8254396,
    [-1.83772234, 0.0],
)
_add(
    "gkxwc1",
    "Gardner et al. 2014",
    [0.0, 0.0],
    [6.0, 6.0],
    _waves,
    lambda x: _columns(np.cos(x[:, 0] + x[:, 1]) - 0.5),
    -2.0,
    [1.5 * pi, 0.0],
)
_add(
    "gkxwc2",
    "Gardner et al. 2014",
    [0.0, 0.0],
    [6.0, 6.0],
    lambda x: np.sin(x[:, 0]) + x[:, 1],
    lambda x: _columns(np.sin(x[:, 0]) * np.sin(x[:, 1]) + 0.95),
    0.25323590,
    [4.71238898, 1.2532359],
)


def keane(x: np.ndarray) -> np.ndarray:
    """Keane's bump, negated: a ridge of many peaks cut off by the first constraint."""
    cos2 = np.cos(x) ** 2
    weight = np.sqrt((np.arange(1, x.shape[1] + 1) * x**2).sum(axis=1))
    return -np.abs((cos2**2).sum(axis=1) - 2 * cos2.prod(axis=1)) / np.maximum(weight, 1e-12)


_add(
    "keane",
    "Keane 1994; the optimum is the best that is known, not proven",
    [0.0] * 18,
    [10.0] * 18,
    keane,
    lambda x: _columns(1 - x.prod(axis=1) / 0.75, x.mean(axis=1) / 7.5 - 1),
    -0.797113880,
    [
        3.16032555,
        3.12217702,
        3.08467634,
        3.0472771,
        3.00943671,
        2.97054392,
        2.92981549,
        0.513743896,
        0.505396678,
        0.497764577,
        0.490722003,
        0.48417579,
        0.478054218,
        0.472300821,
        0.466870418,
        0.461726099,
        0.456837122,
        0.4521778,
    ],
)

# ---- structures and machines ---------------------------------------------------------------------------------------------------


def _three_bar_truss(x: np.ndarray) -> np.ndarray:
    a, b = np.maximum(x, 1e-9).T  # a bar of no area bears nothing
    d = sqrt(2) * a**2 + 2 * a * b
    return _columns((sqrt(2) * a + b) / d - 1, b / d - 1, 1 / (a + sqrt(2) * b) - 1)


_add(
    "three_bar_truss",
    "Yang and Gandomi 2012; areas of the outer and the inner bars, volume",
    [0.0, 0.0],
    [1.0, 1.0],
    lambda x: 100 * (2 * sqrt(2) * x[:, 0] + x[:, 1]),
    _three_bar_truss,
    263.8958434,
    [0.788675135, 0.40824829],
)


def _spring(x: np.ndarray) -> np.ndarray:
    d, D, n = x.T
    return _columns(
        1 - D**3 * n / (71785 * d**4),
        (4 * D**2 - d * D) / (12566 * (D * d**3 - d**4)) + 1 / (5108 * d**2) - 1,
        1 - 140.45 * d / (D**2 * n),
        (D + d) / 1.5 - 1,
    )


_add(
    "spring",
    "Gandomi, Yang and Alavi 2011; diameters of wire and coil, number of coils, weight",
    [0.05, 0.25, 2.0],
    [1.0, 1.3, 15.0],
    lambda x: (x[:, 2] + 2) * x[:, 1] * x[:, 0] ** 2,
    _spring,
    0.0126652328,
    [0.0516890664, 0.356717869, 11.2889582],
)


def _pressure_vessel_cost(x: np.ndarray) -> np.ndarray:
    shell, head, r, length = x.T
    return 0.6224 * shell * r * length + 1.7781 * head * r**2 + 3.1661 * shell**2 * length + 19.84 * shell**2 * r


def _pressure_vessel(x: np.ndarray) -> np.ndarray:
    shell, head, r, length = x.T
    volume = pi * r**2 * length + 4 / 3 * pi * r**3
    return _columns(0.0193 * r / shell - 1, 0.00954 * r / head - 1, 1 - volume / 1_296_000, length / 240 - 1)


_add(
    "pressure_vessel",
    "Gandomi, Yang and Alavi 2011, with lengths to 200; thickness of shell and head, radius, length, cost",
    [0.0625, 0.0625, 10.0, 10.0],
    [6.1875, 6.1875, 200.0, 200.0],
    _pressure_vessel_cost,
    _pressure_vessel,
    5885.332774,
    [0.778168641, 0.384649163, 40.3196187, 200.0],
)

_add(
    "reinforced_beam",
    "Gandomi, Yang and Alavi 2011, all inputs continuous; area of steel, height, width of concrete, cost",
    [0.2, 28.0, 5.0],
    [15.0, 40.0, 10.0],
    lambda x: 29.4 * x[:, 0] + 0.6 * x[:, 1] * x[:, 2],
    lambda x: _columns(x[:, 1] / x[:, 2] / 4 - 1, (180 + 7.375 * x[:, 0] ** 2 / x[:, 2]) / (x[:, 0] * x[:, 1]) - 1),
    358.711641,
    [6.46941756, 33.5172359, 8.37930897],
)

_LOAD, _SPAN = 6000.0, 14.0


def _weld_cost(x: np.ndarray) -> np.ndarray:
    h, length, t, b = x.T
    return 1.10471 * h**2 * length + 0.04811 * t * b * (_SPAN + length)


def _welded_beam(x: np.ndarray) -> np.ndarray:
    h, length, t, b = x.T
    radius = np.sqrt(0.25 * (length**2 + (h + t) ** 2))
    direct = _LOAD / (sqrt(2) * h * length)
    bending = _LOAD * (_SPAN + length / 2) * radius / (2 * 0.707 * h * length * (length**2 / 12 + 0.25 * (h + t) ** 2))
    shear = np.sqrt(direct**2 + bending**2 + length * direct * bending / radius)
    buckling = 64746 * (1 - 0.0282346 * t) * t * b**3
    return _columns(
        shear / 13_600 - 1,
        504_000 / (t**2 * b) / 30_000 - 1,
        h / b - 1,
        1 - buckling / _LOAD,
        2.1952 / (t**3 * b) / 0.25 - 1,
    )


_add(
    "welded_beam",
    "Ragsdell and Phillips 1976; height and length of the weld, height and width of the beam, cost",
    [0.125, 0.1, 0.1, 0.1],
    [10.0, 15.0, 10.0, 10.0],
    _weld_cost,
    _welded_beam,
    2.38113425,
    [0.244368985, 6.21860631, 8.29147124, 0.244368985],
)


def _welded_beam_7(x: np.ndarray) -> np.ndarray:
    h, length, t, b = x.T
    E, G = 30e6, 12e6
    radius = np.sqrt(length**2 / 4 + ((h + t) / 2) ** 2)
    polar = 2 * sqrt(2) * h * length * (length**2 / 12 + ((h + t) / 2) ** 2)
    direct = _LOAD / (sqrt(2) * h * length)
    bending = _LOAD * (_SPAN + length / 2) * radius / polar
    shear = np.sqrt(direct**2 + direct * bending * length / radius + bending**2)
    buckling = 4.013 * E * np.sqrt(t**2 * b**6 / 36) / _SPAN**2 * (1 - t / (2 * _SPAN) * sqrt(E / (4 * G)))
    return _columns(
        shear / 13_600 - 1,
        6 * _LOAD * _SPAN / (b * t**2) / 30_000 - 1,
        h / b - 1,
        (0.10471 * h**2 + 0.04811 * t * b * (_SPAN + length)) / 5 - 1,
        0.125 / h - 1,
        4 * _LOAD * _SPAN**3 / (E * t**3 * b) / 0.25 - 1,
        1 - buckling / _LOAD,
    )


_add(
    "welded_beam_7",
    "Coello 2000: the welded beam with seven constraints, another torsion and so another optimum",
    [0.1, 0.1, 0.1, 0.1],
    [2.0, 10.0, 10.0, 2.0],
    _weld_cost,
    _welded_beam_7,
    1.72485231,
    [0.20572964, 3.47048867, 9.03662391, 0.20572964],
)


def _speed_reducer_cost(x: np.ndarray) -> np.ndarray:
    b, m, z, l1, l2, d1, d2 = x.T
    teeth = 0.7854 * b * m**2 * (3.3333 * z**2 + 14.9334 * z - 43.0934)
    return teeth - 1.508 * b * (d1**2 + d2**2) + 7.4777 * (d1**3 + d2**3) + 0.7854 * (l1 * d1**2 + l2 * d2**2)


def _speed_reducer(x: np.ndarray) -> np.ndarray:
    b, m, z, l1, l2, d1, d2 = x.T
    return _columns(
        27 / (b * m**2 * z) - 1,
        397.5 / (b * m**2 * z**2) - 1,
        1.93 * l1**3 / (m * z * d1**4) - 1,
        1.93 * l2**3 / (m * z * d2**4) - 1,
        np.sqrt((745 * l1 / (m * z)) ** 2 + 16.9e6) / (110 * d1**3) - 1,
        np.sqrt((745 * l2 / (m * z)) ** 2 + 157.5e6) / (85 * d2**3) - 1,
        m * z / 40 - 1,
        5 * m / b - 1,
        b / (12 * m) - 1,
        (1.5 * d1 + 1.9) / l1 - 1,
        (1.1 * d2 + 1.9) / l2 - 1,
    )


_add(
    "speed_reducer",
    "Golinski 1970, with all eleven constraints; face width, module, teeth, lengths and diameters of the shafts, weight",
    [2.6, 0.7, 17.0, 7.3, 7.3, 2.9, 5.0],
    [3.6, 0.8, 28.0, 8.3, 8.3, 3.9, 5.5],
    _speed_reducer_cost,
    _speed_reducer,
    2994.471066,
    [3.5, 0.7, 17.0, 7.3, 7.71531991, 3.35021467, 5.28665446],
)


def _heat_exchanger(x: np.ndarray) -> np.ndarray:
    x1, x2, x3, x4, x5, x6, x7, x8 = x.T
    return _columns(
        0.0025 * (x4 + x6) - 1,
        0.0025 * (x5 + x7 - x4) - 1,
        0.01 * (x8 - x5) - 1,
        (833.33252 * x4 + 100 * x1 - x1 * x6) / 83_333.333 - 1,
        (1250 * x5 + x2 * x4 - x2 * x7 - 1250 * x4) / 1.25e6,
        (x3 * x5 - 2500 * x5 - x3 * x8) / 1.25e6 + 1,
    )


_add(
    "heat_exchanger",
    "Hock and Schittkowski 1981, problem 106; three areas and five temperatures, sum of the areas",
    [100.0, 1000.0, 1000.0, 10.0, 10.0, 10.0, 10.0, 10.0],
    [1e4, 1e4, 1e4, 1e3, 1e3, 1e3, 1e3, 1e3],
    lambda x: x[:, :3].sum(axis=1),
    _heat_exchanger,
    7049.24802,
    [579.306672, 1359.97069, 5109.97066, 182.017699, 295.601174, 217.982301, 286.416525, 395.601174],
)


def _cantilever(x: np.ndarray) -> np.ndarray:
    b, h = x[:, :5], x[:, 5:]
    stress = 600 * 50_000 * np.arange(5, 0, -1) / (b * h**2)
    bending = (np.array([61, 37, 19, 7, 1]) / (b * h**3 / 12)).sum(axis=1)
    tip = 50_000 * 100**3 / (3 * 2e7) * bending
    return np.column_stack([stress / 14_000 - 1, tip / 2.7 - 1, h / (20 * b) - 1])


_add(
    "cantilever",
    "Thanedar and Vanderplaats 1995: five steps of 100 cm under 50 kN at the tip; widths and heights from the wall on, volume",
    [1.0] * 5 + [30.0] * 5,
    [5.0] * 5 + [65.0] * 5,
    lambda x: 100 * (x[:, :5] * x[:, 5:]).sum(axis=1),
    _cantilever,
    63108.74799,
    [3.0577283, 2.81326651, 2.5235863, 2.20455569, 1.74975701, 61.1545659, 56.2653302, 50.471726, 44.0911138, 34.9951402],
)


def _car_side_impact(x: np.ndarray) -> np.ndarray:
    x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11 = x.T
    abdomen = 1.16 - 0.3717 * x2 * x4 - 0.00931 * x2 * x10 - 0.484 * x3 * x9 + 0.01343 * x6 * x10
    upper_chest = 0.261 - 0.0159 * x1 * x2 - 0.188 * x1 * x8 - 0.019 * x2 * x7 + 0.0144 * x3 * x5 + 0.0008757 * x5 * x10
    upper_chest += 0.08045 * x6 * x9 + 0.00139 * x8 * x11 + 0.00001575 * x10 * x11
    middle_chest = 0.214 + 0.00817 * x5 - 0.131 * x1 * x8 - 0.0704 * x1 * x9 + 0.03099 * x2 * x6 - 0.018 * x2 * x7
    middle_chest += 0.0208 * x3 * x8 + 0.121 * x3 * x9 - 0.00364 * x5 * x6 + 0.0007715 * x5 * x10 - 0.0005354 * x6 * x10
    middle_chest += 0.00121 * x8 * x11 + 0.00184 * x9 * x10 - 0.018 * x2**2
    lower_chest = 0.74 - 0.61 * x2 - 0.163 * x3 * x8 + 0.001232 * x3 * x10 - 0.166 * x7 * x9 + 0.227 * x2**2
    upper_rib = 28.98 + 3.818 * x3 - 4.2 * x1 * x2 + 0.0207 * x5 * x10 + 6.63 * x6 * x9 - 7.7 * x7 * x8 + 0.32 * x9 * x10
    middle_rib = 33.86 + 2.95 * x3 + 0.1792 * x10 - 5.057 * x1 * x2 - 11.0 * x2 * x8 - 0.0215 * x5 * x10 - 9.98 * x7 * x8
    middle_rib += 22.0 * x8 * x9
    lower_rib = 46.36 - 9.9 * x2 - 12.9 * x1 * x8 + 0.1107 * x3 * x10
    pubic = 4.72 - 0.5 * x4 - 0.19 * x2 * x3 - 0.0122 * x4 * x10 + 0.009325 * x6 * x10 + 0.000191 * x11**2
    pillar = 10.58 - 0.674 * x1 * x2 - 1.95 * x2 * x8 + 0.02054 * x3 * x10 - 0.0198 * x4 * x10 + 0.028 * x6 * x10
    door = 16.45 - 0.489 * x3 * x7 - 0.843 * x5 * x6 + 0.0432 * x9 * x10 - 0.0556 * x9 * x11 - 0.000786 * x11**2
    return _columns(
        abdomen - 1,
        upper_chest / 0.32 - 1,
        middle_chest / 0.32 - 1,
        lower_chest / 0.32 - 1,
        upper_rib / 32 - 1,
        middle_rib / 32 - 1,
        lower_rib / 32 - 1,
        pubic / 4 - 1,
        pillar / 9.9 - 1,
        door / 15.7 - 1,
    )


_add(
    "car_side_impact",
    "Gandomi, Yang and Alavi 2011, with barrier height and position in [−20, 0], all inputs continuous; weight",
    [0.5, 0.45, 0.5, 0.5, 0.5, 0.5, 0.5, 0.192, 0.192, -20.0, -20.0],
    [1.5, 1.35, 1.5, 1.5, 1.5, 1.5, 1.5, 0.345, 0.345, 0.0, 0.0],
    lambda x: 1.98 + x[:, :7] @ np.array([4.9, 6.67, 6.98, 4.01, 1.78, 0.0, 2.73]),
    _car_side_impact,
    22.8429692,
    [0.5, 1.11636558, 0.5, 1.3021972, 0.5, 1.5, 0.5, 0.345, 0.192, -19.5615311, 0.0],
)
