"""The networks of TabZilla (McElfresh et al. 2023) as entrants; docs/nets.md says where they differ from the study's."""

from typing import Any

from sklearn.base import ClassifierMixin

from tabbench.models import Limits, Needs
from tabbench.models.nets.entry import DECAY, DROP, RATE, net
from tabbench.models.space import Choice, Range


@net(
    "rtdl_mlp",
    aliases=("rtdl_MLP", "MLP-rtdl"),
    space={"dropout": DROP, "learning_rate": RATE, "weight_decay": DECAY},
)
def rtdl_mlp(
    seed: int,
    threads: int,
    dropout: float = 0.1,
    embedding: int = 8,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-2,
    max_epochs: int = 200,
) -> ClassifierMixin:
    """Perceptron 128-256-128 with category embeddings (Gorishniy et al. 2021), as TabZilla ran it."""
    from tabbench.models.nets.mlp import RtdlMLP
    from tabbench.models.nets.trainer import NetClassifier, Recipe

    config: dict[str, Any] = {"widths": (128, 256, 128), "dropout": dropout, "embedding": embedding}
    return NetClassifier(RtdlMLP, config, Recipe(learning_rate, weight_decay, max_epochs, max_steps=3000), seed, threads)


@net(
    "resnet",
    aliases=("rtdl_ResNet", "ResNet"),
    space={
        "n_blocks": Range(1, 6, whole=True),
        "width": Range(64, 512, log=True, whole=True),
        "dropout": DROP,
        "learning_rate": RATE,
        "weight_decay": DECAY,
    },
)
def resnet(  # noqa: PLR0913 - its configuration
    seed: int,
    threads: int,
    n_blocks: int = 2,
    width: int = 128,
    hidden: int = 256,
    dropout: float = 0.25,
    residual_dropout: float = 0.1,
    embedding: int = 8,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-2,
    max_epochs: int = 200,
) -> ClassifierMixin:
    """ResNet for tables, 2 blocks 128 → 256, AdamW (Gorishniy et al. 2021)."""
    from tabbench.models.nets.resnet import ResNet
    from tabbench.models.nets.trainer import NetClassifier, Recipe

    config: dict[str, Any] = {
        "n_blocks": n_blocks,
        "width": width,
        "hidden": hidden,
        "dropouts": (dropout, residual_dropout),
        "embedding": embedding,
    }
    return NetClassifier(ResNet, config, Recipe(learning_rate, weight_decay, max_epochs, max_steps=3000), seed, threads)


@net(
    "ft_transformer",
    aliases=("rtdl_FTTransformer", "FTTransformer"),
    limits=Limits(features=300),
    space={
        "n_blocks": Range(1, 4, whole=True),
        "width": Choice((32, 64, 128)),
        "attention_dropout": DROP,
        "dropout": DROP,
        "learning_rate": RATE,
        "weight_decay": DECAY,
    },
)
def ft_transformer(  # noqa: PLR0913 - its configuration
    seed: int,
    threads: int,
    n_blocks: int = 2,
    width: int = 64,
    n_heads: int = 8,
    attention_dropout: float = 0.2,
    dropout: float = 0.1,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-2,
    max_epochs: int = 100,
) -> ClassifierMixin:
    """FT-Transformer, a token per column (Gorishniy et al. 2021).

    The default is small, 2 blocks of 64, so that a CPU bears it; the paper's is 3 of 192.
    """
    from tabbench.models.nets.ft_transformer import FTTransformer
    from tabbench.models.nets.trainer import NetClassifier, Recipe

    config: dict[str, Any] = {"n_blocks": n_blocks, "width": width, "n_heads": n_heads, "dropouts": (attention_dropout, dropout)}
    return NetClassifier(FTTransformer, config, Recipe(learning_rate, weight_decay, max_epochs, max_steps=600), seed, threads)


@net(
    "saint",
    aliases=("SAINT",),
    limits=Limits(features=200),
    space={
        "width": Choice((16, 32, 64)),
        "depth": Choice((1, 2, 3)),
        "n_heads": Choice((2, 4, 8)),
        "dropout": DROP,
        "learning_rate": RATE,
    },
)
def saint(  # noqa: PLR0913 - its configuration
    seed: int,
    threads: int,
    width: int = 32,
    depth: int = 1,
    n_heads: int = 4,
    dropout: float = 0.1,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-2,
    max_epochs: int = 100,
) -> ClassifierMixin:
    """SAINT, attention over columns and over rows (Somepalli et al. 2021).

    Predictions look at training rows, never at other test rows; no contrastive pre-training. The default is one block of 32.
    """
    from tabbench.models.nets.saint import SAINT
    from tabbench.models.nets.trainer import NetClassifier, Recipe

    config: dict[str, Any] = {"width": width, "depth": depth, "n_heads": n_heads, "dropout": dropout}
    return NetClassifier(SAINT, config, Recipe(learning_rate, weight_decay, max_epochs, max_steps=500), seed, threads)


