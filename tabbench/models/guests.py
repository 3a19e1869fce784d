"""Official networks as guests, for those who have their packages and weights. Nothing is downloaded."""

from importlib import import_module
from pathlib import Path
from typing import Any

from sklearn.base import ClassifierMixin

from tabbench.errors import UserError
from tabbench.models import Limits, Needs, model

NATIVE = Needs(categories="native", scaled=False, complete=False)


@model("tabicl", family="network", needs=NATIVE, limits=Limits(rows=60_000, features=500), imports=("tabicl",))
def tabicl(seed: int, threads: int, n_estimators: int = 8, weights: str | None = None) -> ClassifierMixin:
    """TabICL (Qu et al. 2025) with the official weights, from the file `weights` or the cache of the package's downloads."""
    from tabicl import TabICLClassifier

    options: dict[str, Any] = {"allow_auto_download": False, "device": "cpu", "random_state": seed, "n_jobs": threads}
    checkpoint = TabICLClassifier().checkpoint_version
    path = weights or import_module("huggingface_hub").try_to_load_from_cache("jingang/TabICL", checkpoint)
    return TabICLClassifier(n_estimators, model_path=_existing(path, "tabicl", checkpoint), **options)


@model("tabpfn", family="network", needs=NATIVE, limits=Limits(rows=50_000, features=2000), imports=("tabpfn",))
def tabpfn(seed: int, threads: int, n_estimators: int = 8, weights: str | None = None) -> ClassifierMixin:
    """TabPFN (Hollmann et al. 2025) with official weights, from the file `weights` or the newest in the package's cache."""
    from tabpfn import TabPFNClassifier
    from tabpfn.model_loading import get_cache_dir

    found = [path for path in get_cache_dir().glob("tabpfn-v*.*") if "regressor" not in path.name]
    cached = sorted(found, key=lambda path: path.stat().st_mtime)
    path = _existing(weights or (cached[-1] if cached else None), "tabpfn", "tabpfn-v…")
    options: dict[str, Any] = {"ignore_pretraining_limits": True, "random_state": seed}
    return TabPFNClassifier(n_estimators=n_estimators, model_path=path, device="cpu", **options)


def _existing(path: Any, package: str, checkpoint: str) -> str:
    """Path of local weights; raises UserError if there are none."""
    if isinstance(path, str | Path) and Path(path).is_file():
        return str(path)
    where = f"no file {path}" if isinstance(path, str | Path) else f"{checkpoint} is not in its cache"
    raise UserError(f"{package} has no local weights ({where}): fetch them with {package} first, or name them by weights=FILE")
