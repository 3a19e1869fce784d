"""The networks of TabZilla (McElfresh et al. 2023) as entrants; docs/nets.md says where they differ from the study's."""

from tabbench.models import Limits, Needs
from tabbench.models.nets.entry import DECAY, DROP, RATE, Module, net
from tabbench.models.nets.recipe import Recipe
from tabbench.models.space import Choice, Range


@net(
    "rtdl_mlp",
    Recipe(learning_rate=1e-3, weight_decay=1e-2, max_epochs=200, max_steps=3000),
    aliases=("rtdl_MLP", "MLP-rtdl"),
    space={"dropout": DROP, "learning_rate": RATE, "weight_decay": DECAY},
)
def rtdl_mlp(
    dropout: float = 0.1,
    embedding: int = 8,
) -> Module:
    """Perceptron 128-256-128 with category embeddings (Gorishniy et al. 2021), as TabZilla ran it."""
    from tabbench.models.nets.mlp import RtdlMLP

    return RtdlMLP, {"widths": (128, 256, 128), "dropout": dropout, "embedding": embedding}


@net(
    "resnet",
    Recipe(learning_rate=1e-3, weight_decay=1e-2, max_epochs=200, max_steps=3000),
    aliases=("rtdl_ResNet", "ResNet"),
    space={
        "n_blocks": Range(1, 6, whole=True),
        "width": Range(64, 512, log=True, whole=True),
        "dropout": DROP,
        "learning_rate": RATE,
        "weight_decay": DECAY,
    },
)
def resnet(
    n_blocks: int = 2,
    width: int = 128,
    hidden: int = 256,
    dropout: float = 0.25,
    residual_dropout: float = 0.1,
    embedding: int = 8,
) -> Module:
    """ResNet for tables, 2 blocks 128 → 256, AdamW (Gorishniy et al. 2021)."""
    from tabbench.models.nets.resnet import ResNet

    return ResNet, {
        "n_blocks": n_blocks,
        "width": width,
        "hidden": hidden,
        "dropouts": (dropout, residual_dropout),
        "embedding": embedding,
    }


