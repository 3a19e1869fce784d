"""Rank statistics against printed values, scipy, published tables, and what must hold for any table."""

from itertools import combinations, permutations, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tabbench.errors import UserError
from tabbench.stats.corrections import holm
from tabbench.stats.effects import cohen_d, rank_biserial
from tabbench.stats.ranks import (
    adtm,
    champion_delta,
    improvability,
    mean_ranks,
    normalized_scores,
    rank_table,
    ranked,
    win_rates,
    win_tie_loss,
)
from tabbench.stats.significance import (
    _range_exceeds,
    against_control,
    bonferroni_dunn_cd,
    cliques,
    different,
    friedman,
    nemenyi,
    nemenyi_cd,
    nemenyi_q,
    pairwise_wilcoxon,
    sign_test,
    signed_rank,
)
from tests.support.published import DEMSAR, GOLDEN, golden, needs_golden


def test_demsar_from_the_printed_scores():
    assert mean_ranks(DEMSAR, True).round(6).to_dict() == {
        "C4.5": 3.142857,
        "C4.5+m": 2.0,
        "C4.5+cf": 2.928571,
        "C4.5+m+cf": 1.928571,
    }
    result = friedman(DEMSAR, True)
    assert result.chi2 == pytest.approx(10.952381, abs=1e-6)
    assert result.p == pytest.approx(0.0119862, abs=1e-7)
    assert result.f == pytest.approx(4.58589, abs=1e-5)
    assert result.f_p == pytest.approx(stats.f.sf(result.f, 3, 39))


def test_demsar_pairs_by_the_normal_approximation():
    tests = pairwise_wilcoxon(DEMSAR, True, zeros="zsplit", exact_up_to=0).set_index(["model_a", "model_b"])
    assert tests.loc[("C4.5", "C4.5+m"), "statistic"] == 12
    assert tests.loc[("C4.5", "C4.5+m"), "p"] == pytest.approx(0.0109685, abs=1e-7)
    assert tests["p_adjusted"].round(5).tolist() == [0.06581, 0.86412, 0.07165, 0.15425, 0.86412, 0.12098]
    pratt = pairwise_wilcoxon(DEMSAR, True, exact_up_to=0).set_index(["model_a", "model_b"]).loc[("C4.5", "C4.5+m")]
    assert (pratt["statistic"], round(pratt["p"], 6)) == (10.5, 0.010792)


def test_demsar_from_the_printed_ranks():
    # the paper ranks "voting" 2 and 3, although both print .975
    ranks = rank_table(DEMSAR, True)
    ranks.loc[12] = [4.0, 1.0, 2.0, 3.0]
    assert ranks.mean().round(3).to_dict() == {"C4.5": 3.143, "C4.5+m": 2.0, "C4.5+cf": 2.893, "C4.5+m+cf": 1.964}
    plain = plain_chi2(ranks)
    assert round(plain, 2) == 9.28
    assert round(13 * plain / (14 * 3 - plain), 2) == 3.69
    gaps = ranks.mean()["C4.5"] - ranks.mean()
    assert gaps.index[gaps > nemenyi_cd(4, 14, 0.05)].tolist() == []
    assert gaps.index[gaps > nemenyi_cd(4, 14, 0.10)].tolist() == ["C4.5+m", "C4.5+m+cf"]
    z = gaps.drop("C4.5") / np.sqrt(4 * 5 / (6 * 14))  # against a control, Demšar's Table 7
    p = stats.norm.sf(z) * 2
    assert p.round(3).tolist() == [0.019, 0.608, 0.016]
    assert [bool(value) for value in holm(p) < 0.05] == [True, False, True]


def plain_chi2(ranks):
    """Friedman's statistic without tie correction, as most papers print it."""
    n, k = ranks.shape
    return 12 * n / (k * (k + 1)) * ((ranks.mean() ** 2).sum() - k * (k + 1) ** 2 / 4)


