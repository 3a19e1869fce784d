"""The project's own network as an entrant."""

from sklearn.base import ClassifierMixin

from tabbench.models import Needs, model


@model(
    "pfn",
    family="network",
    needs=Needs(categories="native", scaled=False, complete=False),
    imports=("torch", "safetensors.torch", "tabbench.pfn.classifier", "tabbench.pfn.warm"),
    tolerance=1e-5,
)
def pfn(seed: int, threads: int, n_members: int = 3) -> ClassifierMixin:
    """Prior-data fitted network, pretrained on this project's synthetic tables (after Hollmann et al. 2023, TabPFN).

    Larger tables are cut to its limits by the network itself; the note of the job says what was used.
    """
    from tabbench.pfn.classifier import PFNClassifier

    return PFNClassifier(n_members, random_state=seed, n_jobs=threads)