@net(
    "node",
    needs=Needs(),
    aliases=("NODE",),
    limits=Limits(features=2000),
    space={"n_layers": Choice((1, 2, 4)), "n_trees": Choice((128, 256, 512)), "depth": Choice((4, 6, 8)), "learning_rate": RATE},
)
def node(  # noqa: PLR0913 - its configuration
    seed: int,
    threads: int,
    n_layers: int = 2,
    n_trees: int = 128,
    depth: int = 6,
    n_extra: int = 1,
    learning_rate: float = 3e-3,
    weight_decay: float = 1e-5,
    max_epochs: int = 100,
) -> ClassifierMixin:
    """Neural oblivious decision ensembles (Popov et al. 2020), AdamW in place of QHAdam.

    The default is small, 2 layers of 64 trees; the paper's is 1,024 trees and more.
    """
    from tabbench.models.nets.node import NODE
    from tabbench.models.nets.trainer import NetClassifier, Recipe

    config: dict[str, Any] = {"n_layers": n_layers, "n_trees": n_trees, "depth": depth, "n_extra": n_extra}
    return NetClassifier(NODE, config, Recipe(learning_rate, weight_decay, max_epochs, max_steps=600), seed, threads)


@net(
    "tabnet",
    aliases=("TabNet",),
    space={
        "width": Range(8, 64, whole=True),
        "n_steps": Range(3, 10, whole=True),
        "gamma": Range(1.0, 2.0),
        "n_independent": Range(1, 5, whole=True),
        "n_shared": Range(1, 5, whole=True),
        "momentum": Range(0.01, 0.4, log=True),
        "mask": Choice(("sparsemax", "entmax")),
        "learning_rate": Range(1e-3, 3e-2, log=True),
    },
)
def tabnet(  # noqa: PLR0913 - its configuration
    seed: int,
    threads: int,
    width: int = 24,
    n_steps: int = 5,
    gamma: float = 1.5,
    embedding: int = 2,
    n_independent: int = 3,
    n_shared: int = 3,
    momentum: float = 0.05,
    mask: str = "sparsemax",
    learning_rate: float = 1e-2,
    weight_decay: float = 1e-5,
    max_epochs: int = 150,
) -> ClassifierMixin:
    """TabNet, sequential attention to few columns (Arik and Pfister 2021)."""
    from tabbench.models.nets.tabnet import TabNet
    from tabbench.models.nets.trainer import NetClassifier, Recipe

    config: dict[str, Any] = {
        "width": width,
        "n_steps": n_steps,
        "gamma": gamma,
        "embedding": embedding,
        "n_independent": n_independent,
        "n_shared": n_shared,
        "momentum": momentum,
        "mask": mask,
        "sparsity": 1e-3,
    }
    return NetClassifier(TabNet, config, Recipe(learning_rate, weight_decay, max_epochs, max_steps=1000), seed, threads)


@net(
    "tabtransformer",
    aliases=("TabTransformer",),
    limits=Limits(features=300),
    space={
        "width": Choice((16, 32, 64)),
        "n_blocks": Choice((1, 2, 3, 6)),
        "n_heads": Choice((2, 4, 8)),
        "dropout": DROP,
        "learning_rate": RATE,
        "weight_decay": DECAY,
    },
)
def tabtransformer(  # noqa: PLR0913 - its configuration
    seed: int,
    threads: int,
    width: int = 32,
    n_blocks: int = 2,
    n_heads: int = 8,
    dropout: float = 0.1,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-2,
    max_epochs: int = 100,
) -> ClassifierMixin:
    """TabTransformer, attention among the categories (Huang et al. 2020).

    Without categories it is a perceptron behind a LayerNorm of the row.
    """
    from tabbench.models.nets.tabtransformer import TabTransformer
    from tabbench.models.nets.trainer import NetClassifier, Recipe

    config: dict[str, Any] = {"width": width, "n_blocks": n_blocks, "n_heads": n_heads, "dropout": dropout}
    return NetClassifier(TabTransformer, config, Recipe(learning_rate, weight_decay, max_epochs, max_steps=800), seed, threads)


@net(
    "danet",
    needs=Needs(),
    aliases=("DANet",),
    limits=Limits(features=2000),
    space={
        "n_layers": Choice((4, 8, 16, 20)),
        "width": Choice((32, 64, 96)),
        "n_masks": Range(3, 8, whole=True),
        "dropout": DROP,
        "learning_rate": RATE,
    },
)
def danet(  # noqa: PLR0913 - its configuration
    seed: int,
    threads: int,
    n_layers: int = 8,
    width: int = 64,
    n_masks: int = 5,
    dropout: float = 0.1,
    learning_rate: float = 3e-3,
    weight_decay: float = 1e-5,
    max_epochs: int = 100,
) -> ClassifierMixin:
    """DANet, learned groups of columns abstracted layer by layer (Chen et al. 2022), AdamW in place of QHAdam.

    The learning rate falls by a twentieth every 20 epochs, as the paper's does.
    """
    from tabbench.models.nets.danet import DANet
    from tabbench.models.nets.trainer import NetClassifier, Recipe

    config: dict[str, Any] = {"n_layers": n_layers, "width": width, "n_masks": n_masks, "dropout": dropout}
    recipe = Recipe(learning_rate, weight_decay, max_epochs, max_steps=800, rate_factor=0.95)
    return NetClassifier(DANet, config, recipe, seed, threads)