@needs_golden
def test_every_way_with_zeros_gives_the_recomputed_values():
    expected = golden("demsar2006")["recomputed_from_auc"]
    difference = (DEMSAR["C4.5"] - DEMSAR["C4.5+m"]).to_numpy()
    dropped = expected["wilcoxon_p_C4.5_C4.5+m"]["wilcox_drop_zeros"]
    assert one_sample(difference, zeros="drop") == pytest.approx((dropped["T"], dropped["p_exact_scipy_1.17_n12"]), abs=1e-6)
    assert one_sample(difference, zeros="drop", exact_up_to=0)[1] == pytest.approx(dropped["p_normal_approx"], abs=1e-6)
    p = nemenyi(DEMSAR, True)
    for pair, value in expected["nemenyi_p"].items():
        assert p.loc[tuple(pair.split("|"))] == pytest.approx(value, abs=1e-5)
    for alpha, cd in expected["bonferroni_dunn"]["CD"].items():
        assert bonferroni_dunn_cd(4, 14, float(alpha)) == pytest.approx(cd, abs=1e-5)


def test_what_demsar_prints_beside():
    difference = (DEMSAR["C4.5"] - DEMSAR["C4.5+m"]).to_numpy()
    smaller, p = one_sample(difference, zeros="zsplit", exact_up_to=0)
    assert (14 * 15 / 2 - smaller, smaller) == (93, 12)
    assert stats.norm.ppf(p / 2) == pytest.approx(-2.54, abs=0.005)
    for lost, significant in [((1, 2, 3, 4, 5, 6), True), ((1, 2, 3, 4, 5, 7), False)]:  # 21 is the critical value of 14 pairs
        ranks = np.arange(1.0, 15.0)
        assert (one_sample(np.where(np.isin(ranks, lost), -ranks, ranks))[1] < 0.05) == significant
    assert np.sqrt(4 * 5 / (6 * 14)) == pytest.approx(0.488, abs=5e-4)  # the standard error behind z
    assert stats.f.isf(0.05, 3, 39) == pytest.approx(2.85, abs=0.005)
    assert friedman(DEMSAR, True).f > 2.85


def test_demsar_against_a_control():
    means = pd.Series({"C4.5": 3.143, "C4.5+m": 2.0, "C4.5+cf": 2.893, "C4.5+m+cf": 1.964})
    tests = against_control(means, 14, "C4.5")
    assert tests["z"].round(3).tolist() == pytest.approx([2.342, 0.512, 2.416], abs=0.001)
    assert tests["p"].round(3).tolist() == [0.019, 0.608, 0.016]
    assert tests.index[tests["p_adjusted"] < 0.05].tolist() == ["C4.5+m", "C4.5+m+cf"]
    with pytest.raises(UserError, match="no model 'x'"):
        against_control(means, 14, "x")


def test_demsar_by_the_sign_test():
    pair = pairwise_wilcoxon(DEMSAR, True).iloc[0]
    assert (pair["losses"] + pair["ties"] / 2, pair["n"]) == (11, 14)
    assert sign_test(11, 2, 1) == pytest.approx(stats.binomtest(12, 14).pvalue)
    assert sign_test(np.array([3, 0]), np.array([1, 5]), np.array([3, 0])).tolist() == [1.0, 1.0]


