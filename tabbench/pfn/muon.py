"""Muon: momentum whose matrix updates are orthogonalised by a Newton–Schulz iteration (Jordan et al. 2024)."""

from collections.abc import Iterable
from itertools import groupby

import torch
from torch import Tensor, nn

COEFFICIENTS = (
    3.4445,
    -4.7750,
    2.0315,
)  # quintic whose iterates bring singular values near 1 fast (Jordan et al. 2024)
STEPS = 5


def orthogonalize(matrices: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Approximate U Vᵀ of each matrix U S Vᵀ in a stack (k, rows, columns); singular values end in about [0.7, 1.2].

    The iteration bears the products of bf16.
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = (x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)).to(dtype)
    for _ in range(STEPS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """For weight matrices only; equal shapes are orthogonalised in one batch.

    The step has root-mean-square size lr · 0.2, so that learning rates of AdamW carry over (Liu et al. 2025, §2.2).
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(list(parameters), {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every parameter with a gradient."""
        for group in self.param_groups:
            parameters = sorted((p for p in group["params"] if p.grad is not None), key=lambda p: tuple(p.shape))
            for shape, same in groupby(parameters, key=lambda p: tuple(p.shape)):
                stack = list(same)
                momenta = torch.stack([self._nesterov(p, group["momentum"]) for p in stack])
                update = orthogonalize(momenta, self.dtype).to(momenta.dtype)
                scale = group["lr"] * 0.2 * max(shape) ** 0.5
                for parameter, direction in zip(stack, update, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(direction, alpha=-scale)

    def _nesterov(self, parameter: nn.Parameter, momentum: float) -> Tensor:
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        buffer: Tensor = state["momentum"]
        gradient = parameter.grad
        assert gradient is not None
        buffer.lerp_(gradient, 1 - momentum)
        return gradient.lerp(buffer, momentum)
