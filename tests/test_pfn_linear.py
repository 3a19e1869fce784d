"""The linear voice against scikit-learn's logistic regression, and its left-out answers against real leaving out."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402

from tabbench.pfn.columns import describe_cells, describe_columns  # noqa: E402
from tabbench.pfn.linear import PSEUDO_SHARE, STRENGTHS, ask_linear, fit_linear  # noqa: E402

N_CONTEXT, N_QUERY = 90, 20


def table(n_classes, seed=0):
    """Numbers with gaps and a categorical column; noisy classes in the direction of two columns."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, N_CONTEXT + N_QUERY, 4, generator=generator)
    score = x[..., 0] - x[..., 1] + 0.8 * torch.randn(x.shape[:2], generator=generator)
    y = torch.bucketize(score, torch.linspace(-1, 1, n_classes + 1)[1:-1])
    x[:, ::9, 1] = torch.nan
    x[..., 3] = torch.randint(0, 4, x.shape[:2], generator=generator)
    return x, y, torch.tensor([[False, False, False, True]] * 2)


def fitted(x, y, categorical, n_classes):
    context, labels = x[:, :N_CONTEXT], y[:, :N_CONTEXT]
    columns = describe_columns(context, labels, categorical, n_classes)
    cells = describe_cells(x, columns)[0]
    one_hot = F.one_hot(labels, n_classes).float()
    told = torch.zeros(2, x.shape[2])
    linear, left_out = fit_linear(context, cells[:, :N_CONTEXT], told, one_hot, categorical)
    return linear, left_out, cells


def features(x, cells):
    levels = F.one_hot(x[..., 3].long(), 8)
    return torch.cat([cells[..., :3, 0], torch.isnan(x[..., :3]), levels], -1).double().numpy()


def evidence(proba, y, n_classes):
    counts = np.bincount(y, minlength=n_classes) + 0.5
    shares = counts / counts.sum()
    near = proba + PSEUDO_SHARE * shares
    return np.log(near / near.sum(-1, keepdims=True) / shares)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_answers_are_those_of_logistic_regression(n_classes):
    x, y, categorical = table(n_classes)
    linear, _, cells = fitted(x, y, categorical, n_classes)
    said = ask_linear(linear, x[:, N_CONTEXT:], cells[:, N_CONTEXT:])
    for task in range(2):
        all_features, labels = features(x[task], cells[task]), y[task, :N_CONTEXT].numpy()
        for r, strength in enumerate(STRENGTHS):  # for two classes ours has two weight vectors, so half the penalty
            model = LogisticRegression(C=(2 if n_classes == 2 else 1) / strength, tol=1e-8, max_iter=2000)
            model.fit(all_features[:N_CONTEXT], labels)
            expected = evidence(model.predict_proba(all_features[N_CONTEXT:]), labels, n_classes)
            np.testing.assert_allclose(said[task, :, r], expected, atol=0.05)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_left_out_answers_are_near_those_without_the_row(n_classes):
    x, y, categorical = table(n_classes)
    _, left_out, cells = fitted(x, y, categorical, n_classes)
    all_features, labels = features(x[0], cells[0])[:N_CONTEXT], y[0, :N_CONTEXT].numpy()
    for r, strength in enumerate(STRENGTHS):
        gaps = []
        for i in range(0, N_CONTEXT, 6):
            rest = np.delete(np.arange(N_CONTEXT), i)
            model = LogisticRegression(C=(2 if n_classes == 2 else 1) / strength, max_iter=2000).fit(
                all_features[rest], labels[rest]
            )
            expected = evidence(model.predict_proba(all_features[[i]])[0], labels, n_classes)
            gaps.append(np.abs(left_out[0, i, r].numpy() - expected).max())
        assert np.mean(gaps) < 0.06


def test_hostile_contexts_give_finite_answers():
    x, y, categorical = table(2)
    x[..., 0], x[..., 1], x[0, 3, 2] = torch.nan, 7.0, 1e30
    for labels in (y, torch.zeros_like(y), (x[..., 2] > 0).long()):  # the last one: separable
        linear, left_out, cells = fitted(x, labels, categorical, 2)
        assert torch.isfinite(left_out).all()
        assert torch.isfinite(ask_linear(linear, x[:, N_CONTEXT:], cells[:, N_CONTEXT:])).all()


def test_order_of_the_context_does_not_matter():
    x, y, categorical = table(3)
    order = torch.cat(
        [torch.randperm(N_CONTEXT, generator=torch.Generator().manual_seed(1)), torch.arange(N_CONTEXT, x.shape[1])]
    )
    _, left_out, _ = fitted(x, y, categorical, 3)
    _, again, _ = fitted(x[:, order], y[:, order], categorical, 3)
    torch.testing.assert_close(again, left_out[:, order[:N_CONTEXT]], atol=1e-3, rtol=0)
