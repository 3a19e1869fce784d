"""The forerunner of the network in tabbench/pfn, for comparison: a transformer over the cells of a table.

A token stands for a group of three columns in one row; one more token a row carries its label. A layer attends over rows
(within a column group), then over the groups of a row, then applies an MLP (Hollmann et al. 2025, TabPFN v2). Rows only
ever attend to context rows and to a few learned "thinking" rows, so a query row's answer does not depend on other queries.
Column statistics come from the context alone; they include, for each cell, how the labels of context rows with near values
of that column are shared out ("evidence"), and for each row what a kernel method says of it (kernel.py), which a network of
this size would otherwise spend its first layers on.
Shapes: B tasks, N rows, C context rows, m columns, K classes, T tokens, D width.
"""

import math
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tabbench.pfn.columns import CELL_INPUTS, WINDOWS, Columns, describe_cells, describe_columns
from tabbench.pfn.curriculum import Shape
from tabbench.pfn.kernel import WIDE, Kernel, ask_kernel, fit_kernel
from tabbench.pfn.limits import MAX_CLASSES
from tabbench.pfn.prior import sample_batch
from tabbench.pfn.trainer import Problem, prior_loss, score

GROUP = 3  # columns a token reads
CLASS_CODE = 16  # numbers that stand for a class in the evidence
TYPICAL_KEYS = 256  # attention is as sharp as plain softmax at this many keys


@dataclass(frozen=True)
class CellConfig:
    """Sizes of a network."""

    width: int = 96
    n_layers: int = 5
    n_heads: int = 4
    hidden: int = 192
    n_thinking: int = 16


@dataclass(frozen=True)
class CellContext:
    """A fitted context: column statistics, kernel, labels (B, C), per layer keys and values of its rows, keys of the vote."""

    columns: Columns
    kernel: Kernel
    trust: Tensor
    labels: Tensor
    keys: tuple[tuple[Tensor, Tensor], ...]
    vote_keys: Tensor


