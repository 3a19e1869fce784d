"""Networks of later years as entrants: TabM, ModernNCA and a perceptron on periodic embeddings."""

from tabbench.models import Limits
from tabbench.models.nets.entry import DECAY, DROP, RATE, Module, net
from tabbench.models.nets.recipe import Recipe
from tabbench.models.space import Choice, Range


@net(
    "tabm",
    Recipe(learning_rate=2e-3, weight_decay=3e-4, max_epochs=150, max_steps=1000),
    space={
        "n_blocks": Range(1, 4, whole=True),
        "width": Choice((64, 128, 256)),
        "dropout": DROP,
        "learning_rate": RATE,
        "weight_decay": DECAY,
    },
)
def tabm(
    n_members: int = 16,
    n_blocks: int = 2,
    width: int = 128,
    dropout: float = 0.1,
    embedding: int = 8,
) -> Module:
    """TabM, perceptrons that share nearly all weights (Gorishniy et al. 2025).

    The default is smaller than the paper's (16 members of 128; there 32 of 512), so that a CPU bears it.
    """
    from tabbench.models.nets.tabm import TabM

    return TabM, {
        "n_members": n_members,
        "n_blocks": n_blocks,
        "width": width,
        "dropout": dropout,
        "embedding": embedding,
    }


@net(
    "modernnca",
    Recipe(learning_rate=3e-3, weight_decay=1e-4, max_epochs=100, max_steps=600),
    limits=Limits(features=500),
    space={
        "width": Choice((64, 128, 256)),
        "n_blocks": Choice((0, 1, 2)),
        "dropout": DROP,
        "sigma": Range(0.01, 10.0, log=True),
        "share": Range(0.05, 0.6),
        "learning_rate": RATE,
    },
)
def modernnca(  # noqa: PLR0913 - its configuration
    width: int = 128,
    hidden: int = 256,
    n_blocks: int = 0,
    dropout: float = 0.1,
    n_frequencies: int = 16,
    sigma: float = 0.1,
    embedding: int = 8,
    share: float = 0.3,
) -> Module:
    """ModernNCA, soft nearest neighbours of learned encodings (Ye et al. 2025).

    Answers are made of 10,000 training rows at most.
    """
    from tabbench.models.nets.modernnca import ModernNCA

    return ModernNCA, {
        "width": width,
        "hidden": hidden,
        "n_blocks": n_blocks,
        "dropout": dropout,
        "n_frequencies": n_frequencies,
        "sigma": sigma,
        "embedding": embedding,
        "share": share,
        "n_candidates": 10_000,
    }


@net(
    "mlp_plr",
    Recipe(learning_rate=1e-3, weight_decay=1e-2, max_epochs=150, max_steps=2000),
    limits=Limits(features=2000),
    space={
        "n_layers": Range(1, 4, whole=True),
        "width": Range(64, 512, log=True, whole=True),
        "dropout": DROP,
        "sigma": Range(0.01, 10.0, log=True),
        "learning_rate": RATE,
        "weight_decay": DECAY,
    },
)
def mlp_plr(
    n_layers: int = 3,
    width: int = 256,
    dropout: float = 0.1,
    n_frequencies: int = 16,
    sigma: float = 0.1,
    embedding: int = 8,
) -> Module:
    """Perceptron on periodic embeddings of numbers (Gorishniy et al. 2022)."""
    from tabbench.models.nets.plr import PLRMLP

    return PLRMLP, {
        "n_layers": n_layers,
        "width": width,
        "dropout": dropout,
        "n_frequencies": n_frequencies,
        "sigma": sigma,
        "embedding": embedding,
    }
