"""What a context tells about columns and cells: statistics, ranks, and label shares among near values ("evidence").

Shapes: B tasks, N rows, C context rows, m columns, K classes.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

CELL_INPUTS = 8  # numbers that describe a cell, besides its evidence
WINDOWS = 2  # neighbourhoods, a narrow and a wide one, in which evidence is counted
PSEUDO_ROWS = 4.0  # rows of the prior class shares that are added to a neighbourhood


@dataclass(frozen=True)
class Columns:
    """What the context tells about each column.

    mean, std : (B, 1, m). ranks : (B, m, C) sorted values, +inf for missing. first, last : (B, m, C) bounds [first, last) of the
    equal values at each place of `ranks`. class_sums : (B, m, C + 1, K) label counts of the rows below each place.
    """

    mean: Tensor
    std: Tensor
    ranks: Tensor
    first: Tensor
    last: Tensor
    class_sums: Tensor
    n_known: Tensor  # (B, m, 1)
    categorical: Tensor  # (B, m)


@torch.no_grad()
def describe_columns(x: Tensor, y: Tensor, categorical: Tensor, n_classes: int) -> Columns:
    """Statistics of context rows x (B, C, m) with NaN for missing, labels y (B, C) below n_classes."""
    known = ~torch.isnan(x)
    n_known = known.sum(1, keepdim=True)
    filled = torch.where(known, x, 0.0)
    mean = filled.sum(1, keepdim=True) / n_known.clamp(min=1)
    centred = torch.where(known, x - mean, 0.0)
    std = (centred.square().sum(1, keepdim=True) / n_known.clamp(min=1)).sqrt()
    ranks, order = torch.where(known, x, torch.inf).transpose(1, 2).contiguous().sort(-1)
    one_hot = F.one_hot(y, n_classes).float()  # (B, C, K)
    in_order = one_hot[torch.arange(len(x), device=x.device)[:, None, None], order]  # (B, m, C, K)
    first, last = (torch.searchsorted(ranks, ranks, right=right) for right in (False, True))
    class_sums = F.pad(in_order.cumsum(2), (0, 0, 1, 0))
    return Columns(mean, std, ranks, first, last, class_sums, n_known.transpose(1, 2), categorical)


@torch.no_grad()
def describe_cells(x: Tensor, columns: Columns, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Cells x (B, N, m) as numbers (B, N, m, CELL_INPUTS) and evidence (B, N, m, WINDOWS, K); y if they are the context's.

    The numbers: soft-clipped z-score, rank in [-1, 1] and its waves, missing and categorical flags.
    """
    missing = torch.isnan(x)
    z = torch.where(missing, 0.0, (x - columns.mean) / (columns.std + 1e-6)).clamp(-1e4, 1e4)
    z = 5 * torch.tanh(z / 5)
    values = torch.where(missing, 0.0, x).transpose(1, 2).contiguous()  # (B, m, N)
    low = torch.searchsorted(columns.ranks, values, right=False).minimum(columns.n_known)
    high = torch.searchsorted(columns.ranks, values, right=True).minimum(columns.n_known)
    rank = ((low + high) / columns.n_known.clamp(min=1) - 1).transpose(1, 2)
    rank = torch.where(missing, 0.0, rank)
    flags = [missing.to(z.dtype), columns.categorical[:, None, :].expand_as(z).to(z.dtype)]
    waves = [wave(torch.pi * k * rank) for k in (1, 2) for wave in (torch.sin, torch.cos)]
    evidence = _evidence(low, high, missing.transpose(1, 2), columns, y)
    return torch.stack([z, rank, *waves, *flags], dim=-1), evidence


def _evidence(low: Tensor, high: Tensor, missing: Tensor, columns: Columns, y: Tensor | None) -> Tensor:
    """Log of class shares among near context rows over those of all, (B, N, m, WINDOWS, K); low, high, missing (B, m, N).

    Near are, in a numeric column, rows at most √C/2 (narrow) or C/10 (wide) places away, in whole groups of equal values; in a
    categorical one, rows of the same level; for a missing cell, rows that miss it too. A context row does not count itself.
    """
    sums, n_known = columns.class_sums, columns.n_known
    all_rows = sums[:, :, -1:]  # (B, m, 1, K)
    own = 0.0 if y is None else F.one_hot(y, sums.shape[-1])[:, None].to(sums.dtype)  # (B, 1, N, K)
    unseen = all_rows - _at(sums, n_known)
    shares = (all_rows + 0.5) / (all_rows + 0.5).sum(-1, keepdim=True)
    windows = []
    for width in ((n_known.sqrt() / 2).ceil(), (n_known / 10).ceil()):
        reach = torch.where(columns.categorical[:, :, None], 0.0, width).long()
        start, stop = _whole_groups(low, high, reach, columns)
        counts = torch.where(missing[..., None], unseen, _at(sums, stop) - _at(sums, start)) - own
        near = (counts + PSEUDO_ROWS * shares) / (counts.sum(-1, keepdim=True) + PSEUDO_ROWS)
        windows.append((near / shares).clamp(min=1e-4).log())
    return torch.stack(windows, dim=-2).transpose(1, 2)


def _whole_groups(low: Tensor, high: Tensor, reach: Tensor, columns: Columns) -> tuple[Tensor, Tensor]:
    """Widen [low, high) by `reach` places on each side, but leave out groups of equal values that do not fit as a whole."""
    start = (low - reach).clamp(min=0)
    place = start.clamp(max=columns.ranks.shape[2] - 1)
    start = torch.where(columns.first.gather(2, place) == start, start, columns.last.gather(2, place)).minimum(low)
    stop = (high + reach).minimum(columns.n_known)
    place = (stop - 1).clamp(min=0)
    stop = torch.where(columns.last.gather(2, place) == stop, stop, columns.first.gather(2, place)).maximum(high)
    return start, stop


def _at(sums: Tensor, places: Tensor) -> Tensor:
    """Rows of sums (B, m, C + 1, K) at places (B, m, N)."""
    return sums.gather(2, places[..., None].expand(-1, -1, -1, sums.shape[-1]))
