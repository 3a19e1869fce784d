"""The rules of benchmarks/early_stopping.py on curves made by hand."""

import numpy as np
import pytest

pytest.importorskip("torch")
rules = pytest.importorskip("benchmarks.early_stopping")


def curve(low, rate=0.1, rise=0.0, n=100):
    t = np.arange(1, n + 1)
    val = low + (0.7 - low) * np.exp(-rate * t) + rise * t / n
    return rules.Curve(val, val + 0.01, 0.7, 2.0)


CURVES = [curve(0.4), curve(0.6), curve(0.3), curve(0.65), curve(0.5, rise=0.3)]


def test_without_a_rule_every_fit_takes_all_its_steps_and_the_best_step_costs_the_same():
    found = rules.replay(CURVES)
    assert found.keys() == rules.RULES.keys()
    assert found["none"][:3] == (0.0, 0.0, 0.0)
    assert found["best step"].cheaper == 0.0
    assert found["best step"].beside_best == 0.0


def test_patience_ends_a_fit_a_tenth_of_the_steps_after_its_best():
    turning = curve(0.3, rate=0.2, rise=0.5)
    best = int(np.argmin(turning.val))
    assert rules.patience([turning]).steps == [best + 11]
    assert rules.patience([curve(0.3)]).steps == [100]


def test_i_epoch_and_halving_finish_only_the_best():
    assert rules.i_epoch(CURVES).steps == [10, 10, 100, 10, 10]
    steps = rules.halving(CURVES).steps
    assert steps[2] == 100
    assert sorted(steps) == [11, 11, 11, 33, 100]


def test_the_oracle_ends_what_gets_no_better_and_loses_nothing():
    steps = rules.RULES["oracle"][0](CURVES).steps
    assert steps[0] == steps[2] == 100
    assert steps[1] == steps[3] == 10
    assert rules.replay(CURVES)["oracle"].beside_none == 0.0
    assert rules.replay(CURVES)["oracle"].cheaper > 0


def test_rules_at_checks_never_end_the_first_fit_and_end_the_plainly_hopeless():
    for name in ("median", "power law", "lc-pfn"):
        given = rules.RULES[name][0]([curve(0.2), curve(0.65), curve(0.64)])
        assert given.steps[0] == 100
        assert given.steps[1] < 100 or name == "median"
        assert given.seconds > 0


def test_a_choice_that_is_worse_says_by_how_much():
    late = curve(0.3, rate=0.03)  # behind at a tenth of its steps, the best in the end
    found = rules.replay([curve(0.5, rate=1.0), late])["i-epoch"]
    assert found.beside_none == pytest.approx(0.51 / late.test[-1] - 1, abs=0.01)
    assert found.fits_cheaper == pytest.approx(np.log(200 / 110))


def test_curves_are_read_by_table_and_model_and_odd_losses_are_bad_ones(tmp_path):
    for number in range(3):
        val = np.array([0.5, np.nan, 0.4])
        name = tmp_path / f"a.b.xgboost.{number:03d}.npz"
        np.savez(name, steps=np.arange(3), val=val, test=val, base=np.array(0.7), seconds=np.array(1.0))
    [(cell, curves)] = rules.read(tmp_path, None).items()
    assert cell == ("a.b", "xgboost")
    assert len(curves) == 3
    assert curves[0].val.tolist() == [0.5, 99.0, 0.4]
    assert rules.read(tmp_path, ["mlp"]) == {}