class Attention(nn.Module):
    """Multi-head attention from queries to the same or to other tokens, without biases."""

    def __init__(self, config: CellConfig) -> None:
        super().__init__()
        self.n_heads = config.n_heads
        self.query = nn.Linear(config.width, config.width, bias=False)
        self.key_value = nn.Linear(config.width, 2 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)
        self.sharpness = nn.Parameter(torch.zeros(config.n_heads, 1, 1))

    def keys(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (S, heads, L, D / heads) of tokens x (S, L, D)."""
        key, value = self.key_value(x).chunk(2, dim=-1)
        return self._split(key), self._split(value)

    def forward(self, x: Tensor, keys: tuple[Tensor, Tensor]) -> Tensor:
        """Attend from x (S, L, D) to keys and values; the more keys, the sharper (scalable softmax, Nakanishi 2025)."""
        sharper = 1 + self.sharpness * math.log(keys[0].shape[2] / TYPICAL_KEYS)
        mixed = F.scaled_dot_product_attention((self._split(self.query(x)) * sharper).to(keys[0].dtype), *keys)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)


class Layer(nn.Module):
    """Attention over rows, attention over tokens, MLP; each behind an RMS norm and added to the stream."""

    def __init__(self, config: CellConfig) -> None:
        super().__init__()
        self.over_rows, self.over_tokens = Attention(config), Attention(config)
        self.norms = nn.ModuleList(nn.RMSNorm(config.width) for _ in range(3))
        shrink = nn.Linear(config.hidden, config.width, bias=False)
        self.mlp = nn.Sequential(nn.Linear(config.width, config.hidden, bias=False), nn.GELU(), shrink)
        for last in (self.over_rows.out, self.over_tokens.out, shrink):  # the stream starts as the plain embedding
            nn.init.zeros_(last.weight)

    def row_keys(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B·T, heads, L, D / heads) of context rows x (B, L, T, D)."""
        return self.over_rows.keys(self.norms[0](x).transpose(1, 2).flatten(0, 1))

    def forward(self, x: Tensor, keys: tuple[Tensor, Tensor]) -> Tensor:
        """Rows x (B, L, T, D) that look at the rows behind `keys`."""
        n_tasks, n_rows = x.shape[:2]
        by_token = self.norms[0](x).transpose(1, 2).flatten(0, 1)  # (B·T, L, D)
        x = x + self.over_rows(by_token, keys).unflatten(0, (n_tasks, -1)).transpose(1, 2)
        by_row = self.norms[1](x).flatten(0, 1)  # (B·L, T, D)
        x = x + self.over_tokens(by_row, self.over_tokens.keys(by_row)).unflatten(0, (n_tasks, n_rows))
        return x + self.mlp(self.norms[2](x))


class CellNetwork(nn.Module):
    """Prior-data fitted network (Müller et al. 2022) for tables with up to ten classes."""

    def __init__(self, config: CellConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.embed_cells = nn.Linear(GROUP * (CELL_INPUTS + WINDOWS * CLASS_CODE), width)
        self.embed_label = nn.Embedding(MAX_CLASSES + 1, width)  # the last one stands for "to be predicted"
        self.class_code = nn.Linear(width, CLASS_CODE, bias=False)
        self.label_in_cells = nn.Linear(width, width, bias=False)
        self.embed_kernel = nn.Linear(len(WIDE.ridges) * CLASS_CODE, width, bias=False)
        self.thinking = nn.Parameter(torch.randn(config.n_thinking, width))
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.n_layers))
        self.norm = nn.RMSNorm(2 * width)
        self.head = nn.Sequential(nn.Linear(2 * width, 2 * width), nn.GELU(), nn.Linear(2 * width, MAX_CLASSES))
        self.vote_query = nn.Linear(2 * width, width, bias=False)
        self.vote_key = nn.Linear(2 * width, width, bias=False)
        self.vote_scale = nn.Parameter(torch.tensor(1.0))
        self.kernel_scale = nn.Parameter(torch.full((len(WIDE.ridges),), 0.25))
        nn.init.zeros_(self.embed_kernel.weight)

    def _layers(self) -> list[Layer]:
        return cast("list[Layer]", list(self.layers))

    def forward(self, x: Tensor, y_context: Tensor, categorical: Tensor) -> Tensor:
        """Logits (B, N - C, MAX_CLASSES) of the rows of x (B, N, m) behind the C labelled ones; categorical (B, m) bool."""
        n_context = y_context.shape[1]
        columns, kernel, trust, rows = self._begin(x[:, :n_context], y_context, categorical)
        queries, answers = self._queries(x[:, n_context:], columns, kernel)
        n_labelled = rows.shape[1]
        stream = torch.cat([rows, queries], dim=1)
        for layer in self._layers():
            stream = layer(stream, layer.row_keys(stream[:, :n_labelled]))
        pooled = self._pool(stream)
        votes = self.vote_key(pooled[:, self.config.n_thinking : n_labelled])
        return self._decode(pooled[:, n_labelled:], votes, y_context, trust * answers)

    def encode_context(self, x_context: Tensor, y_context: Tensor, categorical: Tensor, n_read: int | None = None) -> CellContext:
        """Everything `predict` needs of the context rows x (B, C, m), labels (B, C).

        Column statistics and kernel are of all rows; attention, which costs their square in every layer, sees the first
        `n_read` only (None: all).
        """
        columns, kernel, trust, stream = self._begin(x_context, y_context, categorical)
        if n_read is not None:
            stream, y_context = stream[:, : self.config.n_thinking + n_read], y_context[:, :n_read]
        keys = []
        for layer in self._layers():
            keys.append(layer.row_keys(stream))
            stream = layer(stream, keys[-1])
        votes = self.vote_key(self._pool(stream)[:, self.config.n_thinking :])
        return CellContext(columns, kernel, trust, y_context, tuple(keys), votes)

    def predict(self, context: CellContext, x_query: Tensor) -> Tensor:
        """Logits (B, n_query, MAX_CLASSES); equal to `forward` up to rounding, however the queries are cut into pieces."""
        stream, answers = self._queries(x_query, context.columns, context.kernel)
        for layer, keys in zip(self._layers(), context.keys, strict=True):
            stream = layer(stream, keys)
        return self._decode(self._pool(stream), context.vote_keys, context.labels, context.trust * answers)

    def _begin(self, x: Tensor, y: Tensor, categorical: Tensor) -> tuple[Columns, Kernel, Tensor, Tensor]:
        """Column statistics, the kernel, trust (B, 1, R, 1) in its answers by likelihood, the stream of context rows.

        The stream is (B, thinking + C, T, D).
        """
        columns = describe_columns(x, y, categorical, MAX_CLASSES)
        cells, evidence = describe_cells(x, columns, y)
        one_hot = F.one_hot(y, MAX_CLASSES).to(evidence.dtype)
        told = (evidence * one_hot[:, :, None, None]).sum(-1).mean(1).amax(-1)  # (B, m) nats, each row's own label left out
        kernel, answers = fit_kernel(x, cells, told, one_hot, categorical)
        likelihood = (answers * one_hot[:, :, None]).sum(-1).mean(1)  # (B, R) nats, but for a constant
        trust = len(WIDE.ridges) * (likelihood * x.shape[1] ** 0.5).softmax(-1)[:, None, :, None]
        rows = self._tokens(cells, evidence, answers, y)
        thinking = self.thinking[None, :, None, :].expand(len(x), -1, rows.shape[2], -1)
        return columns, kernel, trust, torch.cat([thinking.to(rows.dtype), rows], dim=1)

    def _queries(self, x: Tensor, columns: Columns, kernel: Kernel) -> tuple[Tensor, Tensor]:
        """Stream (B, N, T, D) and the kernel's evidence (B, N, R, K) of query rows x (B, N, m)."""
        cells, evidence = describe_cells(x, columns)
        answers = ask_kernel(kernel, x, cells)
        unknown = torch.full(x.shape[:2], MAX_CLASSES, device=x.device)
        return self._tokens(cells, evidence, answers, unknown), answers

    def _tokens(self, cells: Tensor, evidence: Tensor, answers: Tensor, labels: Tensor) -> Tensor:
        """Cells (B, N, m, d) with their evidence → (B, N, T, D): one token per group of columns, then the label's."""
        codes = self.class_code(self.embed_label.weight[:MAX_CLASSES]).float()  # (K, CLASS_CODE)
        groups = self.embed_cells(self._group(torch.cat([cells, (evidence @ codes).flatten(3)], dim=-1)))
        label = self.embed_label(labels)[:, :, None]
        groups = groups + self.label_in_cells(label)
        label = label + self.embed_kernel((answers @ codes).flatten(2))[:, :, None]
        return torch.cat([groups, label.to(groups.dtype)], dim=2)

    def _group(self, cells: Tensor) -> Tensor:
        """Numbers of cells (B, N, m, d) → of disjoint triples (B, N, T - 1, GROUP d); the last one may hold empty places."""
        return F.pad(cells, (0, 0, 0, -cells.shape[2] % GROUP)).unflatten(2, (-1, GROUP)).flatten(3)

    def _pool(self, stream: Tensor) -> Tensor:
        """(B, L, T, D) → (B, L, 2 D): the label token beside the mean of the others."""
        return self.norm(torch.cat([stream[:, :, -1], stream[:, :, :-1].mean(dim=2)], dim=-1))

    def _decode(self, pooled: Tensor, vote_keys: Tensor, labels: Tensor, answers: Tensor) -> Tensor:
        """A linear head, the log of an attention vote over context labels (like TabPFN-3's retrieval decoder), and the kernel."""
        one_hot = F.one_hot(labels, MAX_CLASSES).to(pooled.dtype)
        votes = F.scaled_dot_product_attention(self.vote_query(pooled), vote_keys, one_hot)
        by_kernel = (self.kernel_scale[:, None] * answers).sum(2)
        return self.head(pooled).float() + self.vote_scale * (votes.float() + 1e-3).log() + by_kernel


def loss_of_cells(network: nn.Module, batch: Any, shape: Shape) -> tuple[Tensor, dict[str, float]]:
    """Loss of the rows behind the context; the network computes its evidence in the step."""
    x, y, categorical, n_classes = batch
    loss, accuracy = score(network(x, y[:, : shape.n_context], categorical), y[:, shape.n_context :], n_classes)
    return loss, {"prior_loss": prior_loss(y, shape.n_context), "accuracy": accuracy.item()}


def cell_multiplications(config: CellConfig, n_rows: int, n_context: int, n_features: int) -> float:
    """Multiplications of one pass over one table."""
    tokens = -(-n_features // GROUP) + 1
    weights = 8 * config.width**2 + 2 * config.width * config.hidden
    looks = 2 * config.width * (n_context + config.n_thinking + tokens)
    return (n_rows + config.n_thinking) * tokens * config.n_layers * (weights + looks)


CELLS = Problem(lambda _: sample_batch, CellNetwork, loss_of_cells, cell_multiplications)
