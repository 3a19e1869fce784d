"""The network: evidence about cells is pooled into one token a row, and rows learn from labelled rows in context.

Column → row → in-context learning (after Qu et al. 2025, TabICL): triples of cells with their evidence (evidence.py) pass an
MLP and attend to each other within their row, a few learned queries pool them, and layers of attention over rows follow, wide
and few, because matrix units want wide products. Rows only ever attend to context rows and to a few learned "thinking" rows,
so a query row's answer does not depend on other queries. All of it runs in the type of its parameters, fp32 or bf16.
Shapes: B tasks, N rows, C context rows, T triples, K classes, R answers of the voices, D width.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from tabbench.errors import UserError
from tabbench.files import replace_file
from tabbench.pfn.columns import CELL_INPUTS, WINDOWS
from tabbench.pfn.evidence import GROUP, VOICES, Evidence, Reader, read_context, read_table
from tabbench.pfn.limits import ATTENDED_ROWS, MAX_CLASSES

KIND = "rows"  # in the metadata of weights files; those of version 0.1, of another network, have none
CLASS_CODE = 16  # numbers that stand for a class in the evidence
TYPICAL_KEYS = 256  # attention is as sharp as plain softmax at this many keys
VOTE_FLOOR = 1e-3  # share that a class without votes has


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of a network, and the voices that it hears.

    cell_width : of a triple's token, in one head. n_pools : learned queries that pool a row's tokens.
    n_cell_layers : attention layers over the tokens of a row. The rest is of the layers over rows.
    """

    width: int = 256
    n_layers: int = 6
    n_heads: int = 4
    hidden: int = 512
    n_thinking: int = 16
    cell_width: int = 64
    n_cell_layers: int = 1
    n_pools: int = 4
    voices: tuple[str, ...] = ("kernel",)


@dataclass(frozen=True)
class Context:
    """A fitted context: its reader, labels (B, C), per layer keys and values of its rows, keys of the vote."""

    reader: Reader
    labels: Tensor
    keys: tuple[tuple[Tensor, Tensor], ...]
    vote_keys: Tensor


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention (..., L, d) of queries that are scaled already; in bf16 plain products are the fast way on CPUs."""
    if query.dtype == torch.bfloat16 and query.device.type == "cpu":
        return (query @ key.mT).softmax(-1) @ value
    return F.scaled_dot_product_attention(query, key, value, scale=1.0)


class Norm(nn.Module):
    """Layer norm (Ba et al. 2016) with a gain and no bias: fused on CPUs, which RMS norms are not."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalised x (..., D)."""
        return F.layer_norm(x, self.weight.shape, self.weight)


class Attention(nn.Module):
    """Multi-head attention from tokens to the same or to other tokens, without biases."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads, self.scale = n_heads, (width // n_heads) ** -0.5
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.sharpness = nn.Parameter(torch.zeros(n_heads, 1, 1))
        nn.init.zeros_(self.out.weight)  # the stream starts as the plain embedding

    def keys(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (S, heads, L, D / heads) of tokens x (S, L, D)."""
        key, value = self.key_value(x).chunk(2, dim=-1)
        return self._split(key), self._split(value)

    def forward(self, x: Tensor, keys: tuple[Tensor, Tensor]) -> Tensor:
        """Attend from x (S, L, D) to keys and values; the more keys, the sharper (scalable softmax, Nakanishi 2025)."""
        sharper = self.scale * (1 + self.sharpness * math.log(keys[0].shape[2] / TYPICAL_KEYS))
        return self.out(attend(self._split(self.query(x)) * sharper, *keys).transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)


