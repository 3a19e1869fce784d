"""The linear voice: multinomial logistic regression on the context, with an L2 penalty in two strengths.

Fitted to all tasks of a batch at once by accelerated steps on Böhning's fixed quadratic bound (Böhning 1992, Multinomial
logistic regression algorithm), so that one Cholesky factor serves all steps. A context row's own label is left out of its answer
by one approximate Newton step (approximate leave-one-out: Rad and Maleki 2020), the curvature of the classes being replaced
by its mean over their contrasts, which is exact for two classes and for even probabilities.
Shapes: B tasks, N rows, C context rows, m columns, p features, K classes, R strengths.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

STRENGTHS = (1.0, 30.0)  # of the penalty, features having about unit variance; 1 is scikit-learn's default
INTERCEPT = 1e-2  # of the penalty, for the intercept
STEPS = 30
N_LEVELS = 8  # of a categorical column that have a feature of their own; further ones share them
PSEUDO_SHARE = 0.02  # of the class shares, mixed into an answer


@dataclass(frozen=True)
class Linear:
    """A fitted context.

    numeric : (B, 1, m) which columns count as numbers. coded : columns that are categorical in some task, (B, 1, len(coded)) in
    `is_coded`. varied : (all features,) those that vary in some task. mean : (B, 1, p). weights : (B, R, p + 1, K), the intercept
    last. shares : (B, 1, 1, K) of the labels, smoothed.
    """

    numeric: Tensor
    coded: list[int]
    is_coded: Tensor
    varied: Tensor
    mean: Tensor
    weights: Tensor
    shares: Tensor


@torch.no_grad()
def fit_linear(x: Tensor, cells: Tensor, told: Tensor, one_hot: Tensor, categorical: Tensor) -> tuple[Linear, Tensor]:
    """Regression of a context and the evidence (B, C, R, K) of its rows, each left out in turn; arguments as in `fit_kernel`."""
    with torch.autocast(x.device.type, enabled=False):
        coded = categorical.any(0).nonzero()[:, 0].tolist()
        numeric, is_coded = (~categorical)[:, None].float(), categorical[:, None, coded].float()
        raw = _features(x, cells, numeric, coded, is_coded)
        varied = (raw != raw[:, :1]).any(1).any(0)
        raw = raw[..., varied]
        mean = raw.mean(1, keepdim=True)
        features = F.pad(raw - mean, (0, 1), value=1.0)[:, None]  # (B, 1, C, p + 1)
        counts = one_hot.sum(1) + 0.5
        shares = (counts / counts.sum(-1, keepdim=True))[:, None, None]
        labels, offset = one_hot[:, None], shares.log()
        penalty = torch.tensor(STRENGTHS, device=x.device)[:, None] * torch.ones(features.shape[-1], device=x.device)
        penalty[:, -1] *= INTERCEPT
        gram = 0.5 * features.mT @ features
        factor = torch.linalg.cholesky(gram + torch.diag_embed(penalty))  # (B, R, p + 1, p + 1)
        weights = _ascend(features, labels, offset, penalty[..., None], factor)
        p = (features @ weights + offset).softmax(-1)  # (B, R, C, K)
        curvature = (1 - p.square().sum(-1, keepdim=True)) / (one_hot.shape[-1] - 1 + 1e-6) + 1e-6
        hessian = (features * curvature).mT @ features + torch.diag_embed(penalty)
        half = torch.linalg.solve_triangular(torch.linalg.cholesky(hessian), features.mT, upper=False)
        leverage = half.square().sum(-2)[..., None]  # (B, R, C, 1)
        shift = leverage / (1 - leverage * curvature).clamp(min=0.05) * (labels - p)
        left_out = (features @ weights + offset - shift).softmax(-1)
        fitted = Linear(numeric, coded, is_coded, varied, mean, weights, shares)
        return fitted, _log_ratio(left_out, shares)


@torch.no_grad()
def ask_linear(linear: Linear, x: Tensor, cells: Tensor) -> Tensor:
    """Evidence (B, N, R, K) of query rows x (B, N, m): log of answered class shares over those of the context."""
    with torch.autocast(x.device.type, enabled=False):
        raw = _features(x, cells, linear.numeric, linear.coded, linear.is_coded)[..., linear.varied]
        features = F.pad(raw - linear.mean, (0, 1), value=1.0)[:, None]
        return _log_ratio((features @ linear.weights + linear.shares.log()).softmax(-1), linear.shares)


def _features(x: Tensor, cells: Tensor, numeric: Tensor, coded: list[int], is_coded: Tensor) -> Tensor:
    """Numbers as z-scores, missing cells, and levels one-hot: (B, N, 2 m + N_LEVELS len(coded))."""
    missing = torch.isnan(x)
    parts = [cells[..., 0] * numeric, missing.to(cells.dtype)]
    if coded:
        levels = torch.where(missing, N_LEVELS, x.nan_to_num() % N_LEVELS)[:, :, coded].long()
        parts.append((F.one_hot(levels, N_LEVELS + 1)[..., :N_LEVELS] * is_coded[..., None]).flatten(2))
    return torch.cat(parts, -1)


def _ascend(features: Tensor, labels: Tensor, offset: Tensor, penalty: Tensor, factor: Tensor) -> Tensor:
    """Weights (B, R, p + 1, K) after `STEPS` steps on the bound, accelerated (Nesterov 1983)."""
    weights = features.new_zeros(*factor.shape[:-1], labels.shape[-1])
    ahead, t = weights, 1.0
    for _ in range(STEPS):
        p = (features @ ahead + offset).softmax(-1)
        gradient = features.mT @ (labels - p) - penalty * ahead
        moved = ahead + torch.cholesky_solve(gradient, factor)
        t_next = (1 + (1 + 4 * t * t) ** 0.5) / 2
        ahead = moved + (t - 1) / t_next * (moved - weights)
        weights, t = moved, t_next
    return weights


def _log_ratio(answers: Tensor, shares: Tensor) -> Tensor:
    """Probabilities (B, R, N, K) as evidence (B, N, R, K), bounded below."""
    near = answers.transpose(1, 2) + PSEUDO_SHARE * shares
    return (near / near.sum(-1, keepdim=True) / shares).log()
