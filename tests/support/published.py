"""Published tables: printed in a paper, or in a folder beside the repository that not every machine has."""

import json
from pathlib import Path

import pandas as pd
import pytest

SHARED = Path(__file__).parents[3] / "shared"
GOLDEN = SHARED / "golden"
needs_golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the published tables are not on this machine")
TABZILLA = GOLDEN / "tabzilla"
needs_tabzilla = pytest.mark.skipif(not TABZILLA.is_dir(), reason="TabZilla's published tables are not at hand")

# Demšar 2006, Table 6: AUC of four variants of C4.5 on 14 data sets
DEMSAR = pd.DataFrame(
    {
        "C4.5": [0.763, 0.599, 0.954, 0.628, 0.882, 0.936, 0.661, 0.583, 0.775, 1.0, 0.94, 0.619, 0.972, 0.957],
        "C4.5+m": [0.768, 0.591, 0.971, 0.661, 0.888, 0.931, 0.668, 0.583, 0.838, 1.0, 0.962, 0.666, 0.981, 0.978],
        "C4.5+cf": [0.771, 0.590, 0.968, 0.654, 0.886, 0.916, 0.609, 0.563, 0.866, 1.0, 0.965, 0.614, 0.975, 0.946],
        "C4.5+m+cf": [0.798, 0.569, 0.967, 0.657, 0.898, 0.931, 0.685, 0.625, 0.875, 1.0, 0.962, 0.669, 0.975, 0.970],
    }
)


def golden(key):
    return json.loads((GOLDEN / "expected_stats.json").read_text())[key]