def test_effect_sizes_by_hand():
    differences = np.array([[1.0, 2.0, 3.0, -4.0], [1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    assert rank_biserial(differences).tolist() == [(6 - 4) / 10, 1.0, 0.0]
    assert cohen_d(differences).tolist() == [pytest.approx(0.5 / np.std([1, 2, 3, -4], ddof=1)), np.inf, 0.0]
    assert friedman(pd.DataFrame({"a": range(9), "b": range(1, 10)}, dtype=float), True).kendall_w == pytest.approx(1)


def test_normalised_scores_with_a_floor():
    scores = pd.DataFrame([[0.0, 9.0, 10.0, 11.0, 12.0], [1.0, 1.0, 1.0, 1.0, 1.0]])
    found = normalized_scores(scores, True, floor=0.25)
    assert found.loc[0].tolist() == pytest.approx([0, 0, 1 / 3, 2 / 3, 1])
    assert (found.loc[1] == 1).all()


def test_critical_difference_and_nemenyi_equal_other_libraries():
    autorank = pytest.importorskip("autorank")
    posthocs = pytest.importorskip("scikit_posthocs")
    rng = np.random.default_rng(3)
    scores = pd.DataFrame(rng.normal(size=(25, 5)) + np.linspace(0, 1, 5), columns=list("abcde"))
    theirs = autorank.autorank(scores, alpha=0.05, verbose=False, force_mode="nonparametric", order="descending")
    assert theirs.cd == pytest.approx(nemenyi_cd(5, 25), abs=1e-4)
    ours = mean_ranks(scores, True)
    assert theirs.rankdf["meanrank"].reindex(ours.index).tolist() == pytest.approx(ours.tolist())
    np.testing.assert_allclose(nemenyi(scores, True), posthocs.posthoc_nemenyi_friedman(scores.to_numpy()), atol=1e-6)


def test_demsar_critical_differences():
    assert nemenyi_cd(4, 14) == pytest.approx(1.25, abs=0.005)
    assert nemenyi_cd(4, 14, 0.10) == pytest.approx(1.12, abs=0.005)
    assert bonferroni_dunn_cd(4, 14) == pytest.approx(1.168143, abs=1e-5)
    assert nemenyi_cd(6, 20) == pytest.approx(1.686, abs=0.001)  # autorank's example


def test_cliques_of_the_autorank_example():
    names = ["Naive Bayes", "Random Forest", "RBF SVM", "Neural Net", "Decision Tree", "Linear SVM"]
    ranks = pd.Series([2.75, 2.85, 2.9, 3.3, 4.525, 4.675], names)
    far = pd.DataFrame(np.abs(np.subtract.outer(ranks.to_numpy(), ranks.to_numpy())) > 1.686, names, names)
    assert cliques(ranks, far) == [tuple(names[:4]), tuple(names[1:5]), tuple(names[3:])]
    assert cliques(ranks, ~np.eye(6, dtype=bool) & (far | True)) == []


@needs_golden
@pytest.mark.parametrize(
    ("key", "file", "plain", "f_name"),
    [
        ("garcia_herrera_2008", "file", "chi2_no_tie_correction", "iman_davenport_F"),
        ("garcia_herrera_2010", "file", "chi2_no_tie_correction", "F"),
        ("baycomp_uci54", "mean_file", "chi2_no_tie_correction", "F"),
        ("amlb2019_1h", "file", "friedman_chi2", "iman_davenport_F"),
    ],
)
def test_published_tables(key, file, plain, f_name):
    expected = golden(key)
    scores = pd.read_csv(GOLDEN / expected[file], index_col=0)
    n, k = scores.shape
    assert (n, k) == (expected["N"], expected["k"])
    ranks = rank_table(scores, True)
    assert ranks.mean().to_dict() == pytest.approx(expected["avg_ranks"], abs=1e-4)
    chi2 = plain_chi2(ranks)
    assert chi2 == pytest.approx(expected[plain], abs=1e-4)
    assert (n - 1) * chi2 / (n * (k - 1) - chi2) == pytest.approx(expected[f_name], abs=1e-3)
    for name, printed in (("garcia_herrera_2008", "p"), ("garcia_herrera_2010", "p_F")):
        if key == name:
            assert stats.f.sf(expected[f_name], k - 1, (k - 1) * (n - 1)) == pytest.approx(expected[printed], rel=1e-3)
    corrected = stats.friedmanchisquare(*scores.to_numpy().T)
    result = friedman(scores, True)
    assert (result.chi2, result.p) == pytest.approx((corrected.statistic, corrected.pvalue), rel=1e-9)
    for name in ("friedman_chi2_tie_corrected", "chi2_tie_corrected_scipy"):
        assert result.chi2 == pytest.approx(expected.get(name, result.chi2), abs=1e-5)


@needs_golden
def test_published_critical_differences():
    for k, row in golden("nemenyi_q_table").items():
        for alpha, q in row.items():
            cd = nemenyi_cd(int(k), 10, float(alpha))
            assert cd / np.sqrt(int(k) * (int(k) + 1) / 60) == pytest.approx(q, abs=1e-4)
    assert nemenyi_cd(5, 30, 0.10) == pytest.approx(golden("garcia_herrera_2008")["nemenyi_CD_0.10"]["df_infinite"], abs=1e-6)
    assert nemenyi_cd(7, 33) == pytest.approx(golden("amlb2019_1h")["nemenyi_CD_0.05"], abs=1e-3)


def test_scikit_posthocs_tutorial():
    rng = np.random.default_rng(1)
    means = [0.2, 0.2, 0.4, 0.5, 0.7, 0.7, 0.8, 0.9]
    scores = pd.DataFrame({f"model{i}": rng.normal(mean, 0.1, 30) for i, mean in enumerate(means, 1)})
    result = friedman(scores, True)
    assert result.chi2 == pytest.approx(186.9)
    assert result.p == pytest.approx(6.787361102785178e-37)
    assert (mean_ranks(scores, False) / 8).round(6).tolist() == [
        *(0.208333, 0.191667, 0.366667, 0.495833),
        *(0.708333, 0.7375, 0.85, 0.941667),
    ]


@needs_golden
@pytest.mark.parametrize("metric", ["Accuracy", "F1", "Log Loss"])
def test_tabzillas_published_ranks_come_out_exactly(metric):
    table = pd.read_csv(GOLDEN / "tabzilla" / "final18_tuned_aggregated_results.csv")
    scores = table.pivot(index="dataset_name", columns="alg_name", values=f"normalized_{metric}__test_mean")
    ranks = rank_table(scores, metric != "Log Loss", tolerance=0.0, ties="min")
    stem = f"final18_{metric.replace(' ', '')}_rank.csv"
    published = pd.read_csv(GOLDEN / "tabzilla" / "rank_tables" / stem, header=[0, 1], index_col=0).dropna()
    published.columns = ["min", "max", "mean", "normalized", "count"]
    assert scores.shape == (104, 18)
    assert sorted(published.index) == sorted(ranks)
    for name, row in published.iterrows():
        assert (ranks[name].min(), ranks[name].max()) == (row["min"], row["max"])
        assert round(ranks[name].mean(), 2) == pytest.approx(row["mean"], abs=0.00501)
        assert scores[name].mean() == pytest.approx(row["normalized"], abs=0.00501)


@pytest.mark.parametrize("ties", ["average", "min"])
def test_ranks_in_a_row_equal_scipy(ties):
    values = np.random.default_rng(0).integers(0, 5, size=(40, 7)).astype(float)
    values[3, 2] = np.inf
    np.testing.assert_array_equal(ranked(values, ties), stats.rankdata(values, method=ties, axis=1))


def test_the_range_of_normal_numbers_equals_scipy():
    for k in (2, 3, 10, 40):
        for alpha in (0.1, 0.05, 0.001):
            wanted = stats.studentized_range.isf(alpha, k, np.inf) / np.sqrt(2)
            assert nemenyi_q(k, alpha) == pytest.approx(wanted, rel=1e-6)
    q = np.array([[0.0, 0.5], [3.0, 6.0]])
    np.testing.assert_allclose(_range_exceeds(q, 5), stats.studentized_range.sf(q, 5, np.inf), atol=1e-9)


def test_friedman_equals_scipy():
    scores = pd.DataFrame(np.random.default_rng(0).integers(0, 5, (20, 6)).astype(float))
    expected = stats.friedmanchisquare(*scores.to_numpy().T)
    ours = friedman(scores, True)
    assert (ours.chi2, ours.p) == pytest.approx((expected.statistic, expected.pvalue))


@pytest.mark.parametrize(("n", "k"), [(3, 2), (2, 3), (4, 3)])
def test_few_datasets_that_agree_are_no_certainty(n, k):
    """F is infinite, yet by chance alone n orders of k models agree with probability k!^(1 - n)."""
    result = friedman(pd.DataFrame([range(k)] * n, dtype=float), True)
    orders = list(permutations(range(k)))
    agree = np.mean([len(set(drawn)) == 1 for drawn in product(orders, repeat=n)])
    assert (result.f, result.f_p) == (np.inf, pytest.approx(agree))


def one_sample(difference, **settings):
    statistic, p = signed_rank(difference[None], **settings)
    return statistic[0], p[0]


TIED = np.array([1.0, 2.0, 2.0, -1.0, 3.0, 3.0, -2.0, 4.0, 0.0, 0.0])


def test_the_exact_signed_rank_test_equals_scipy():
    rng = np.random.default_rng(0)
    for n in (5, 9, 30):
        difference = rng.normal(0.3, 1, n)
        expected = stats.wilcoxon(difference, method="exact")
        assert one_sample(difference) == pytest.approx((expected.statistic, expected.pvalue))
    every = stats.PermutationMethod(n_resamples=np.inf)
    for zeros in ("pratt", "zsplit"):
        expected = stats.wilcoxon(TIED, zero_method=zeros, method=every)
        assert one_sample(TIED, zeros=zeros) == pytest.approx((expected.statistic, expected.pvalue))


@pytest.mark.parametrize("zeros", ["pratt", "zsplit"])
def test_the_normal_approximation_equals_scipy(zeros):
    samples = np.random.default_rng(0).integers(-3, 6, (20, 60)).astype(float)
    for difference in [*samples, TIED]:
        expected = stats.wilcoxon(difference, zero_method=zeros, method="asymptotic")
        assert one_sample(difference, zeros=zeros, exact_up_to=0) == pytest.approx((expected.statistic, expected.pvalue))
    assert one_sample(np.zeros(60), zeros=zeros)[1] == 1


def test_five_wins_of_five_are_not_significant():
    assert one_sample(np.arange(1.0, 6.0)) == (0.0, 2 / 2**5)
    assert one_sample(np.arange(1.0, 6.0), exact_up_to=0)[1] < 0.05


def test_normalised_scores_and_wins_by_hand():
    scores = pd.DataFrame({"a": [1.0, 5.0], "b": [2.0, 5.0], "c": [3.0, 5.0]}, ["p", "q"])
    assert normalized_scores(scores, True).to_numpy().tolist() == [[0, 0.5, 1], [1, 1, 1]]
    assert normalized_scores(scores, False).loc["p"].tolist() == [1, 0.5, 0]
    assert adtm(scores, True).tolist() == [0.5, 0.25, 0]
    assert champion_delta(scores, True).to_numpy().tolist() == [[2, 1, 0], [0, 0, 0]]
    assert improvability(scores, False).loc["p"].tolist() == pytest.approx([0, 1 / 2, 2 / 3])
    assert improvability(scores, True, perfect=5).to_numpy().tolist() == [[0.5, pytest.approx(1 / 3), 0], [0, 0, 0]]
    with pytest.raises(UserError, match="better than 1"):
        improvability(scores, True)
    assert win_tie_loss(scores, True).to_numpy().tolist() == [[0, 2, 2], [1, 2, 1], [2, 2, 0]]
    assert win_rates(scores, True).loc["c", "a"] == 0.75


tables = st.integers(2, 6).flatmap(
    lambda k: st.lists(st.lists(st.integers(0, 4), min_size=k, max_size=k), min_size=2, max_size=12)
)


@settings(max_examples=60)
@given(tables, st.randoms(use_true_random=False))
def test_what_must_hold_for_any_table(rows, random):
    scores = pd.DataFrame(rows, dtype=float).add_prefix("m")
    k = scores.shape[1]
    ranks = rank_table(scores, True)
    np.testing.assert_allclose(ranks.sum(axis=1), k * (k + 1) / 2)
    shuffled = scores.sample(frac=1, random_state=random.randrange(99))[random.sample(list(scores), k)]
    pd.testing.assert_frame_equal(rank_table(shuffled, True)[list(scores)].sort_index(), ranks)
    pd.testing.assert_frame_equal(rank_table(-scores, False), ranks)
    assert friedman(shuffled, True).chi2 == pytest.approx(friedman(scores, True).chi2)
    noisy = scores + np.random.default_rng(0).uniform(-1e-12, 1e-12, scores.shape)
    pd.testing.assert_frame_equal(rank_table(noisy, True), ranks)
    tests = pairwise_wilcoxon(scores, True)
    assert tests["p_adjusted"].between(tests["p"], 1).all()
    in_order = tests.sort_values("p")["p_adjusted"]
    assert in_order.is_monotonic_increasing
    rates = win_rates(scores, True)
    np.testing.assert_allclose(rates + rates.T, 1)


def test_float_noise_is_a_tie_in_the_signed_rank_test():
    difference = np.array([0.1, -0.2, 0.3, 0.1, 0.0, 0.1])
    noisy = difference + np.array([1e-12, 0, -1e-12, 2e-12, 1e-13, 0])
    assert one_sample(noisy) == pytest.approx(one_sample(difference))


def test_clones_do_not_change_the_verdict_on_two_others():
    rng = np.random.default_rng(1)
    scores = pd.DataFrame(rng.normal(size=(30, 2)) + np.array([0, 0.4]), columns=["a", "b"])
    crowd = scores.assign(**{f"b{i}": scores["b"] + 1e-3 * rng.normal(size=30) for i in range(8)})
    alone = pairwise_wilcoxon(scores, True).set_index(["model_a", "model_b"]).loc[("a", "b")]
    among = pairwise_wilcoxon(crowd, True).set_index(["model_a", "model_b"]).loc[("a", "b")]
    assert alone["p"] == among["p"]
    assert alone["median_difference"] == among["median_difference"]


def test_clear_differences_are_found_and_chance_is_not():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(40, 1))
    scores = pd.DataFrame(base + 0.1 * rng.normal(size=(40, 3)) + [0, 0, 1], columns=list("abc"))
    tests = pairwise_wilcoxon(scores, True)
    differ = different(tests, list("abc"))
    assert differ.loc["a", "c"]
    assert differ.loc["b", "c"]
    assert not differ.loc["a", "b"]
    assert cliques(mean_ranks(scores, True), differ) == [tuple(mean_ranks(scores, True)[["a", "b"]].sort_values().index)]


def test_bad_and_extreme_tables():
    good = pd.DataFrame({"a": [1.0, 2.0], "b": [2.0, 1.0]})
    with pytest.raises(UserError, match="no score of 'b' on '1'"):
        rank_table(good.assign(b=[1.0, np.nan]), True)
    with pytest.raises(UserError, match="empty"):
        rank_table(good.iloc[:0], True)
    with pytest.raises(UserError, match="dataset '0' occurs twice"):
        rank_table(good.set_axis([0, 0]), True)
    with pytest.raises(UserError, match="at least 2 datasets"):
        friedman(good.iloc[:1], True)
    equal = pd.DataFrame(1.0, index=range(5), columns=list("abc"))
    assert friedman(equal, True).p == 1
    assert (pairwise_wilcoxon(equal, True)["p"] == 1).all()
    total = pd.DataFrame({"a": range(9), "b": range(10, 19)}, dtype=float)
    assert friedman(total, True).f == np.inf
    assert mean_ranks(good[["a"]], True).tolist() == [1.0]
    assert pairwise_wilcoxon(good[["a"]], True).empty


def test_pairs_are_all_there():
    scores = pd.DataFrame(np.random.default_rng(0).normal(size=(6, 4)), columns=list("dbca"))
    tests = pairwise_wilcoxon(scores, False)
    assert list(zip(tests["model_a"], tests["model_b"], strict=True)) == list(combinations("dbca", 2))