@net(
    "stg",
    needs=Needs(),
    aliases=("STG",),
    space={
        "hidden": Choice(("60-20", "500-50-10", "500-500-10", "500-400-20")),
        "penalty": Range(1e-3, 10.0, log=True),
        "learning_rate": RATE,
    },
)
def stg(
    seed: int,
    threads: int,
    hidden: str = "60-20",
    penalty: float = 0.1,
    learning_rate: float = 5e-3,
    weight_decay: float = 1e-5,
    max_epochs: int = 200,
) -> ClassifierMixin:
    """Feature selection by stochastic gates (Yamada et al. 2020), AdamW and early stopping.

    hidden : widths of the layers, joined by hyphens.
    """
    from tabbench.models.nets.stg import STG
    from tabbench.models.nets.trainer import NetClassifier, Recipe

    config: dict[str, Any] = {"widths": tuple(int(width) for width in hidden.split("-")), "penalty": penalty, "sigma": 0.5}
    return NetClassifier(STG, config, Recipe(learning_rate, weight_decay, max_epochs, max_steps=4000), seed, threads)


@net(
    "vime",
    needs=Needs(),
    aliases=("VIME",),
    limits=Limits(features=2000),
    space={
        "p_mask": Range(0.1, 0.9),
        "alpha": Range(0.1, 10.0),
        "beta": Range(0.1, 10.0),
        "n_copies": Choice((2, 3, 5, 10)),
        "learning_rate": RATE,
    },
)
def vime(  # noqa: PLR0913 - its configuration
    seed: int,
    threads: int,
    p_mask: float = 0.3,
    alpha: float = 2.0,
    beta: float = 1.0,
    n_copies: int = 3,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-2,
    max_epochs: int = 100,
) -> ClassifierMixin:
    """VIME, an encoder that learns to undo corruption (Yoon et al. 2020), with the defaults of the authors' code."""
    from tabbench.models.nets.trainer import NetClassifier, Recipe
    from tabbench.models.nets.vime import VIME

    config: dict[str, Any] = {
        "width": 100,
        "n_layers": 5,
        "p_mask": p_mask,
        "alpha": alpha,
        "beta": beta,
        "n_copies": n_copies,
        "n_pretrain": 10,
    }
    return NetClassifier(VIME, config, Recipe(learning_rate, weight_decay, max_epochs, max_steps=1000), seed, threads)


@net(
    "nam",
    needs=Needs(),
    aliases=("NAM",),
    limits=Limits(features=1000),
    space={
        "dropout": DROP,
        "feature_dropout": Range(0.0, 0.2),
        "penalty": Range(1e-4, 0.1, log=True),
        "learning_rate": Range(1e-3, 0.1, log=True),
    },
)
def nam(  # noqa: PLR0913 - its configuration
    seed: int,
    threads: int,
    n_units: int = 64,
    width: int = 32,
    dropout: float = 0.1,
    feature_dropout: float = 0.05,
    penalty: float = 0.001,
    learning_rate: float = 5e-3,
    weight_decay: float = 1e-5,
    max_epochs: int = 150,
) -> ClassifierMixin:
    """Neural additive model, a small network for each column (Agarwal et al. 2021), for any number of classes."""
    from tabbench.models.nets.nam import NAM
    from tabbench.models.nets.trainer import NetClassifier, Recipe

    config: dict[str, Any] = {
        "n_units": n_units,
        "width": width,
        "dropout": dropout,
        "feature_dropout": feature_dropout,
        "penalty": penalty,
    }
    return NetClassifier(NAM, config, Recipe(learning_rate, weight_decay, max_epochs, max_steps=1000), seed, threads)


@net(
    "deepfm",
    aliases=("DeepFM",),
    space={"width": Choice((4, 8, 16)), "dropout": Range(0.0, 0.9), "learning_rate": RATE, "weight_decay": DECAY},
)
def deepfm(
    seed: int,
    threads: int,
    width: int = 8,
    dropout: float = 0.3,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-2,
    max_epochs: int = 150,
) -> ClassifierMixin:
    """DeepFM, factorisation machine and perceptron on shared embeddings (Guo et al. 2017), for any number of classes."""
    from tabbench.models.nets.deepfm import DeepFM
    from tabbench.models.nets.trainer import NetClassifier, Recipe

    config: dict[str, Any] = {"width": width, "widths": (256, 128), "dropout": dropout}
    return NetClassifier(DeepFM, config, Recipe(learning_rate, weight_decay, max_epochs, max_steps=3000), seed, threads)
