"""The temperature of an ensemble: fitted on fresh tables of the prior, kept in the model card.

Averaging members makes probabilities too timid, small networks may be too bold; one number mends the mean of both (Guo et al.
2017, On Calibration of Modern Neural Networks, §4.2).
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from tabbench.errors import UserError
from tabbench.files import replace_text
from tabbench.pfn.classifier import PFNClassifier
from tabbench.pfn.packaged import find_weights
from tabbench.pfn.prior import sample_table

SEED = 2**31  # seeds of training runs are smaller
SHAPES = ((256, 6), (512, 12), (1024, 20), (512, 40))  # rows, columns; half of the rows are context


def calibrate(weights: Path, n_tables: int = 60) -> tuple[float, float, float]:
    """Fit the temperature of weights (with their card) and write it into the card.

    Returns the temperature and the log loss (nats) on the fitted tables without and with it. Raises UserError if the
    weights or their card are missing or damaged.
    """
    card_path = weights.with_suffix(".json")
    if not card_path.is_file():
        raise UserError(f"{card_path}: no such model card: `tabbench pfn release` writes it beside the weights")
    before = find_weights(weights).temperature
    logits, labels = [], []
    for i in range(n_tables):
        table = fresh_table(i)
        logits.append(before * _log_proba(weights, *table))
        labels.append(table[1][len(table[1]) // 2 :])
    fitted = minimize_scalar(lambda t: _log_loss(logits, labels, np.exp(t)), bounds=(np.log(0.3), np.log(3.0)), method="bounded")
    temperature = round(float(np.exp(fitted.x)), 3)
    card = json.loads(card_path.read_text(encoding="utf-8"))
    replace_text(card_path, json.dumps({**card, "temperature": temperature}, indent=1) + "\n")
    return temperature, _log_loss(logits, labels, 1.0), _log_loss(logits, labels, temperature)


def fresh_table(number: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Features and labels of a table that training never saw; the first half has every class."""
    n_rows, n_columns = SHAPES[number % len(SHAPES)]
    x, y, categorical = sample_table(np.random.default_rng([SEED, number]), n_rows, n_rows // 2, n_columns)
    frame = pd.DataFrame(x)
    return frame.astype(dict.fromkeys(np.flatnonzero(categorical), "category")), y


def _log_proba(weights: Path, X: pd.DataFrame, y: np.ndarray) -> np.ndarray:
    half = len(y) // 2
    model = PFNClassifier(weights=weights, n_jobs=1).fit(X[:half], y[:half])
    return np.log(np.maximum(model.predict_proba(X[half:]), 1e-30))


def _log_loss(logits: list[np.ndarray], labels: list[np.ndarray], temperature: float) -> float:
    """Mean over tables of the log loss (nats) at a temperature."""
    losses = []
    for part, y in zip(logits, labels, strict=True):
        scaled = part / temperature
        log_sum = np.logaddexp.reduce(scaled, axis=1)
        losses.append(float(np.mean(log_sum - scaled[np.arange(len(y)), y])))
    return float(np.mean(losses))
