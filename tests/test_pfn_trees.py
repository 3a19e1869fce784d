"""The voice of trees: no row's label in its own answer, answers that a loop over single trees gives, and what it learns."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402

from tabbench.pfn import trees  # noqa: E402
from tabbench.pfn.trees import DEPTH, N_BORDERS, N_FOLDS, N_ROUNDS, ask_trees, fit_trees  # noqa: E402


def fitted(x, y, categorical, n_classes=3):
    cells, told = torch.zeros(*x.shape, 8), torch.zeros(len(x), x.shape[2])
    return fit_trees(x, cells, told, F.one_hot(y, n_classes).float(), categorical)


@pytest.fixture
def table():
    """Two tasks of 60 rows: a number, a number with gaps, a category; the class follows a product of signs."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 60, 3, generator=generator)
    y = (x[..., 0] * x[..., 1] > 0).long() + (x[..., 0] > 1)
    x[:, ::7, 1] = torch.nan
    x[..., 2] = torch.randint(0, 4, x.shape[:2], generator=generator)
    return x, y, torch.tensor([[False, False, True]] * 2)


def test_a_rows_own_label_is_not_in_its_answer(table):
    x, y, categorical = table
    _, answers = fitted(x, y, categorical)
    fold = torch.arange(60) % N_FOLDS == 1
    changed = y.clone()
    changed[0, fold] = y[0, fold].flip(0)  # shares of the classes stay
    assert (changed != y).any()
    _, again = fitted(x, changed, categorical)
    torch.testing.assert_close(again[0, fold], answers[0, fold], atol=1e-5, rtol=0)
    assert (again[0, ~fold] - answers[0, ~fold]).abs().max() > 1e-2
    torch.testing.assert_close(again[1], answers[1], atol=1e-5, rtol=0)  # nor does another task matter


def test_answers_are_sums_over_the_leaves_that_a_row_falls_into(table):
    x, y, categorical = table
    fit, _ = fitted(x, y, categorical)
    answers = ask_trees(fit, x, torch.zeros(*x.shape, 8))
    row = x[1, 7].numpy()
    scores = fit.shares[1, 0, 0].log().double().numpy().copy()
    for i in range(N_ROUNDS):
        leaf = 0
        for split in fit.splits[1, DEPTH * i : DEPTH * (i + 1)].tolist():
            column, border = divmod(split, N_BORDERS)
            if column == 2:
                bit = row[2] == border
            else:
                bit = np.isnan(row[column]) or row[column] <= fit.borders[1, 0, column, border].item()
            leaf = 2 * leaf + int(bit)
        scores += fit.leaves[1, i, leaf].double().numpy()
    shares = fit.shares[1, 0, 0].double().numpy()
    near = np.exp(scores) / np.exp(scores).sum() + trees.PSEUDO_SHARE * shares
    np.testing.assert_allclose(answers[1, 7, 0], np.log(near / near.sum() / shares), atol=1e-4)


def test_a_level_is_split_at_the_border_that_fits_residuals_best():
    generator = torch.Generator().manual_seed(1)
    below = (torch.rand(1, 40, 6, generator=generator) < 0.5).float()
    gradient = torch.randn(1, 1, 40, 2, generator=generator)
    leaf, borders = trees._grow(below, gradient, torch.ones(1, 1, 40, 1))
    reached = np.zeros(40, int)
    for border in borders[0, 0].tolist():
        gains = []
        for s in range(6):
            parts = 2 * reached + below[0, :, s].numpy().astype(int)
            gains.append(
                sum(
                    float(gradient[0, 0, parts == p].sum(0).square().sum()) / ((parts == p).sum() + trees.LEAF_PENALTY)
                    for p in np.unique(parts)
                )
            )
        assert gains[border] == pytest.approx(max(gains), rel=1e-5)
        reached = 2 * reached + below[0, :, border].numpy().astype(int)
    np.testing.assert_array_equal(leaf[0, 0].numpy(), reached)


def test_an_interaction_without_main_effects_is_learned():
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(1, 600, 4, generator=generator)
    y = (x[..., 0] * x[..., 1] > 0).long()
    fit, left_out = fitted(x[:, :400], y[:, :400], torch.zeros(1, 4, dtype=torch.bool), 2)
    answers = ask_trees(fit, x[:, 400:], torch.zeros(1, 200, 4, 8))
    assert (answers[0, :, 0].argmax(-1) == y[0, 400:]).float().mean() > 0.85
    assert (left_out[0, :, 0].argmax(-1) == y[0, :400]).float().mean() > 0.85


def test_noise_is_not_answered_for_with_confidence():
    generator = torch.Generator().manual_seed(3)
    x, y = torch.randn(1, 200, 10, generator=generator), torch.randint(0, 2, (1, 200), generator=generator)
    _, left_out = fitted(x, y, torch.zeros(1, 10, dtype=torch.bool), 2)
    right = (left_out[0, :, 0].argmax(-1) == y[0]).float().mean()
    assert 0.35 < right < 0.65  # were the own label in it, nearly all would be right


@pytest.mark.parametrize("n", [1, 2, 5])
def test_tiny_and_constant_contexts_give_finite_answers(n):
    x = torch.zeros(1, n + 3, 2)
    x[0, :, 1] = torch.nan
    fit, left_out = fitted(x[:, :n], torch.zeros(1, n, dtype=torch.long), torch.tensor([[False, True]]), 1)
    assert torch.isfinite(left_out).all()
    assert torch.isfinite(ask_trees(fit, x[:, n:], torch.zeros(1, 3, 2, 8))).all()
