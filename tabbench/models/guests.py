"""Networks of other packages as guests, for those who have these, and the weights where there are any. Nothing is downloaded."""

from importlib import import_module
from pathlib import Path
from typing import Any

from sklearn.base import ClassifierMixin

from tabbench.errors import UserError
from tabbench.models import Limits, Needs, Steps, model
from tabbench.models.space import Choice, Range

NATIVE = Needs(categories="native", scaled=False, complete=False)


@model("tabicl", family="network", needs=NATIVE, limits=Limits(rows=60_000, features=500), imports=("tabicl",))
def tabicl(seed: int, threads: int, n_estimators: int = 8, weights: str | None = None) -> ClassifierMixin:
    """TabICL (Qu et al. 2025) with the official weights, from the file `weights` or the cache of the package's downloads."""
    from tabicl import TabICLClassifier

    options: dict[str, Any] = {"allow_auto_download": False, "device": "cpu", "random_state": seed, "n_jobs": threads}
    checkpoint = TabICLClassifier().checkpoint_version
    path = weights or import_module("huggingface_hub").try_to_load_from_cache("jingang/TabICL", checkpoint)
    return TabICLClassifier(n_estimators, model_path=_existing(path, "tabicl", checkpoint), **options)


@model(
    "tabpfn",
    aliases=("TabPFNModel",),
    family="network",
    needs=NATIVE,
    limits=Limits(rows=50_000, features=2000),
    imports=("tabpfn",),
)
def tabpfn(seed: int, threads: int, n_estimators: int = 8, weights: str | None = None) -> ClassifierMixin:
    """TabPFN (Hollmann et al. 2025) with official weights, from the file `weights` or the newest in the package's cache."""
    from tabpfn import TabPFNClassifier
    from tabpfn.model_loading import get_cache_dir

    found = [path for path in get_cache_dir().glob("tabpfn-v*.*") if "regressor" not in path.name]
    cached = sorted(found, key=lambda path: path.stat().st_mtime)
    path = _existing(weights or (cached[-1] if cached else None), "tabpfn", "tabpfn-v…")
    options: dict[str, Any] = {"ignore_pretraining_limits": True, "random_state": seed}
    return TabPFNClassifier(n_estimators=n_estimators, model_path=path, device="cpu", **options)


@model(
    "realmlp",
    family="network",
    needs=Needs(categories="native", scaled=False, complete=True),
    limits=Limits(rows=50_000, features=200),
    imports=("torch", "pytabkit", "tabbench.models.nets.guests"),
    tolerance=1e-5,
    steps=Steps("max_epochs", lambda guest, train, validation, patience: guest.fit(*train, validation), holds_out=True),
    space={
        "n_layers": Range(2, 4, whole=True),
        "width": Choice((256, 384, 512)),
        "dropout": Range(0.0, 0.5),
        "sigma": Range(0.01, 50.0, log=True),
        "learning_rate": Range(0.02, 0.3, log=True),
        "weight_decay": Range(1e-3, 5e-2, log=True),
    },
)
def realmlp(  # noqa: PLR0913 - its configuration
    seed: int,
    threads: int,
    n_layers: int = 3,
    width: int = 256,
    dropout: float = 0.15,
    sigma: float = 0.1,
    learning_rate: float = 0.04,
    weight_decay: float = 0.02,
    max_epochs: int = 128,
) -> ClassifierMixin:
    """RealMLP (Holzmüller et al. 2024) of the package pytabkit, with its tuned defaults.

    It has 128 epochs (256 there), and fewer where they would be more than 2,000 batches of 256 rows.
    """
    from tabbench.models.nets.guests import RealMLP

    config = {
        "n_hidden_layers": n_layers,
        "hidden_width": width,
        "p_drop": dropout,
        "plr_sigma": sigma,
        "lr": learning_rate,
        "wd": weight_decay,
        "n_epochs": max_epochs,
    }
    return RealMLP(config, seed, threads)


@model(
    "xrfm",
    family="other",
    limits=Limits(rows=50_000, features=2000),
    imports=("torch", "xrfm", "tabbench.models.nets.guests"),
    tolerance=1e-5,
    space={
        "bandwidth": Range(0.5, 200.0, log=True),
        "exponent": Range(0.7, 1.4),
        "ridge": Range(1e-6, 10.0, log=True),
    },
)
def xrfm(
    seed: int, threads: int, bandwidth: float = 10.0, exponent: float = 1.0, ridge: float = 1e-3, n_rounds: int = 5
) -> ClassifierMixin:
    """Trees of kernel machines that learn which columns matter (Beaglehole et al. 2025), of the package xrfm."""
    from tabbench.models.nets.guests import XRFM

    kernel = {"kernel": "l2", "bandwidth": bandwidth, "exponent": exponent, "diag": True, "bandwidth_mode": "constant"}
    rounds = {"reg": ridge, "iters": n_rounds, "early_stop_rfm": True, "verbose": False, "M_batch_size": 1000}
    return XRFM({"model": kernel, "fit": rounds}, seed, threads)


def _existing(path: Any, package: str, checkpoint: str) -> str:
    """Path of local weights; raises UserError if there are none."""
    if isinstance(path, str | Path) and Path(path).is_file():
        return str(path)
    where = f"no file {path}" if isinstance(path, str | Path) else f"{checkpoint} is not in its cache"
    raise UserError(f"{package} has no local weights ({where}): fetch them with {package} first, or name them by weights=FILE")
