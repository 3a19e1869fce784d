"""Softmax's sparse relatives: sparsemax (Martins and Astudillo 2016) and 1.5-entmax (Peters, Niculae and Martins 2019)."""

from typing import Any

import torch
from torch import Tensor


def sparsemax(x: Tensor) -> Tensor:
    """Nearest point of the probability simplex to `x`, along the last dimension (Martins and Astudillo 2016, algorithm 1)."""
    ordered = x.sort(dim=-1, descending=True).values
    sums = ordered.cumsum(-1) - 1
    counts = torch.arange(1, x.shape[-1] + 1)
    n_support = (ordered * counts > sums).sum(-1, keepdim=True)
    return torch.relu(x - sums.gather(-1, n_support - 1) / n_support)


class _Entmax15(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        halves = (x - x.amax(-1, keepdim=True)) / 2
        ordered = halves.sort(dim=-1, descending=True).values
        counts = torch.arange(1, x.shape[-1] + 1)
        mean, square = ordered.cumsum(-1) / counts, ordered.square().cumsum(-1) / counts
        thresholds = mean - ((1 - counts * (square - mean.square())) / counts).clamp_min(0).sqrt()
        n_support = (thresholds <= ordered).sum(-1, keepdim=True)
        y = torch.relu(halves - thresholds.gather(-1, n_support - 1)).square()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        root = ctx.saved_tensors[0].sqrt()
        scaled = gradient * root
        return scaled - root * scaled.sum(-1, keepdim=True) / root.sum(-1, keepdim=True)


def entmax15(x: Tensor) -> Tensor:
    """1.5-entmax along the last dimension (Peters et al. 2019, algorithm 2)."""
    return _Entmax15.apply(x)


def entmoid15(x: Tensor) -> Tensor:
    """First of the two entries of 1.5-entmax of (x, 0): a sigmoid that is 0 below −2 and 1 above 2."""
    size = x.abs()
    threshold = (size + (8 - size.square()).clamp_min(1e-9).sqrt()) / 2
    small = torch.relu(torch.where(threshold <= size, 2.0, threshold) - size).square() / 4
    return torch.where(x >= 0, 1 - small, small)
