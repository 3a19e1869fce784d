"""Engineering problems as formulas: designs with known optima, and tables of designs that hold or fail."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tabbench.data.formulas import tables
from tabbench.data.formulas.designs import DESIGNS
from tabbench.data.formulas.tables import TABLES, material_truss, solar_heat_exchanger
from tabbench.data.split import make_splits
from tabbench.data.suite import load_spec, load_suite
from tabbench.errors import UserError

# optima as published: Gandomi et al. 2011, Yang and Gandomi 2012, Hock and Schittkowski 1981, Coello 2000, Golinski 1970, …
PUBLISHED = {
    "three_bar_truss": 263.8958,
    "spring": 0.012665,
    "welded_beam": 2.3811,
    "welded_beam_7": 1.724852,
    "speed_reducer": 2994.4711,
    "heat_exchanger": 7049.248,
    "pressure_vessel": 5885.33,
    "cantilever": 63108.7,
    "car_side_impact": 22.84297,
    "ackley_10": 0.0,
    "jlh1": 1 / 32,
    "gkxwc1": -2.0,
    "gkxwc2": 0.25324,
}


def test_all_fifteen_problems_are_there():
    assert {name.rstrip("0123456789").rstrip("_") for name in DESIGNS} == {
        *("ackley", "jlh", "gkxwc", "keane", "three_bar_truss", "spring", "pressure_vessel", "reinforced_beam", "welded_beam"),
        *("speed_reducer", "heat_exchanger", "cantilever", "car_side_impact"),
    }
    assert len(DESIGNS) == 18  # jlh and gkxwc twice, Ackley's in three sizes, the welded beam in two forms: fifteen problems


@pytest.mark.parametrize("name", DESIGNS)
def test_the_stated_optimum_is_feasible_and_costs_what_is_stated(name):
    design = DESIGNS[name]
    best = np.array([design.best])
    assert (best >= design.lower).all()
    assert (best <= design.upper).all()
    assert design.feasible(best, 1e-6).all()
    assert design.cost(best)[0] == pytest.approx(design.optimum, rel=1e-6, abs=1e-6)
    if name in PUBLISHED:
        assert design.optimum == pytest.approx(PUBLISHED[name], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", [name for name in DESIGNS if name != "keane"])  # whose peaks catch every descent
def test_a_solver_finds_the_stated_optimum_and_nothing_better(name):
    found = [result for start in starts(DESIGNS[name]) if (result := solve(DESIGNS[name], start)) is not None]
    optimum = DESIGNS[name].optimum
    assert min(found) == pytest.approx(optimum, rel=1e-4, abs=1e-3)
    assert min(found) >= optimum - 1e-6 * max(abs(optimum), 1)


def starts(design):
    """A point some way from the optimum, and three of the box."""
    rng = np.random.default_rng(0)
    width = np.subtract(design.upper, design.lower)
    near = np.clip(design.best + 0.03 * width * rng.normal(size=len(width)), design.lower, design.upper)
    return [near, *design.scaled(rng.random((3, len(width))))]


def solve(design, start):
    """The cost that SLSQP comes to from a start, in the unit cube; None if it ends infeasible."""
    from scipy.optimize import minimize

    lower, width = np.array(design.lower), np.subtract(design.upper, design.lower)
    scale = max(abs(design.optimum), 1)
    result = minimize(
        lambda z: design.cost(design.scaled(z[None]))[0] / scale,
        (start - lower) / width,
        bounds=[(0, 1)] * len(lower),
        constraints={"type": "ineq", "fun": lambda z: -design.constraints(design.scaled(z[None]))[0]},
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-12},
    )
    x = design.scaled(np.clip(result.x, 0, 1)[None])
    return design.cost(x)[0] if design.feasible(x, 1e-9).all() else None


def test_a_design_outside_the_published_shares_of_its_box_would_be_another_problem():
    rng = np.random.default_rng(0)
    shares = {"jlh2": 0.62, "gkxwc1": 0.67, "three_bar_truss": 0.22, "pressure_vessel": 0.40, "reinforced_beam": 0.16}
    for name, share in {**shares, "welded_beam": 0.39, "ackley_2": 0.17}.items():
        points = DESIGNS[name].scaled(rng.random((20_000, len(DESIGNS[name].lower))))
        assert DESIGNS[name].feasible(points).mean() == pytest.approx(share, abs=0.015), name


def test_the_suite_holds_every_table_and_states_its_size():
    suite = load_suite("engineering")
    assert [spec.path for spec in suite.tasks] == list(TABLES)
    for spec in suite.tasks:
        table = TABLES[spec.path]
        assert (spec.rows, spec.features, spec.classes) == (table.rows + tables.TEST_ROWS, len(table.lower), 2)
        assert 500 <= table.rows <= 2500


@pytest.mark.parametrize("spec", load_suite("engineering").tasks, ids=lambda spec: spec.name)
def test_a_table_of_the_suite_is_a_task_with_its_own_test_rows(spec):
    task = load_spec(spec)
    assert task.classes == ("fails", "holds")  # F1 is that of class 1
    assert task.info["source"] == f"formula:{spec.path}"
    assert not task.X.duplicated().any() or spec.name == "solar_heat_exchanger"
    [split] = make_splits(task, None, 1, 0)
    assert len(split.test) == tables.TEST_ROWS
    assert len(split.train) == TABLES[spec.path].rows
    hold = [task.y[part].mean() for part in (split.train, split.test)]
    assert hold[0] == pytest.approx(hold[1], abs=0.015)
    assert hold[0] * len(split.train) >= 20
    if (share := TABLES[spec.path].share) is not None:
        assert hold[1] == pytest.approx(share, abs=1e-9)
        assert task.y[split.train][: len(split.train) // 2].mean() == pytest.approx(share, abs=0.03)  # not sorted by class


def test_a_table_is_the_same_every_time():
    table = replace(TABLES["material_truss"], rows=64)
    assert table.frame().equals(table.frame())
    assert set(table.frame()["material_2"]) == {"steel", "aluminium", "titanium"}


def test_the_thresholds_of_the_solar_heat_exchanger_are_quantiles_of_its_box():
    table = TABLES["solar_heat_exchanger"]
    d = np.linspace(table.lower["diameter"], table.upper[0], 2001)
    grid = np.concatenate([np.column_stack([d, np.full_like(d, n)]) for n in range(1, 21)])
    assert np.quantile(solar_heat_exchanger(grid), 0.7, axis=0) == pytest.approx(tables.SOLAR_LIMITS, rel=5e-3)


def test_the_bars_of_the_truss_bear_the_load_between_them():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.uniform(0.5, 5, (20, 3)), rng.integers(0, 3, (20, 3))])
    for row, facts in zip(x, material_truss(x) + 1, strict=True):
        modulus, density, strength = np.array([list(tables.MATERIALS.values())[int(m)] for m in row[3:]]).T
        length = np.array([math.sqrt(2), 1, math.sqrt(2)])
        along = np.array([[1, 1], [0, 1], [-1, 1]]) / length[:, None]
        stiffness = sum(e * a * 1e-4 / n * np.outer(v, v) for e, a, n, v in zip(modulus, row[:3], length, along, strict=True))
        u = np.linalg.solve(stiffness, tables.TRUSS_LOAD)
        force = modulus * row[:3] * 1e-4 / length * (along @ u)
        assert force @ along == pytest.approx(tables.TRUSS_LOAD)
        assert facts[:3] == pytest.approx(np.abs(force) / (row[:3] * 1e-4) / strength)
        assert facts[3] == pytest.approx(density @ (row[:3] * 1e-4 * length) / tables.TRUSS_LIMITS[0])
        assert facts[4] == pytest.approx(np.hypot(*u) / tables.TRUSS_LIMITS[1])


def test_an_unknown_table_is_a_user_error():
    spec = replace(load_suite("engineering").tasks[0], path="welded_bean")
    with pytest.raises(UserError, match="no table of designs 'welded_bean': did you mean 'welded_beam'"):
        load_spec(spec)
