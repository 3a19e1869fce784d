"""Kernel evidence: what kernel ridge regression on the context says about a row's class, as an input of the network.

A closed-form answer a row and ridge, some trusting near rows more than others; a context row's own label is left out of its
answer (leave-one-out, exactly: Rasmussen and Williams 2006, §5.4.2). The kernel is a product of Laplace kernels, one per
column, on a mix of value and rank, so that it is robust and as local as trees; columns that tell more about the class count
more. A wide kernel hears all columns; a narrow one little but the strongest, and of the rows only the nearest ones.
Shapes: B tasks, N rows, C context rows, m columns, K classes, R ridges.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

N_LEVELS = 32  # of a categorical column; further ones share a bit
LEVEL_BIT = 0.75  # two different levels are 2 bits apart; two numbers at most 6.7
WEAKEST = 0.05  # nats that are added to what a column tells
QUIET = 1e-3  # columns of less weight than this, the heaviest having 1, are not heard
PSEUDO_SHARE = 0.02  # of the class shares, mixed into an answer


class Form(NamedTuple):
    """Of a kernel. power : of the columns' weights. reach : in mean distances. ridges : added to a diagonal of ones."""

    power: float
    reach: float
    ridges: tuple[float, ...]


WIDE = Form(1.0, 1.0, (0.1, 1.5))
NARROW = Form(4.0, 0.125, (0.1,))


@dataclass(frozen=True)
class Kernel:
    """A fitted context.

    heard : (h,) columns that some task hears. weights, categorical : (B, h) of these. coded : those that are categorical in some
    task. points : (B, C, h). bits : (B, C, b). scale : (B, 1, 1) the distance at which a kernel is 1/e.
    coefficients : (B, C, R, K). mean, shares : (B, 1, 1, K) of the labels, plain and smoothed.
    """

    heard: Tensor
    weights: Tensor
    categorical: Tensor
    coded: list[int]
    points: Tensor
    bits: Tensor
    scale: Tensor
    coefficients: Tensor
    mean: Tensor
    shares: Tensor


@torch.no_grad()
def fit_kernel(
    x: Tensor, cells: Tensor, told: Tensor, one_hot: Tensor, categorical: Tensor, form: Form = WIDE
) -> tuple[Kernel, Tensor]:
    """Kernel of a context and the evidence (B, C, R, K) of its rows, each left out in turn.

    x : (B, C, m) with NaN for missing. cells : (B, C, m, ...) z-score and rank first. told : (B, m) nats that each column
    alone tells about the class. one_hot : (B, C, K) labels. categorical : (B, m).
    """
    with torch.autocast(x.device.type, enabled=False):
        told = told.clamp(min=0)
        weights = ((told + WEAKEST) / (told.amax(1, keepdim=True) + WEAKEST)) ** form.power
        weights = torch.where(weights < QUIET, 0.0, weights)
        heard = weights.any(0).nonzero()[:, 0]
        weights, categorical = weights[:, heard], categorical[:, heard]
        coded = categorical.any(0).nonzero()[:, 0].tolist()
        points, bits = _points(x[..., heard], cells[:, :, heard], weights, categorical, coded)
        distance = _distance(points, bits, points, bits)
        scale = form.reach * distance.mean((1, 2), keepdim=True) + 1e-6
        kernel = (-distance / scale).exp()
        mean = one_hot.mean(1, keepdim=True)
        coefficients, left_out = [], []
        for ridge in form.ridges:
            inverse = torch.cholesky_inverse(torch.linalg.cholesky(kernel + ridge * torch.eye(x.shape[1], device=x.device)))
            coefficient = inverse @ (one_hot - mean)
            coefficients.append(coefficient)
            left_out.append(one_hot - coefficient / inverse.diagonal(dim1=1, dim2=2)[..., None])
        counts = one_hot.sum(1) + 0.5
        shares = (counts / counts.sum(-1, keepdim=True))[:, None, None]
        evidence = _log_ratio(torch.stack(left_out, 2), shares)
        columns = heard, weights, categorical, coded
        return Kernel(*columns, points, bits, scale, torch.stack(coefficients, 2), mean[:, None], shares), evidence


@torch.no_grad()
def ask_kernel(kernel: Kernel, x: Tensor, cells: Tensor) -> Tensor:
    """Evidence (B, N, R, K) of query rows x (B, N, m): log of answered class shares over those of the context."""
    with torch.autocast(x.device.type, enabled=False):
        heard = kernel.heard
        points, bits = _points(x[..., heard], cells[:, :, heard], kernel.weights, kernel.categorical, kernel.coded)
        near = (-_distance(points, bits, kernel.points, kernel.bits) / kernel.scale).exp()
        answers = (near @ kernel.coefficients.flatten(2)).unflatten(-1, kernel.coefficients.shape[2:])
        return _log_ratio(answers + kernel.mean, kernel.shares)


def _points(x: Tensor, cells: Tensor, weights: Tensor, categorical: Tensor, coded: list[int]) -> tuple[Tensor, Tensor]:
    """Numbers (B, N, m), of which L1 distances are taken, and bits (B, N, b), whose squares are: levels, and missing numbers."""
    weights = weights[:, None]
    number = torch.where(categorical[:, None], 0.0, weights)
    points = (cells[..., 0] / 2 + 0.85 * cells[..., 1]) * number
    missing = torch.isnan(x)
    bits = [missing * number.sqrt()]
    if coded:
        levels = torch.where(missing, N_LEVELS, x.nan_to_num() % N_LEVELS)[:, :, coded].long()
        strength = torch.where(categorical[:, None], LEVEL_BIT * weights, 0.0).sqrt()[:, :, coded]
        bits.append((F.one_hot(levels, N_LEVELS + 1) * strength[..., None]).flatten(2))
    return points, torch.cat(bits, -1)


def _distance(points: Tensor, bits: Tensor, other_points: Tensor, other_bits: Tensor) -> Tensor:
    """(B, N, C) distances between rows, summed over columns."""
    squares, other_squares = bits.square().sum(-1), other_bits.square().sum(-1)
    apart = squares[:, :, None] + other_squares[:, None] - 2 * bits @ other_bits.mT
    return torch.cdist(points, other_points, p=1.0) + apart.clamp(min=0)


def _log_ratio(answers: Tensor, shares: Tensor) -> Tensor:
    """Answers (B, N, R, K) of a regression as log of shares over the context's shares, bounded below."""
    near = answers.clamp(min=0) + PSEUDO_SHARE * shares
    return (near / near.sum(-1, keepdim=True) / shares).log()
