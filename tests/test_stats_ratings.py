"""Ratings and their intervals: published values, bencheval, closed forms, coverage on simulated data."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta

from tabbench.errors import UserError
from tabbench.stats.ranks import improvability, rank_table, win_rates
from tabbench.stats.ratings import CENTRE, POINTS, bradley_terry, pair_wins, rank_intervals, ratings
from tests.support.published import DEMSAR, golden, needs_golden


def simulated(rng, n, strengths, noise=1.0):
    return pd.DataFrame(strengths + noise * rng.gumbel(size=(n, len(strengths)))).add_prefix("m")


@needs_golden
def test_demsar_as_bencheval_rates_it():
    expected = golden("demsar2006")["recomputed_from_auc"]["bencheval_0.1.0_on_1-AUC"]
    ours = ratings(DEMSAR, True, n_draws=0, prior=0)["rating"]
    assert ours.round(1).to_dict() == pytest.approx(expected["elo_init1000_uncalibrated"], abs=0.11)
    rates = win_rates(DEMSAR, True)
    assert ((rates.sum(axis=1) - 0.5) / 3).to_dict() == pytest.approx(expected["winrate"], abs=1e-6)
    assert improvability(DEMSAR, True).mean().to_dict() == pytest.approx(expected["improvability"], abs=1e-6)


def test_ratings_equal_bencheval():
    elo = pytest.importorskip("bencheval.elo_utils")
    scores = simulated(np.random.default_rng(0), 40, np.linspace(0, 2, 6))
    long = (-scores).rename_axis("task").rename_axis("method", axis=1).stack().rename("metric_error").reset_index()
    theirs = elo.EloHelper().compute_mle_elo_from_ranks(long)
    pd.testing.assert_series_equal(
        ratings(scores, True, n_draws=0, prior=0)["rating"], theirs, check_names=False, atol=0.01, rtol=0
    )


def test_two_models_have_a_closed_form():
    scores = pd.DataFrame({"a": [1.0] * 15, "b": [0.0] * 12 + [1.0] + [2.0] * 2})  # 12 wins, 1 tie, 2 losses
    gap = ratings(scores, True, n_draws=0)["rating"].diff().iloc[-1]
    assert -gap == pytest.approx(POINTS * np.log((12.5 + 0.5) / (2.5 + 0.5)))


def test_dominance_is_finite_and_grows_with_the_datasets():
    gaps = [
        np.ptp(ratings(pd.DataFrame({"a": [1.0] * n, "b": [0.0] * n}), True)[["rating", "low", "high"]], axis=0) for n in (5, 50)
    ]
    assert gaps[0]["rating"] == pytest.approx(POINTS * np.log(11))
    assert gaps[1]["rating"] == pytest.approx(POINTS * np.log(101))


def test_the_prior_does_not_decide():
    scores = simulated(np.random.default_rng(1), 100, np.linspace(0, 1, 8))
    with_prior, without = (ratings(scores, True, n_draws=0, prior=prior)["rating"] for prior in (1, 0))
    assert (with_prior - without).abs().max() < 5
    assert with_prior.index.tolist() == without.index.tolist()


def test_float_noise_is_a_tie_and_names_do_not_matter():
    scores = pd.DataFrame({"z": [0.3] * 20, "a": [0.1 + 0.2] * 20})
    tied = ratings(scores, True)
    assert tied["rating"].tolist() == [CENTRE] * 2
    assert (tied["low"] > CENTRE - 30).all()
    assert (tied["high"] < CENTRE + 30).all()
    random = simulated(np.random.default_rng(2), 20, np.linspace(0, 1, 4))
    renamed = random.iloc[::-1, ::-1].rename(columns=lambda name: f"other {name}")
    one, other = ratings(random, True, n_draws=0), ratings(renamed, True, n_draws=0)
    assert one["rating"].tolist() == pytest.approx(other["rating"].tolist())
    assert [f"other {name}" for name in one.index] == other.index.tolist()


def test_gaps_are_meetings_that_did_not_take_place():
    scores = simulated(np.random.default_rng(3), 30, np.array([0.0, 1.0, 2.0]))
    scores.iloc[:10, 1] = np.nan
    wins = pair_wins(scores, True).sum(axis=0)
    assert (wins + wins.T)[0].tolist() == [0, 20, 30]
    assert ratings(scores, True).index.tolist() == ["m2", "m1", "m0"]


def test_a_batch_is_solved_like_each_one_alone():
    wins = np.random.default_rng(4).uniform(0, 9, size=(7, 5, 5)) * (1 - np.eye(5))
    np.testing.assert_allclose(bradley_terry(wins), [bradley_terry(one) for one in wins], atol=1e-9)
    one = bradley_terry(wins[0])
    expected = 1 / (1 + np.exp(one[None, :] - one[:, None]))
    meetings = wins[0] + wins[0].T + 1 - np.eye(5)
    np.testing.assert_allclose((meetings * expected).sum(axis=1), (wins[0] + 0.5 * (1 - np.eye(5))).sum(axis=1), atol=1e-7)


def test_intervals_cover_on_simulated_data():
    """The stated 95% intervals hold the truth in 92% or more of 200 simulated benchmarks of 40 datasets × 5 models."""
    rng, strengths = np.random.default_rng(5), np.array([0.0, 0.2, 0.4, 0.8, 1.2])
    truth = CENTRE + POINTS * (strengths - strengths.mean())  # Gumbel noise makes the Bradley–Terry model exact
    true_rank = rank_table(simulated(rng, 50_000, strengths), True).mean().to_numpy()
    hits, rank_hits = [], []
    for seed in range(200):
        scores = simulated(rng, 40, strengths)
        table = ratings(scores, True, n_draws=300, seed=seed).reindex(scores.columns)
        hits.append((table["low"] <= truth) & (truth <= table["high"]))
        low, high = rank_intervals(rank_table(scores, True), 300, seed=seed)
        rank_hits.append((low <= true_rank) & (true_rank <= high))
    assert 0.92 <= np.mean(hits) <= 0.99
    assert 0.92 <= np.mean(rank_hits) <= 0.99


@pytest.mark.parametrize(("wins", "losses"), [(6, 0), (2, 0), (5, 1), (20, 0)])
def test_intervals_of_two_models_are_jeffreys(wins, losses):
    scores = pd.DataFrame({"a": [1.0] * wins + [0.0] * losses, "b": [0.0] * wins + [1.0] * losses})
    share = beta.ppf(0.025, wins + 0.5, losses + 0.5)  # six of six: at least 123 points ahead
    low = ratings(scores, True, n_draws=20_000)["low"]["a"] - CENTRE
    assert 2 * low == pytest.approx(POINTS * np.log(share / (1 - share)), abs=12)
    best, _ = (end["a"] for end in rank_intervals(rank_table(scores, True), 20_000))
    worst = rank_intervals(rank_table(scores, True), 20_000)[1]["a"]
    assert best <= 1 + losses / len(scores)
    assert worst == pytest.approx(2 - share, abs=0.02)


def test_intervals_cover_on_few_datasets():
    rng, strengths = np.random.default_rng(8), np.array([0.0, 0.4, 1.2])
    true_rank = rank_table(simulated(rng, 50_000, strengths), True).mean().to_numpy()
    hits = []
    for seed in range(200):
        low, high = rank_intervals(rank_table(simulated(rng, 5, strengths), True), 300, seed=seed)
        hits.append((low <= true_rank) & (true_rank <= high))
    assert 0.9 <= np.mean(hits) <= 0.99  # resampling five datasets alone: 0.8


def test_folds_as_datasets_would_make_intervals_too_short():
    scores = simulated(np.random.default_rng(6), 30, np.linspace(0, 1, 4))
    folds = pd.concat([scores] * 10, ignore_index=True)  # ten folds that say the same
    by_dataset, by_fold = (np.mean(table["high"] - table["low"]) for table in (ratings(scores, True), ratings(folds, True)))
    assert by_fold < by_dataset / 2


def test_bad_and_little_input():
    one = ratings(pd.DataFrame({"a": [1.0], "b": [2.0]}), True)
    assert one.index.tolist() == ["b", "a"]
    assert one["rating"].mean() == pytest.approx(CENTRE)
    assert one[["low", "high"]].isna().all(axis=None)  # one dataset tells nothing of others
    assert all(ends.isna().all() for ends in rank_intervals(pd.DataFrame({"a": [1.0]})))
    alone = ratings(pd.DataFrame({"a": [1.0] * 2}), True)
    assert alone["rating"].tolist() == [CENTRE]
    assert alone[["low", "high"]].isna().all(axis=None)  # one model is compared with nothing
    with pytest.raises(UserError, match="empty"):
        ratings(pd.DataFrame({"a": []}), True)
    with pytest.raises(UserError, match="model 'a' occurs twice"):
        ratings(pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]), True)
