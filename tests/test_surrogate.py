"""The surrogate of a search: what the network reads, what its bars say, and what is proposed by it."""

import json
import math

import numpy as np
import pytest
from scipy.stats import norm

from tabbench.models.space import Choice, Range
from tabbench.resources import Bounds
from tabbench.tuning import proposal
from tabbench.tuning.proposal import Tried, kinds_of, propose
from tabbench.tuning.search import Outcome, loss

torch = pytest.importorskip("torch")
surrogate = pytest.importorskip("tabbench.pfn.surrogate")

SPACE = {
    "a": Range(1e-3, 10, log=True),
    "b": Range(2, 9, whole=True),
    "c": Choice(("p", "q", "r")),
    "d": Choice(tuple(range(12))),
}
KINDS = [surrogate.NUMBER, surrogate.WHOLE, surrogate.CHOICE]


@pytest.fixture(scope="module")
def untrained():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = surrogate.SurrogateNetwork(surrogate.CONFIG.network).eval()
        for layer in network.layers:  # else a new network looks at nothing
            for weight in layer.parameters():
                torch.nn.init.normal_(weight, std=0.2) if weight.ndim == 2 else None
    return network


def points(n, seed=0):
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.random(n), rng.integers(0, 5, n) / 4, rng.integers(0, 3, n)])


def test_draws_repeat_themselves_and_known_values_are_standardised():
    cells, y = surrogate.sample_searches(0, 3, 8, 40, 12, 5)
    again = surrogate.sample_searches(0, 3, 8, 40, 12, 5)
    assert all(np.array_equal(*pair) for pair in zip((cells, y), again, strict=True))
    assert cells.shape == (8, 40, surrogate.MOST_INPUTS * surrogate.CELL)
    assert y[:, :12].mean(axis=1) == pytest.approx(0, abs=1e-5)
    assert y[:, :12].std(axis=1) == pytest.approx(1, abs=1e-4)


def test_an_absent_input_is_all_zeros_and_choices_have_no_order():
    cells = surrogate.cells_of(points(6), np.array([KINDS])).reshape(6, surrogate.MOST_INPUTS, surrogate.CELL)
    assert not cells[:, 3:].any()
    waves, codes = cells[:, 2, 1 : 2 + 2 * surrogate.N_WAVES], cells[:, 2, -surrogate.MOST_CHOICES :]
    assert not waves.any()
    assert (codes.sum(axis=1) == 1).all()


def test_the_order_of_what_is_known_does_not_matter(untrained):
    x, y, at = points(15), np.random.default_rng(1).normal(size=(15, 2)), points(7, seed=2)
    order = np.random.default_rng(3).permutation(15)
    bars = surrogate.Surrogate(x, KINDS, y, untrained).bars(at)
    assert bars.sum(axis=-1) == pytest.approx(1)
    assert surrogate.Surrogate(x[order], KINDS, y[order], untrained).bars(at) == pytest.approx(bars, abs=1e-5)
    alone = surrogate.Surrogate(x, KINDS, y[:, :1], untrained).bars(at[:1])
    assert alone[0, 0] == pytest.approx(bars[0, 0], abs=1e-5)


def test_the_expected_improvement_of_bars_is_that_of_the_normal_they_are_cut_from():
    edges = np.linspace(-8, 8, 2001)
    for mean, std, best in [(0, 1, 0), (1, 0.5, 0), (-2, 1, 0.5), (0.3, 2, -3)]:
        bars = np.diff(norm.cdf(edges, mean, std))[None]
        z = (best - mean) / std
        exact = std * (z * norm.cdf(z) + norm.pdf(z))
        assert surrogate.expected_improvement(bars, edges, best)[0] == pytest.approx(exact, abs=2e-4)


def test_the_probability_of_staying_below_a_limit_is_the_share_of_the_bars(untrained):
    x, y = points(15), np.random.default_rng(1).normal(size=(15, 1))
    model = surrogate.Surrogate(x, KINDS, y, untrained)
    bars = model.bars(points(4, seed=2))
    below = [model.below(bars, 0, limit) for limit in (-1e3, -1.0, 0.0, 1.0, 1e3)]
    assert below[0] == pytest.approx(0, abs=1e-6)
    assert below[-1] == pytest.approx(1)
    assert (np.diff(below, axis=0) >= 0).all()


@pytest.mark.parametrize("values", [[1.0], [2.0, 2.0, 2.0], [0.0, 1e30], [1, 2, 3, 1e6], [-1e9, 0.5, 0.6, 0.7]])
def test_values_of_any_size_are_brought_to_one_scale(values):
    calm = surrogate._Calm(np.array(values))
    assert np.isfinite(calm.known).all()
    assert np.abs(calm.known).max() <= surrogate.TAIL
    assert (np.diff(calm.known[np.argsort(values)]) >= 0).all()
    assert [calm.of(value) for value in values] == pytest.approx(calm.known, abs=1e-6)


