"""The voice of trees: boosted symmetric trees on the context, as CatBoost grows them (Prokhorenkova et al. 2018).

All rows of a level are split at one border, so that a tree is a few bits a row and a table of leaves, and the trees of all
tasks of a batch, and of all folds, grow by one product of matrices a level. Every round draws a few borders of each column and
takes the best of them. A context row is answered by trees that were grown without its fold, their structure and their leaves.
Shapes: B tasks, N rows, C context rows, m columns, K classes, Q borders a column, S borders drawn, F models: folds and, last,
all rows.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

N_BORDERS = 16  # of a column; of a categorical one, levels that have a border of their own
N_DRAWN = 4  # borders of a column that a round looks at
N_ROUNDS = 80
DEPTH = 4
RATE = 0.1
LEAF_PENALTY = 10.0  # rows of no gradient in a leaf
N_FOLDS = 4
PSEUDO_SHARE = 0.02  # of the class shares, mixed into an answer


@dataclass(frozen=True)
class Trees:
    """A fitted context.

    borders : (B, 1, m, Q) of numbers. categorical : (B, m). splits : (B, rounds · depth) which of the m · Q borders.
    leaves : (B, rounds, 2^depth, K) scores. shares : (B, 1, 1, K) of the labels, smoothed.
    """

    borders: Tensor
    categorical: Tensor
    splits: Tensor
    leaves: Tensor
    shares: Tensor


@torch.no_grad()
def fit_trees(x: Tensor, cells: Tensor, told: Tensor, one_hot: Tensor, categorical: Tensor) -> tuple[Trees, Tensor]:
    """Trees of a context and evidence (B, C, 1, K) of its rows, each answered without its fold; arguments as in `fit_kernel`."""
    with torch.autocast(x.device.type, enabled=False):
        n_tasks, n_rows, n_classes = one_hot.shape
        borders = _borders(x)
        below = _below(x, borders, categorical).float()  # (B, C, m Q)
        fold = torch.arange(n_rows, device=x.device) % N_FOLDS
        grown_on = (torch.arange(N_FOLDS + 1, device=x.device)[:, None] != fold).float()[..., None]  # (F, C, 1)
        counts = one_hot.sum(1) + 0.5
        shares = (counts / counts.sum(-1, keepdim=True))[:, None, None]
        n_present = one_hot.any(1).sum(-1).clamp(min=2)[:, None, None, None]
        penalty = LEAF_PENALTY * (1 - 1 / n_present) / n_present  # in terms of curvature, at even shares
        scores = shares.log().expand(-1, N_FOLDS + 1, n_rows, -1)
        splits, leaves = [], []
        for drawn in _drawn(x.shape[2]).to(x.device):
            p = scores.softmax(-1)
            gradient = (one_hot[:, None] - p) * grown_on
            leaf, split = _grow(below[..., drawn], gradient, grown_on.expand(n_tasks, -1, -1, -1))
            in_leaf = F.one_hot(leaf, 2**DEPTH).float().mT  # (B, F, leaves, C)
            curvature = in_leaf @ (p * (1 - p) * grown_on)
            values = RATE * (in_leaf @ gradient) / (curvature + penalty)
            scores = scores + values.gather(2, leaf[..., None].expand(-1, -1, -1, n_classes))
            splits.append(drawn[split[:, -1]])
            leaves.append(values[:, -1])
        fitted = Trees(borders, categorical, torch.cat(splits, 1), torch.stack(leaves, 1), shares)
        left_out = scores[:, fold, torch.arange(n_rows, device=x.device)]  # (B, C, K)
        return fitted, _log_ratio(left_out[:, :, None], shares)


@torch.no_grad()
def ask_trees(trees: Trees, x: Tensor, cells: Tensor) -> Tensor:
    """Evidence (B, N, 1, K) of query rows x (B, N, m): log of answered class shares over those of the context."""
    with torch.autocast(x.device.type, enabled=False):
        below = _below(x, trees.borders, trees.categorical)
        bits = below.gather(2, trees.splits[:, None].expand(-1, x.shape[1], -1)).unflatten(2, (N_ROUNDS, DEPTH))
        leaf = (bits * (2 ** torch.arange(DEPTH - 1, -1, -1, device=x.device))).sum(-1)  # (B, N, rounds)
        scores = trees.shares.log()[:, 0]
        for i in range(N_ROUNDS):
            scores = scores + trees.leaves[:, i].gather(1, leaf[..., i, None].expand(-1, -1, trees.leaves.shape[-1]))
        return _log_ratio(scores[:, :, None], trees.shares)


def _borders(x: Tensor) -> Tensor:
    """(B, 1, m, Q) borders between near-equal shares of a column's known values, and one below all of them, for missing cells."""
    known = (~torch.isnan(x)).sum(1)  # (B, m)
    ordered = torch.where(torch.isnan(x), torch.inf, x).sort(1).values.mT.contiguous()  # (B, m, C)
    share = torch.arange(1, N_BORDERS, device=x.device) / N_BORDERS
    place = ((share * known[..., None]).ceil().long() - 1).clamp(min=0, max=x.shape[1] - 1)
    inner = (ordered.gather(2, place) + ordered.gather(2, (place + 1).clamp(max=x.shape[1] - 1))) / 2
    return F.pad(inner, (1, 0), value=-torch.inf)[:, None]