@net(
    "ft_transformer",
    Recipe(learning_rate=1e-3, weight_decay=1e-2, max_epochs=100, max_steps=500, pairs=True),
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
def ft_transformer(
    n_blocks: int = 2,
    width: int = 64,
    n_heads: int = 8,
    attention_dropout: float = 0.2,
    dropout: float = 0.1,
) -> Module:
    """FT-Transformer, a token per column (Gorishniy et al. 2021).

    The default is small, 2 blocks of 64, so that a CPU bears it; the paper's is 3 of 192.
    """
    from tabbench.models.nets.ft_transformer import FTTransformer

    return FTTransformer, {"n_blocks": n_blocks, "width": width, "n_heads": n_heads, "dropouts": (attention_dropout, dropout)}


@net(
    "saint",
    Recipe(learning_rate=1e-3, weight_decay=1e-2, max_epochs=100, max_steps=500, batch_sizes=(128, 128), even=True),
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
def saint(
    width: int = 32,
    depth: int = 1,
    n_heads: int = 4,
    dropout: float = 0.3,
) -> Module:
    """SAINT, attention over columns and over rows (Somepalli et al. 2021).

    Predictions look at training rows, never at other test rows; no contrastive pre-training. The default is one block of 32.
    """
    from tabbench.models.nets.saint import SAINT

    return SAINT, {"width": width, "depth": depth, "n_heads": n_heads, "dropout": dropout}


@net(
    "node",
    Recipe(learning_rate=3e-3, weight_decay=1e-5, max_epochs=100, max_steps=600),
    needs=Needs(),
    aliases=("NODE",),
    limits=Limits(features=2000),
    space={"n_layers": Choice((1, 2, 4)), "n_trees": Choice((128, 256, 512)), "depth": Choice((4, 6, 8)), "learning_rate": RATE},
)
def node(
    n_layers: int = 2,
    n_trees: int = 128,
    depth: int = 6,
    n_extra: int = 1,
) -> Module:
    """Neural oblivious decision ensembles (Popov et al. 2020), AdamW in place of QHAdam.

    The default is small, 2 layers of 64 trees; the paper's is 1,024 trees and more.
    """
    from tabbench.models.nets.node import NODE

    return NODE, {"n_layers": n_layers, "n_trees": n_trees, "depth": depth, "n_extra": n_extra}


@net(
    "tabnet",
    Recipe(learning_rate=1e-2, weight_decay=1e-5, max_epochs=150, max_steps=1000, even=True),
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
    width: int = 24,
    n_steps: int = 5,
    gamma: float = 1.5,
    embedding: int = 2,
    n_independent: int = 3,
    n_shared: int = 3,
    momentum: float = 0.15,
    mask: str = "sparsemax",
) -> Module:
    """TabNet, sequential attention to few columns (Arik and Pfister 2021).

    Running statistics move as far in a step as with the authors' 1,024 rows in parts of 128 and momentum 0.02: 1 − 0.98⁸ = 0.15.
    """
    from tabbench.models.nets.tabnet import TabNet

    return TabNet, {
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


@net(
    "tabtransformer",
    Recipe(learning_rate=1e-3, weight_decay=1e-2, max_epochs=100, max_steps=800, pairs=True),
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
def tabtransformer(
    width: int = 32,
    n_blocks: int = 2,
    n_heads: int = 8,
    dropout: float = 0.1,
) -> Module:
    """TabTransformer, attention among the categories (Huang et al. 2020).

    Without categories it is a perceptron behind a LayerNorm of the row.
    """
    from tabbench.models.nets.tabtransformer import TabTransformer

    return TabTransformer, {"width": width, "n_blocks": n_blocks, "n_heads": n_heads, "dropout": dropout}


@net(
    "danet",
    Recipe(learning_rate=3e-3, weight_decay=1e-5, max_epochs=100, max_steps=800, rate_factor=0.95),
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
def danet(
    n_layers: int = 8,
    width: int = 64,
    n_masks: int = 5,
    dropout: float = 0.1,
) -> Module:
    """DANet, learned groups of columns abstracted layer by layer (Chen et al. 2022), AdamW in place of QHAdam.

    The learning rate falls by a twentieth every 20 epochs, as the paper's does.
    """
    from tabbench.models.nets.danet import DANet

    return DANet, {"n_layers": n_layers, "width": width, "n_masks": n_masks, "dropout": dropout}


@net(
    "stg",
    Recipe(learning_rate=5e-3, weight_decay=1e-5, max_epochs=200, max_steps=4000),
    needs=Needs(),
    aliases=("STG",),
    space={
        "hidden": Choice(("60-20", "500-50-10", "500-500-10", "500-400-20")),
        "penalty": Range(1e-3, 10.0, log=True),
        "learning_rate": RATE,
    },
)
def stg(
    hidden: str = "60-20",
    penalty: float = 0.1,
) -> Module:
    """Feature selection by stochastic gates (Yamada et al. 2020), AdamW and early stopping.

    hidden : widths of the layers, joined by hyphens.
    """
    from tabbench.models.nets.stg import STG

    return STG, {"widths": tuple(int(width) for width in hidden.split("-")), "penalty": penalty, "sigma": 0.5}


@net(
    "vime",
    Recipe(learning_rate=1e-3, weight_decay=1e-2, max_epochs=100, max_steps=1000),
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
def vime(
    p_mask: float = 0.3,
    alpha: float = 2.0,
    beta: float = 1.0,
    n_copies: int = 3,
) -> Module:
    """VIME, an encoder that learns to undo corruption (Yoon et al. 2020), with the defaults of the authors' code."""
    from tabbench.models.nets.vime import VIME

    return VIME, {
        "width": 100,
        "n_layers": 5,
        "p_mask": p_mask,
        "alpha": alpha,
        "beta": beta,
        "n_copies": n_copies,
        "n_pretrain": 10,
    }


@net(
    "nam",
    Recipe(learning_rate=5e-3, weight_decay=1e-5, max_epochs=150, max_steps=1000),
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
def nam(
    n_units: int = 64,
    width: int = 32,
    dropout: float = 0.1,
    feature_dropout: float = 0.05,
    penalty: float = 0.001,
) -> Module:
    """Neural additive model, a small network for each column (Agarwal et al. 2021), for any number of classes."""
    from tabbench.models.nets.nam import NAM

    return NAM, {
        "n_units": n_units,
        "width": width,
        "dropout": dropout,
        "feature_dropout": feature_dropout,
        "penalty": penalty,
    }


@net(
    "deepfm",
    Recipe(learning_rate=1e-3, weight_decay=1e-2, max_epochs=150, max_steps=3000),
    aliases=("DeepFM",),
    space={"width": Choice((4, 8, 16)), "dropout": Range(0.0, 0.9), "learning_rate": RATE, "weight_decay": DECAY},
)
def deepfm(
    width: int = 8,
    dropout: float = 0.3,
) -> Module:
    """DeepFM, factorisation machine and perceptron on shared embeddings (Guo et al. 2017), for any number of classes."""
    from tabbench.models.nets.deepfm import DeepFM

    return DeepFM, {"width": width, "widths": (256, 128), "dropout": dropout}