def test_the_packaged_network_has_learned_to_regress():
    network, prior, ours = surrogate.load(), [], []
    assert surrogate.SURROGATE.stat().st_size < 2**21
    for d in (1, 2, 4, 8):
        batch = surrogate.sample_searches(1, d, 24, 40, 20, d)
        shape = surrogate.Shape(24, 40, 20, d)
        with torch.inference_mode():
            found, figures = surrogate.regress(network, tuple(torch.from_numpy(part).double() for part in batch), shape)
        ours.append(float(found))
        prior.append(figures["prior_loss"])
    assert np.mean(ours) < np.mean(prior) - 0.15
    assert ours[0] < ours[-1]  # one input is easier than eight


def tried(n, bound=None, seed=0):
    """Trials of a space, best at a = 0.1 and c = "q"; b is what they cost."""
    rng = np.random.default_rng(seed)
    configs = [{name: values.draw(rng) for name, values in SPACE.items()} for _ in range(n)]
    losses = [abs(math.log10(config["a"]) + 1) + (config["c"] != "q") for config in configs]
    return [Tried(c, value, () if bound is None else (c["b"] / bound,)) for c, value in zip(configs, losses, strict=True)]


def test_a_proposal_lies_in_the_space_is_new_and_repeats_itself():
    known = tried(12)
    config = propose(SPACE, known, seed=1)
    assert config == propose(SPACE, known, seed=1)
    assert config.keys() == SPACE.keys()
    assert 1e-3 <= config["a"] <= 10
    assert config["b"] in range(2, 10)
    assert type(config["b"]) is int
    assert config["c"] in "pqr"
    assert config not in [one.config for one in known]
    assert json.loads(json.dumps(config)) == config


def test_what_is_proposed_is_better_than_what_is_drawn():
    known = tried(12)
    for _ in range(12):
        config = propose(SPACE, known, seed=len(known))
        known.append(Tried(config, abs(math.log10(config["a"]) + 1) + (config["c"] != "q")))
    drawn, proposed = (np.median([one.loss for one in part]) for part in (known[:12], known[12:]))
    assert proposed < drawn


def test_while_nothing_is_within_the_limits_what_probably_is_comes_first():
    known = [one for one in tried(40, bound=4.5) if one.costs[0] > 1][:12]
    config = propose(SPACE, known, seed=0)
    assert config["b"] < np.mean([one.config["b"] for one in known])


@pytest.mark.parametrize("n", [0, 1])
def test_one_trial_or_none_gives_a_draw(n):
    assert propose(SPACE, tried(n), seed=0).keys() == SPACE.keys()


def test_losses_and_costs_that_are_no_numbers_teach_nothing():
    known = tried(12, bound=4.5)
    odd = [
        Tried(known[0].config, math.inf, (1.0,)),
        Tried(known[1].config, math.nan, (1.0,)),
        Tried(known[2].config, 0.1, (math.nan,)),
    ]
    config = propose(SPACE, [*odd, *known[3:]], seed=0)
    assert config is not None
    assert config not in [one.config for one in odd]


def test_a_space_without_anything_new_ends_the_search():
    small = {"n": Choice((1, 5)), "w": Choice(("u", "v"))}
    every = [Tried({"n": n, "w": w}, float(n)) for n in (1, 5) for w in "uv"]
    assert propose(small, every, seed=0) is None
    assert propose(small, every[:3], seed=0) == every[3].config
    assert kinds_of(SPACE) == [surrogate.NUMBER, surrogate.WHOLE, surrogate.CHOICE, surrogate.WHOLE]


def test_an_outcome_is_a_loss_that_knows_its_costs():
    facts = {"val_log_loss": 0.5, "fit_seconds": 2.0, "model_mb": 1}
    outcome = loss("ok", facts, "log_loss")
    assert isinstance(outcome, Outcome)
    assert outcome == 0.5
    assert outcome.costs == {"fit_seconds": 2.0, "model_mb": 1.0}
    assert loss("failed", facts, "log_loss") == math.inf
    assert Bounds(model_mb=4.0).facts == {"model_mb": 4.0}


def test_places_in_a_range_and_back():
    for values in (Range(1e-3, 10, log=True), Range(2, 9, whole=True), Range(0.0, 0.5), Range(50, 500, log=True, whole=True)):
        for share in (0.0, 0.3, 1.0):
            value = values.at(share)
            assert values.low <= value <= values.high
            assert values.share(value) == pytest.approx(share, abs=0.08 if values.whole else 1e-12)
    assert Range(3, 3).share(3) == 0.5


def test_candidates_near_the_best_are_among_those_looked_at():
    known = tried(12)
    best = min(known, key=lambda one: one.loss)
    candidates = proposal._candidates(SPACE, known, np.random.default_rng(0))
    assert len(candidates) == proposal.N_DRAWN + proposal.N_NEAR * proposal.N_BEST
    near = candidates[proposal.N_DRAWN : proposal.N_DRAWN + proposal.N_NEAR]
    shares = [abs(SPACE["a"].share(one["a"]) - SPACE["a"].share(best.config["a"])) for one in near]
    assert np.mean(shares) < 0.15
