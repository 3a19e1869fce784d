"""The project's multilayer perceptron as an entrant."""

from sklearn.base import ClassifierMixin

from tabbench.models import model
from tabbench.models.nets.entry import STEPS
from tabbench.models.space import Range


@model(
    "mlp",
    aliases=("MLP",),
    family="network",
    imports=("torch", "torch._dynamo", "tabbench.models.nets.mlp"),
    tolerance=1e-5,  # torch promises no equal bits
    steps=STEPS,
    space={
        "n_layers": Range(1, 4, whole=True),
        "width": Range(64, 512, log=True, whole=True),
        "dropout": Range(0.0, 0.5),
        "learning_rate": Range(1e-4, 1e-2, log=True),
        "weight_decay": Range(1e-4, 1e-1, log=True),
    },
)
def mlp(  # noqa: PLR0913 - its configuration
    seed: int,
    threads: int,
    n_layers: int = 3,
    width: int = 256,
    dropout: float = 0.1,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-2,
    max_epochs: int = 200,
) -> ClassifierMixin:
    """Multilayer perceptron, 3 layers of 256, AdamW and early stopping, after the MLP of Gorishniy et al. (2021)."""
    from tabbench.models.nets.mlp import MLP
    from tabbench.models.nets.trainer import NetClassifier, Recipe

    config = {"n_layers": n_layers, "width": width, "dropout": dropout}
    return NetClassifier(MLP, config, Recipe(learning_rate, weight_decay, max_epochs), random_state=seed, n_threads=threads)
