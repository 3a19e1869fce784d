"""The weights in use: those of the package, or a file of one's own; a model card beside them says what they must be."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tabbench.errors import UserError
from tabbench.files import file_hash
from tabbench.pfn.card import WEIGHTS
from tabbench.pfn.network import PFN, load_weights


@dataclass(frozen=True)
class Weights:
    """A network ready to predict, and the temperature by which its averaged logits are divided."""

    network: PFN
    temperature: float


def find_weights(path: str | Path | None) -> Weights:
    """Load weights (None: the package's) and their card, the JSON file of the same name.

    A file of one's own may do without a card. Raises UserError if weights are missing or damaged, or not those of the card.
    """
    if path is None and not WEIGHTS.is_file():
        raise UserError(
            "this copy of tabbench holds no PFN weights: make some (tabbench pfn train, tabbench pfn release) and pass "
            "PFNClassifier(weights=FILE)"
        )
    path = WEIGHTS if path is None else Path(path)
    return _load(path, tuple(file.stat().st_mtime_ns for file in (path, path.with_suffix(".json")) if file.is_file()))


@lru_cache(maxsize=2)
def _load(path: Path, changed: tuple[int, ...]) -> Weights:
    network = load_weights(path)
    card_path = path.with_suffix(".json")
    if not card_path.is_file():
        return Weights(network, 1.0)
    try:
        card = json.loads(card_path.read_text(encoding="utf-8"))
        digest, temperature = card["sha256"], float(card.get("temperature", 1.0))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{card_path}: not a model card (JSON with sha256): restore it or remove it") from None
    if digest != file_hash(path):
        raise UserError(f"{path}: the content does not match the SHA-256 in {card_path.name}: restore the file")
    return Weights(network, temperature)
