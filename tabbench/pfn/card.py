"""The model card beside released weights: what they are, where they come from, how they were made."""

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

from tabbench.files import file_hash, replace_text

WEIGHTS = Path(__file__).parent / "weights" / "pfn.safetensors"
SURROGATE = WEIGHTS.with_name("surrogate.safetensors")
CURVES = WEIGHTS.with_name("curves.safetensors")
CURVE_POINTS = 200
LEARNING = ("columns", "evidence", "kernel", "linear", "trees", "network", "muon", "curriculum", "trainer")


def code_digest() -> str:
    """SHA-256 over the modules that decide what the network learns: prior, evidence, network, optimiser, trainer."""
    folder = Path(__file__).parent
    sha = hashlib.sha256()
    for path in sorted([*folder.glob("prior*.py"), *(folder / f"{name}.py" for name in LEARNING)]):
        sha.update(path.name.encode() + path.read_bytes())
    return sha.hexdigest()


def curve(log: Path) -> list[dict[str, float]]:
    """About `CURVE_POINTS` means of the training log: tasks, loss, and the loss of guessing by class shares."""
    with log.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    size = max(1, len(rows) // CURVE_POINTS)
    points = []
    for start in range(0, len(rows) - size + 1, size):
        part = rows[start : start + size]
        mean = {name: sum(float(row[name]) for row in part) / size for name in ("loss", "prior_loss")}
        points.append({"tasks": int(part[-1]["tasks"]), **{name: round(value, 4) for name, value in mean.items()}})
    return points


def write_card(weights: Path, facts: dict[str, Any], log: Path) -> None:
    """Write `<weights>.json` beside the weights: their digest, the code's, `facts` and the curve."""
    card = {"weights": weights.name, "sha256": file_hash(weights), "code_sha256": code_digest(), **facts, "curve": curve(log)}
    replace_text(weights.with_suffix(".json"), json.dumps(card, indent=1) + "\n")
