"""Evidence: everything that a context says about rows before the network looks at them; no part of it has gradients.

Of every cell, in triples: its numbers and the label shares of near rows (columns.py). Of every row: what the *voices* say of
its class, classic methods fitted to the context (kernel.py, linear.py, trees.py); a context row is left out of its own answer,
and from these answers is learned how far each voice is to be trusted.
Shapes: B tasks, N rows, C context rows, m columns, T triples, K classes, R answers of all voices together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tabbench.pfn.columns import CELL_INPUTS, WINDOWS, Columns, describe_cells, describe_columns
from tabbench.pfn.kernel import NARROW, WIDE, ask_kernel, fit_kernel
from tabbench.pfn.limits import MAX_CLASSES
from tabbench.pfn.linear import STRENGTHS, ask_linear, fit_linear
from tabbench.pfn.trees import ask_trees, fit_trees

GROUP = 3  # columns a triple holds
TRUST_STEPS = 8  # of Newton's method
LEAST_TRUST = -4.0  # log of the share that a voice begins with


@dataclass(frozen=True)
class Voice:
    """A classic method that answers for a row in `n_answers` ways, each the log of class shares over those of the context.

    fit : (x, cells, told, one_hot, categorical) → state, answers (B, C, n_answers, K), each context row left out of its own.
    ask : (state, x, cells) → answers (B, N, n_answers, K).
    """

    n_answers: int
    fit: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Any, Tensor]]
    ask: Callable[[Any, Tensor, Tensor], Tensor]


VOICES = {
    "kernel": Voice(len(WIDE.ridges), fit_kernel, ask_kernel),
    "narrow": Voice(len(NARROW.ridges), partial(fit_kernel, form=NARROW), ask_kernel),
    "linear": Voice(len(STRENGTHS), fit_linear, ask_linear),
    "trees": Voice(1, fit_trees, ask_trees),
}


class Evidence(NamedTuple):
    """What rows are told.

    cells : (B, N, T, inputs(K)) triples of cells, each a number's description followed by its evidence in both windows.
    answers : (B, N, R, K) of the voices. trust : (B, R), the weights with which they make one answer.
    """

    cells: Tensor
    answers: Tensor
    trust: Tensor


@dataclass(frozen=True)
class Reader:
    """A context whose evidence can be asked for any row: statistics of its columns, and the voices as fitted to it."""

    columns: Columns
    voices: tuple[tuple[Voice, Any], ...]
    log_shares: Tensor  # (B, K) of the context's classes, half a row added to each
    present: Tensor  # (B, K) bool: classes that the context has
    trust: Tensor  # (B, R)

    def ask(self, x: Tensor) -> Evidence:
        """Evidence of query rows x (B, N, m)."""
        cells, evidence = describe_cells(x, self.columns)
        answers = [voice.ask(state, x, cells) for voice, state in self.voices]
        return Evidence(_triples(cells, evidence, self.present), _masked(answers, cells, self.present), self.trust)

    def heard(self, evidence: Evidence) -> Tensor:
        """Logits (B, N, MAX_CLASSES) of the voices alone: their sum by trust, on top of the log class shares of the context.

        A class that the context lacks is as likely as its rarest.
        """
        logits = (self.trust[:, None, :, None] * evidence.answers).sum(2) + self.log_shares[:, None]
        return F.pad(logits, (0, MAX_CLASSES - logits.shape[-1]), value=float(self.log_shares.min()))


def inputs(n_classes: int) -> int:
    """Numbers of a triple."""
    return GROUP * (CELL_INPUTS + WINDOWS * n_classes)


@torch.no_grad()
def read_context(x: Tensor, y: Tensor, categorical: Tensor, names: Sequence[str]) -> tuple[Reader, Evidence]:
    """Fit the voices `names` to context rows x (B, C, m) with labels y (B, C) and categorical columns (B, m) bool.

    K is the highest label + 1; a class that a task lacks has evidence 0. Returns the reader and the evidence of the context rows.
    """
    n_classes = int(y.max()) + 1
    columns = describe_columns(x, y, categorical, n_classes)
    cells, evidence = describe_cells(x, columns, y)
    one_hot = F.one_hot(y, n_classes).to(evidence.dtype)
    told = (evidence * one_hot[:, :, None, None]).sum(-1).mean(1).amax(-1)  # (B, m) nats, each row's own label left out
    voices, answers = [], []
    for name in names:
        state, answer = VOICES[name].fit(x, cells, told, one_hot, categorical)
        voices.append((VOICES[name], state))
        answers.append(answer)
    present = one_hot.any(1)
    joined = _masked(answers, cells, present)
    counts = one_hot.sum(1) + 0.5
    log_shares = (counts / counts.sum(-1, keepdim=True)).log()
    trust = _trust(joined, one_hot, log_shares.masked_fill(~present, -torch.inf)[:, None])
    return Reader(columns, tuple(voices), log_shares, present, trust), Evidence(_triples(cells, evidence, present), joined, trust)


def read_table(x: Tensor, y_context: Tensor, categorical: Tensor, names: Sequence[str]) -> Evidence:
    """Evidence of all rows of x (B, N, m), of which the first C are the context."""
    n_context = y_context.shape[1]
    reader, context = read_context(x[:, :n_context], y_context, categorical, names)
    queries = reader.ask(x[:, n_context:])
    cells, answers = (torch.cat([a, b], dim=1) for a, b in zip(context[:2], queries[:2], strict=True))
    return Evidence(cells, answers, context.trust)


def _trust(answers: Tensor, one_hot: Tensor, log_shares: Tensor) -> Tensor:
    """Weights (B, R) of answers (B, C, R, K) to rows that each were left out of them, labels one_hot (B, C, K).

    Stacking (Wolpert 1992) of logits: the positive weights under which the labels are likely, as Newton's method finds them in
    their logarithms, which have a normal prior of variance 1 around shares by likelihood. Sharper answers have a higher sum.
    """
    with torch.autocast(answers.device.type, enabled=False):
        likelihood = (answers * one_hot[:, :, None]).sum(-1).mean(1)  # (B, R) nats, but for a constant
        begin = (likelihood * answers.shape[1] ** 0.5).log_softmax(-1).clamp(min=LEAST_TRUST)
        log_weights, prior = begin, torch.eye(begin.shape[1], device=begin.device)
        for _ in range(TRUST_STEPS):
            weights = log_weights.exp()
            p = ((weights[:, None, :, None] * answers).sum(2) + log_shares).softmax(-1)  # (B, C, K)
            slope = weights * ((one_hot - p)[:, :, None] * answers).sum((1, 3)) - (log_weights - begin)
            spread = (answers - (answers * p[:, :, None]).sum(-1, keepdim=True)) * p[:, :, None].sqrt()
            spread = spread.transpose(1, 2).flatten(2) * weights[..., None]  # (B, R, C K)
            step: Tensor = torch.linalg.solve(spread @ spread.mT + prior, slope)
            log_weights = log_weights + step.clamp(-1.0, 1.0)
        return log_weights.exp()


def _triples(cells: Tensor, evidence: Tensor, present: Tensor) -> Tensor:
    """Cells (B, N, m, d) with evidence (B, N, m, WINDOWS, K) → (B, N, T, GROUP (d + WINDOWS K)); the last may have gaps."""
    joined = torch.cat([cells, (evidence * present[:, None, None, None]).flatten(3)], dim=-1)
    return F.pad(joined, (0, 0, 0, -cells.shape[2] % GROUP)).unflatten(2, (-1, GROUP)).flatten(3)


def _masked(answers: list[Tensor], cells: Tensor, present: Tensor) -> Tensor:
    """All answers to the rows of cells (B, N, ...), which may be none: (B, N, R, K), those about absent classes 0."""
    nobody = cells.new_zeros(*cells.shape[:2], 0, present.shape[-1])
    return torch.cat([nobody, *answers], dim=2) * present[:, None, None]
