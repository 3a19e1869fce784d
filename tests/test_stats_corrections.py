"""Corrections for many tests, against figures by hand and against the definitions."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabbench.errors import UserError
from tabbench.stats.corrections import adjust, bergmann_hommel, holm, shaffer


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_shaffer_by_hand():
    # three models: after the first of 3 rejections only 1 hypothesis can be true
    assert shaffer([0.01, 0.02, 0.03]).tolist() == pytest.approx([0.03, 0.03, 0.03])
    # four models: 6, then 3, 3, 3, 2, 1 (García and Herrera 2008, §2.2: S(4) = {0, 1, 2, 3, 6})
    p = [0.001, 0.002, 0.003, 0.004, 0.2, 0.3]
    assert shaffer(p).tolist() == pytest.approx([0.006, 0.006, 0.009, 0.012, 0.4, 0.4])


def by_definition(p, k):
    """Bergmann and Hommel as García and Herrera (2008) write it: over every set of pairs that can hold together."""
    pairs = list(combinations(range(k), 2))

    def exhaustive(models):
        found = {frozenset(combinations(models, 2))}
        for size in range(1, len(models)):
            for part in combinations(models, size):
                rest = tuple(model for model in models if model not in part)
                found |= {one | other for one in exhaustive(part) for other in exhaustive(rest)}
        return found

    sets = [[pairs.index(pair) for pair in chosen] for chosen in exhaustive(tuple(range(k))) if chosen]
    return [min(1, max(len(chosen) * min(p[j] for j in chosen) for chosen in sets if i in chosen)) for i in range(len(pairs))]


@settings(max_examples=25)
@given(
    st.integers(2, 4).flatmap(
        lambda k: st.tuples(st.just(k), st.lists(st.floats(0, 1), min_size=k * (k - 1) // 2, max_size=k * (k - 1) // 2))
    )
)
def test_the_corrections_order_and_agree_with_the_definition(case):
    k, p = case
    assert bergmann_hommel(p).tolist() == pytest.approx(by_definition(p, k))
    assert (np.asarray(p) <= bergmann_hommel(p) + 1e-12).all()
    assert (bergmann_hommel(p) <= shaffer(p) + 1e-12).all()
    assert (shaffer(p) <= holm(p) + 1e-12).all()
    for correction in ("holm", "shaffer"):
        assert (np.diff(adjust(p, correction)[np.argsort(p, kind="stable")]) >= 0).all()


def test_only_all_pairs_of_few_models():
    with pytest.raises(UserError, match="2 p-values are not those of all pairs"):
        shaffer([0.1, 0.2])
    with pytest.raises(UserError, match="at most 10 models, got 11: use shaffer"):
        bergmann_hommel(np.full(55, 0.1))
    for correction in ("holm", "shaffer", "bergmann"):
        assert adjust([], correction).tolist() == []
