import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.kernel_ridge import KernelRidge

from tabbench.pfn.columns import describe_cells, describe_columns
from tabbench.pfn.kernel import NARROW, PSEUDO_SHARE, WIDE, _distance, _points, ask_kernel, fit_kernel

N_CONTEXT, N_QUERY, K = 40, 15, 10


@pytest.fixture
def table():
    """Two numeric columns, one with missing cells, and a categorical one; three classes."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, N_CONTEXT + N_QUERY, 3, generator=generator)
    y = (x[:, :N_CONTEXT, 0] > 0).long() + (x[:, :N_CONTEXT, 1] > 0.5)
    x[:, ::7, 1] = torch.nan
    x[..., 2] = torch.randint(0, 4, x.shape[:2], generator=generator)
    return x, y, torch.tensor([[False, False, True]] * 2)


def fitted(x, y, categorical, told=None, form=WIDE):
    context = x[:, : y.shape[1]]
    columns = describe_columns(context, y, categorical, K)
    cells = describe_cells(x, columns)[0]
    told = torch.tensor([[0.4, 0.1, 0.0]] * 2) if told is None else told
    one_hot = F.one_hot(y, K).float()
    kernel, left_out = fit_kernel(context, cells[:, : y.shape[1]], told, one_hot, categorical, form)
    return kernel, left_out, cells, one_hot


@pytest.mark.parametrize("form", [WIDE, NARROW])
def test_each_row_is_left_out_of_its_own_answer(table, form):
    x, y, categorical = table
    kernel, left_out, _, one_hot = fitted(x, y, categorical, form=form)
    matrix = (-_distance(kernel.points, kernel.bits, kernel.points, kernel.bits) / kernel.scale).exp()[0].double()
    shares = one_hot[0].mean(0).double()
    for r, ridge in enumerate(form.ridges):
        for i in (0, 7, 39):
            rest = np.delete(np.arange(N_CONTEXT), i)
            solved = torch.linalg.solve(
                matrix[rest][:, rest] + ridge * torch.eye(len(rest)).double(), one_hot[0, rest].double() - shares
            )
            answer = (matrix[i, rest] @ solved + shares).clamp(min=0) + PSEUDO_SHARE * kernel.shares[0, 0, 0]
            expected = (answer / answer.sum() / kernel.shares[0, 0, 0]).log()
            torch.testing.assert_close(left_out[0, i, r].double(), expected, atol=2e-3, rtol=0)


@pytest.mark.parametrize("form", [WIDE, NARROW])
def test_answers_are_those_of_kernel_ridge_regression(table, form):
    x, y, categorical = table
    kernel, _, cells, one_hot = fitted(x, y, categorical, form=form)
    query = slice(N_CONTEXT, None)
    answers = ask_kernel(kernel, x[:, query], cells[:, query])
    heard = kernel.heard
    points, bits = _points(
        x[:, query][..., heard], cells[:, query][:, :, heard], kernel.weights, kernel.categorical, kernel.coded
    )
    within = (-_distance(kernel.points, kernel.bits, kernel.points, kernel.bits) / kernel.scale).exp()[1].double().numpy()
    across = (-_distance(points, bits, kernel.points, kernel.bits) / kernel.scale).exp()[1].double().numpy()
    shares, smooth = one_hot[1].mean(0).double().numpy(), kernel.shares[1, 0, 0].double().numpy()
    for r, ridge in enumerate(form.ridges):
        reference = KernelRidge(kernel="precomputed", alpha=ridge).fit(within, one_hot[1].double().numpy() - shares)
        near = np.maximum(reference.predict(across) + shares, 0) + PSEUDO_SHARE * smooth
        expected = np.log(near / near.sum(axis=1, keepdims=True) / smooth)
        np.testing.assert_allclose(answers[1, :, r], expected, atol=2e-3)


def test_distances_count_what_columns_tell(table):
    x, y, categorical = table
    kernel, *_ = fitted(x, y, categorical)
    np.testing.assert_allclose(kernel.weights[0], [1, 0.15 / 0.45, 0.05 / 0.45], rtol=1e-6)
    alike = kernel.points[0, :, 2]
    assert (alike == 0).all()  # codes of levels are no numbers
    level = x[0, :N_CONTEXT, 2]
    apart = _distance(torch.zeros(1, N_CONTEXT, 1), kernel.bits[:1, :, 3:], torch.zeros(1, N_CONTEXT, 1), kernel.bits[:1, :, 3:])[
        0
    ]
    expected = torch.where(level[:, None] == level, 0.0, 2 * 0.75 * kernel.weights[0, 2])
    torch.testing.assert_close(apart, expected, atol=1e-5, rtol=0)


def test_a_missing_number_is_a_bit_away(table):
    x, y, categorical = table
    kernel, *_ = fitted(x, y, categorical)
    missing = torch.isnan(x[0, :N_CONTEXT, 1])
    assert missing.any()
    torch.testing.assert_close(kernel.bits[0, :, 1].square(), missing * kernel.weights[0, 1])
    assert (kernel.points[0, missing, 1] == 0).all()


@pytest.mark.parametrize("n", [1, 2, 5])
def test_tiny_and_constant_contexts_give_finite_answers(n):
    x = torch.zeros(1, n + 3, 2)
    x[0, :, 1] = torch.nan
    y = torch.zeros(1, n, dtype=torch.long)
    kernel, left_out, cells, _ = fitted(x, y, torch.tensor([[False, True]]), told=torch.zeros(1, 2))
    assert torch.isfinite(left_out).all()
    assert torch.isfinite(ask_kernel(kernel, x[:, n:], cells[:, n:])).all()


def test_classes_and_queries_are_treated_alike(table):
    x, y, categorical = table
    kernel, left_out, cells, _ = fitted(x, y, categorical)
    renamed = torch.tensor([2, 0, 1, *range(3, K)])
    _, left_out_2, *_ = fitted(x, renamed[y], categorical)
    torch.testing.assert_close(left_out_2[..., renamed], left_out, atol=1e-4, rtol=0)
    query = torch.arange(N_CONTEXT, x.shape[1]).flip(0)
    both = ask_kernel(kernel, x[:, query], cells[:, query])
    one = ask_kernel(kernel, x[:, query[3:4]], cells[:, query[3:4]])
    torch.testing.assert_close(both[:, 3:4], one, atol=1e-5, rtol=0)


def test_quiet_columns_are_not_heard(table):
    x, y, categorical = table
    told = torch.tensor([[0.4, 0.0, 0.0], [0.4, 0.0, 0.3]])
    kernel, left_out, *_ = fitted(x, y, categorical, told, NARROW)
    assert kernel.heard.tolist() == [0, 2]
    assert kernel.weights[0, 1] == 0
    other = x.clone()
    other[:, :, 1] = 7.0
    other[0, :, 2] = 0.0
    _, same, *_ = fitted(other, y, categorical, told, NARROW)
    torch.testing.assert_close(same, left_out, atol=1e-5, rtol=0)


def test_a_narrow_kernel_finds_rows_of_one_person():
    """Forty persons of four visits each, of whom one column tells the number; their class is told by nothing else."""
    generator = torch.Generator().manual_seed(3)
    person = torch.arange(40).repeat_interleave(4)[torch.randperm(160, generator=generator)]
    x = torch.randn(1, 160, 6, generator=generator)
    x[0, :, 0] = person
    y = torch.randint(0, 2, (40,), generator=generator)[person][None]
    told = torch.tensor([[0.3, 0.01, 0.0, 0.02, 0.0, 0.01]])
    right = {}
    for form in (WIDE, NARROW):
        _, left_out, *_ = fitted(x, y, torch.zeros(1, 6, dtype=torch.bool), told, form)
        right[form] = (left_out[0, :, 0].argmax(-1) == y[0]).float().mean()
    assert right[NARROW] > 0.95 > 0.8 > right[WIDE]