class Layer(nn.Module):
    """Attention and MLP, each behind a norm and added to the stream."""

    def __init__(self, width: int, n_heads: int, hidden: int) -> None:
        super().__init__()
        self.attention = Attention(width, n_heads)
        self.norms = nn.ModuleList(Norm(width) for _ in range(2))
        shrink = nn.Linear(hidden, width, bias=False)
        self.mlp = nn.Sequential(nn.Linear(width, hidden, bias=False), nn.GELU(), shrink)
        nn.init.zeros_(shrink.weight)

    def keys(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of tokens x (S, L, D)."""
        return self.attention.keys(self.norms[0](x))

    def forward(self, x: Tensor, keys: tuple[Tensor, Tensor] | None = None, n_seen: int | None = None) -> Tensor:
        """Tokens x (S, L, D) that look at those behind `keys`; None: at the first `n_seen` of themselves."""
        normed = self.norms[0](x)
        x = x + self.attention(normed, self.attention.keys(normed[:, :n_seen]) if keys is None else keys)
        return x + self.mlp(self.norms[1](x))


class RowEncoder(nn.Module):
    """From triples of cells (B, N, T, inputs) to rows (B, N, D)."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        width = config.cell_width
        self.embed_number = nn.Linear(GROUP * CELL_INPUTS, width)
        self.embed_evidence = nn.Parameter(torch.randn(width, GROUP, WINDOWS, CLASS_CODE) / (GROUP * WINDOWS * CLASS_CODE) ** 0.5)
        self.layers = nn.ModuleList(Layer(width, 1, 2 * width) for _ in range(config.n_cell_layers))
        self.norm = Norm(width)
        self.pools = nn.Parameter(torch.randn(config.n_pools, width) * width**-0.5)
        self.out = nn.Linear(config.n_pools * width, config.width)

    def forward(self, cells: Tensor, codes: Tensor) -> Tensor:
        """Rows (B, N, D); codes (K, CLASS_CODE) stand for the classes of the evidence."""
        evidence = torch.einsum("dgwc,kc->dgwk", self.embed_evidence, codes).flatten(2)  # (width, GROUP, WINDOWS K)
        weight = torch.cat([self.embed_number.weight.unflatten(1, (GROUP, -1)), evidence], dim=2).flatten(1)
        tokens = F.linear(cells, weight, self.embed_number.bias).flatten(0, 1)  # (B N, T, width)
        for layer in self.layers:
            tokens = layer(tokens)
        tokens = self.norm(tokens)
        pooled = (self.pools @ tokens.mT).softmax(-1) @ tokens  # (B N, pools, width)
        return self.out(pooled.flatten(1)).unflatten(0, cells.shape[:2])


class PFN(nn.Module):
    """Prior-data fitted network (Müller et al. 2022) for tables with up to ten classes."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.encode_cells = RowEncoder(config)
        self.embed_label = nn.Embedding(MAX_CLASSES + 1, width)  # the last one stands for "to be predicted"
        self.class_code = nn.Linear(width, CLASS_CODE, bias=False)
        n_answers = {name: VOICES[name].n_answers for name in config.voices}
        self.hear = nn.ModuleDict({name: nn.Linear(n * (CLASS_CODE + 1), width, bias=False) for name, n in n_answers.items()})
        self.voice_scale = nn.ParameterDict({name: nn.Parameter(torch.full((n, 1), 0.5)) for name, n in n_answers.items()})
        self.thinking = nn.Parameter(torch.randn(config.n_thinking, width))
        self.layers = nn.ModuleList(Layer(width, config.n_heads, config.hidden) for _ in range(config.n_layers))
        self.norm = Norm(width)
        self.head = nn.Sequential(nn.Linear(width, config.hidden), nn.GELU(), nn.Linear(config.hidden, MAX_CLASSES))
        self.vote_query = nn.Linear(width, width // 2, bias=False)
        self.vote_key = nn.Linear(width, width // 2, bias=False)
        self.vote_scale = nn.Parameter(torch.tensor(1.0))
        for embedding in self.hear.values():
            nn.init.zeros_(cast(nn.Linear, embedding).weight)

    @property
    def dtype(self) -> torch.dtype:
        """The type of its parameters, in which it computes."""
        return self.thinking.dtype

    def _layers(self) -> list[Layer]:
        return cast("list[Layer]", list(self.layers))

    def forward(self, x: Tensor, y_context: Tensor, categorical: Tensor) -> Tensor:
        """Logits (B, N - C, MAX_CLASSES) of the rows of x (B, N, m) behind the C labelled ones; categorical (B, m) bool."""
        return self.answer(read_table(x, y_context, categorical, self.config.voices), y_context)

    def answer(self, evidence: Evidence, y_context: Tensor) -> Tensor:
        """As `forward`, from evidence of all rows."""
        n_context = y_context.shape[1]
        unknown = y_context.new_full((len(y_context), evidence.cells.shape[1] - n_context), MAX_CLASSES)
        stream = self._think(self._rows(evidence, torch.cat([y_context, unknown], dim=1)))
        n_labelled = self.config.n_thinking + n_context
        for layer in self._layers():
            stream = layer(stream, n_seen=n_labelled)
        pooled = self.norm(stream)
        votes = self.vote_key(pooled[:, self.config.n_thinking : n_labelled])
        return self._decode(pooled[:, n_labelled:], votes, y_context, evidence.answers[:, n_context:], evidence.trust)

    def encode_context(self, x_context: Tensor, y_context: Tensor, categorical: Tensor, n_read: int | None = None) -> Context:
        """Everything `predict` needs of the context rows x (B, C, m), labels (B, C).

        Evidence is of all rows; attention, which costs their square in every layer, sees the first `n_read` only (None: all).
        """
        reader, evidence = read_context(x_context, y_context, categorical, self.config.voices)
        n_read = n_read or x_context.shape[1]
        y_context = y_context[:, :n_read]
        seen = Evidence(evidence.cells[:, :n_read], evidence.answers[:, :n_read], evidence.trust)
        stream = self._think(self._rows(seen, y_context))
        keys = []
        for layer in self._layers():
            keys.append(layer.keys(stream))
            stream = layer(stream, keys[-1])
        return Context(reader, y_context, tuple(keys), self.vote_key(self.norm(stream)[:, self.config.n_thinking :]))

    def predict(self, context: Context, x_query: Tensor, voice_share: float = 0.0) -> Tensor:
        """Logits (B, n_query, MAX_CLASSES); equal to `forward` up to rounding, however the queries are cut into pieces.

        voice_share : of the voices alone, by trust, in the logits, so that the answer is a geometric mean.
        """
        evidence = context.reader.ask(x_query)
        stream = self._rows(evidence, torch.full(x_query.shape[:2], MAX_CLASSES, device=x_query.device))
        for layer, keys in zip(self._layers(), context.keys, strict=True):
            stream = layer(stream, keys)
        logits = self._decode(self.norm(stream), context.vote_keys, context.labels, evidence.answers, evidence.trust)
        if not voice_share:
            return logits
        return (1 - voice_share) * logits + voice_share * context.reader.heard(evidence)

    def _think(self, rows: Tensor) -> Tensor:
        """Thinking rows before rows (B, L, D)."""
        return torch.cat([self.thinking.expand(len(rows), -1, -1), rows], dim=1)

    def _rows(self, evidence: Evidence, labels: Tensor) -> Tensor:
        """Rows (B, N, D) with labels (B, N) as the layers take them."""
        cells, answers, trust = (part.to(self.dtype) for part in evidence)
        codes = self.class_code(self.embed_label.weight[: answers.shape[-1]])  # (K, CLASS_CODE)
        label = F.one_hot(labels, MAX_CLASSES + 1).to(self.dtype) @ self.embed_label.weight  # a look-up sums gradients in bf16
        rows = self.encode_cells(cells, codes) + label
        told = answers @ codes  # (B, N, R, CLASS_CODE)
        told = torch.cat([told, trust[:, None, :, None].expand(*told.shape[:-1], 1)], dim=-1)
        weights = [cast(nn.Linear, self.hear[name]).weight for name in self.config.voices]
        return rows + F.linear(told.flatten(2), torch.cat(weights, dim=1)) if weights else rows

    def _decode(self, rows: Tensor, vote_keys: Tensor, labels: Tensor, answers: Tensor, trust: Tensor) -> Tensor:
        """A linear head, the log of an attention vote over context labels (like TabPFN-3's retrieval decoder), and the voices."""
        one_hot = F.one_hot(labels, MAX_CLASSES).to(rows.dtype)
        votes = attend(self.vote_query(rows) * vote_keys.shape[-1] ** -0.5, vote_keys, one_hot).float()
        logits = self.head(rows).float() + self.vote_scale.float() * (votes + VOTE_FLOOR).log()
        scales = [self.voice_scale[name].float() for name in self.config.voices]
        if not scales:
            return logits
        heard = (torch.cat(scales) * trust.float()[:, None, :, None] * answers.float()).sum(2)
        return logits + F.pad(heard, (0, MAX_CLASSES - heard.shape[-1]))


def multiplications(config: NetworkConfig, n_rows: int, n_context: int, n_features: int) -> float:
    """Multiplications of the matrix products of one pass over one table, of whose context attention sees ATTENDED_ROWS."""
    seen = min(n_context, ATTENDED_ROWS)
    n_rows -= n_context - seen
    tokens, width = -(-n_features // GROUP), config.cell_width
    cells = tokens * width * (GROUP * (CELL_INPUTS + 4 * WINDOWS) + config.n_cell_layers * (8 * width + 2 * tokens))
    cells += config.n_pools * width * (2 * tokens + config.width)
    keys = seen + config.n_thinking
    rows = config.n_layers * (4 * config.width**2 + 2 * config.width * config.hidden + 2 * config.width * keys)
    return n_rows * (cells + rows)


def save_weights(network: PFN, path: Path, metadata: dict[str, str]) -> None:
    """Write weights with config and metadata (strings) to a safetensors file."""
    texts = {**metadata, "kind": KIND, "config": json.dumps(asdict(network.config))}
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    replace_file(path, lambda temporary: save_file(tensors, temporary, texts))


def load_weights(path: Path) -> PFN:
    """Network in evaluation mode (fp32); raises UserError if the file is missing, damaged, or of another program or version."""
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("kind") != KIND:
                raise UserError(f"{path}: not weights of this version's network: make new ones (tabbench pfn release)")
            config = json.loads(metadata["config"])
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers go on as if nothing had been drawn
            network = PFN(network_config(config))
        network.load_state_dict(tensors)
    except FileNotFoundError:
        raise UserError(f"{path}: no such weights file") from None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path}: not weights of this network ({str(error).splitlines()[0]})") from None
    return network.eval()


def network_config(raw: dict[str, object]) -> NetworkConfig:
    """Config from what JSON or TOML hold; raises TypeError for unknown entries, KeyError for unknown voices."""
    config = NetworkConfig(**{**raw, "voices": tuple(cast("list[str]", raw.get("voices", NetworkConfig.voices)))})  # type: ignore[arg-type]
    for name in config.voices:
        VOICES[name]
    return config


def matrices(network: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The weight matrices inside the layers over rows: those that the Muon optimiser takes."""
    return ((name, p) for name, p in network.named_parameters() if name.startswith("layers.") and p.ndim == 2)
