"""tabbench: a tabular benchmark harness with its own prior-data fitted network."""

from importlib import import_module
from typing import Any

__version__ = "0.2.0.dev0"
__all__ = ["PFNClassifier", "Results", "UserError", "run"]

_HOME_OF = {
    "run": "tabbench.api",
    "Results": "tabbench.folders.results",
    "UserError": "tabbench.errors",
    "PFNClassifier": "tabbench.pfn.classifier",
}


def __getattr__(name: str) -> Any:
    """Import the public names on first use, so that `import tabbench` stays light."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'tabbench' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)