def _below(x: Tensor, borders: Tensor, categorical: Tensor) -> Tensor:
    """(B, N, m Q) bool: a number is at most a border, or missing; a category is the level of that number."""
    at_most = torch.isnan(x)[..., None] | (x[..., None] <= borders)
    levels = x[..., None] % N_BORDERS == torch.arange(N_BORDERS, device=x.device)
    return torch.where(categorical[:, None, :, None], levels, at_most).flatten(2)


def _drawn(n_features: int) -> Tensor:
    """(rounds, S) borders that a round looks at, always the same for a number of columns."""
    generator = torch.Generator().manual_seed(n_features)
    order = torch.rand(N_ROUNDS, n_features, N_BORDERS, generator=generator).argsort(-1)[..., :N_DRAWN]
    return (order + N_BORDERS * torch.arange(n_features)[:, None]).flatten(1)


def _grow(below: Tensor, gradient: Tensor, grown_on: Tensor) -> tuple[Tensor, Tensor]:
    """Leaf (B, F, C) of every row and the borders (B, F, depth) of one tree for borders (B, C, S), gradients (B, F, C, K).

    A border's gain is the squared gradient of every leaf over its rows, summed over leaves and classes.
    """
    n_tasks, n_models, n_rows, n_classes = gradient.shape
    summed = torch.cat([gradient, grown_on], -1)  # (B, F, C, K + 1)
    leaf = torch.zeros(n_tasks, n_models, n_rows, dtype=torch.long, device=below.device)
    by_row, borders = below.mT.contiguous(), []
    for level in range(DEPTH):
        by_leaf = F.one_hot(leaf, 2**level).to(summed.dtype)[..., None] * summed[..., None, :]  # (B, F, C, leaves, K + 1)
        totals = by_leaf.sum(2)[:, None]
        left = (by_row @ by_leaf.transpose(1, 2).flatten(2)).unflatten(2, (n_models, 2**level, n_classes + 1))
        gain = _gain(left) + _gain(totals - left)
        best = gain.argmax(1)  # (B, F)
        bit = by_row.gather(1, best[..., None].expand(-1, -1, n_rows))
        leaf = 2 * leaf + bit.long()
        borders.append(best)
    return leaf, torch.stack(borders, -1)


def _gain(sums: Tensor) -> Tensor:
    """(B, S, F) of sums of gradients and numbers of rows (B, S, F, leaves, K + 1)."""
    return (sums[..., :-1].square().sum(-1) / (sums[..., -1] + LEAF_PENALTY)).sum(-1)


def _log_ratio(scores: Tensor, shares: Tensor) -> Tensor:
    """Scores (B, N, 1, K) as evidence, bounded below."""
    near = scores.softmax(-1) + PSEUDO_SHARE * shares
    return (near / near.sum(-1, keepdim=True) / shares).log()
