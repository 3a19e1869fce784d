"""The network on development datasets: single member, 5 random halves, against a default random forest.

The folder holds `<id>/data.parquet` (features and `target`) and `<id>/meta.json` (openml_dataset_id, name, ...). The 18 sets
on which TabPFN v1 was tested are never among the development datasets, by id or by name, whichever source they come from.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from tabbench.data.task import Task, make_task
from tabbench.errors import UserError
from tabbench.files import replace_text
from tabbench.metrics import compute_metrics
from tabbench.pfn.limits import MAX_CLASSES
from tabbench.pfn.network import PFN

TEST_SETS = {
    11: "balance-scale",
    14: "mfeat-fourier",
    16: "mfeat-karhunen",
    18: "mfeat-morphological",
    22: "mfeat-zernike",
    37: "diabetes",
    54: "vehicle",
    458: "analcatdata_authorship",
    1049: "pc4",
    1050: "pc3",
    1063: "kc2",
    1068: "pc1",
    1462: "banknote-authentication",
    1464: "blood-transfusion-service-center",
    1494: "qsar-biodeg",
    1510: "wdbc",
    40982: "steel-plates-fault",
    40994: "climate-model-simulation-crashes",
}
MAX_ROWS = 3000  # training rows
MAX_FEATURES = 100


def is_test_set(openml_id: int | None, name: str) -> bool:
    """Whether a dataset is one of the 18, which only a final comparison may touch."""
    return openml_id in TEST_SETS or name.lower() in {
        *TEST_SETS.values(),
        "breast_cancer",
        "breast-cancer-wisconsin-diagnostic",
    }


def development_tasks(folder: Path, max_rows: int = 2 * MAX_ROWS) -> Iterator[Task]:
    """Datasets of the folder within the network's limits (half of the rows are trained on), sorted by id."""
    found = sorted(folder.glob("*/meta.json"))
    if not found:
        raise UserError(f"{folder}: no development datasets (<id>/data.parquet with meta.json)")
    for path in found:
        meta = json.loads(path.read_text(encoding="utf-8"))
        small = meta["n_rows"] <= max_rows and meta["n_features"] <= MAX_FEATURES and meta["n_classes"] <= MAX_CLASSES
        if small and not is_test_set(meta.get("openml_dataset_id"), meta["name"]):
            yield make_task(pd.read_parquet(path.with_name("data.parquet")), "target", name=meta["name"])


def halves(task: Task, n_splits: int = 5) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Random stratified 50/50 splits as (train, test) row numbers; rows of classes too rare to be in both parts go to train."""
    for seed in range(n_splits):
        rng = np.random.default_rng([seed, 50])
        train = np.zeros(len(task.y), bool)
        for label in range(len(task.classes)):
            rows = rng.permutation(np.flatnonzero(task.y == label))
            train[rows[: (len(rows) + 1) // 2]] = True
        yield np.flatnonzero(train), np.flatnonzero(~train)


def encode(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Network input of a task: x (n, m) float32 with category codes and NaN, categorical (m,) bool."""
    columns = []
    for name in task.X:
        column = task.X[name]
        if name in task.categorical:
            codes = column.cat.codes.to_numpy(np.float32)
            columns.append(np.where(codes < 0, np.nan, codes))
        else:
            columns.append(column.to_numpy(np.float32))
    return np.stack(columns, axis=1).astype(np.float32), np.isin(list(task.X), task.categorical)


def predict_half(network: PFN, task: Task, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Probabilities (n_test, k) of one network pass without ensembling; 500 query rows at a time."""
    import torch

    x, categorical = encode(task)
    device = next(network.parameters()).device
    to = lambda part: torch.from_numpy(part)[None].to(device)  # noqa: E731
    with torch.inference_mode():
        context = network.encode_context(to(x[train]), to(task.y[train]), to(categorical))
        parts = [network.predict(context, to(x[rows])) for rows in np.array_split(test, -(-len(test) // 500))]
    logits = torch.cat(parts, dim=1)[0, :, : len(task.classes)]
    return logits.double().softmax(-1).cpu().numpy()


def evaluate_network(network: PFN, folder: Path, max_rows: int = 2000, n_splits: int = 1) -> pd.DataFrame:
    """Mean `roc_auc` (one against one) and `log_loss` by development dataset of at most `max_rows` rows."""
    scores = {}
    for task in development_tasks(folder, max_rows):
        halved = [
            compute_metrics(task.y[test], predict_half(network, task, train, test)) for train, test in halves(task, n_splits)
        ]
        scores[task.name] = {name: float(np.mean([one[name] for one in halved])) for name in ("roc_auc_ovo", "log_loss")}
    return pd.DataFrame(scores).T.rename(columns={"roc_auc_ovo": "roc_auc"})


def forest_scores(folder: Path, max_rows: int, n_splits: int) -> dict[str, float]:
    """Mean ROC AUC of scikit-learn's default random forest on the same splits, by development dataset."""
    from sklearn.ensemble import RandomForestClassifier

    scores = {}
    for task in development_tasks(folder, max_rows):
        x, _ = encode(task)
        aucs = []
        for train, test in halves(task, n_splits):
            forest = RandomForestClassifier(random_state=0).fit(x[train], task.y[train])
            proba = np.zeros((len(test), len(task.classes)))
            proba[:, forest.classes_] = forest.predict_proba(x[test])
            aucs.append(compute_metrics(task.y[test], proba)["roc_auc_ovo"])
        scores[task.name] = float(np.mean(aucs))
    return scores


def compare_with_forest(network: PFN, folder: Path, max_rows: int, n_splits: int, cache: Path | None = None) -> pd.DataFrame:
    """ROC AUC by development dataset of the network (`pfn`, with its `log_loss`) and of a default random forest (`forest`).

    The forest's scores are kept in `cache`.
    """
    key = f"{max_rows} rows, {n_splits} splits"
    known = json.loads(cache.read_text(encoding="utf-8")) if cache is not None and cache.exists() else {}
    if key not in known:
        known[key] = forest_scores(folder, max_rows, n_splits)
        if cache is not None:
            replace_text(cache, json.dumps(known, indent=1) + "\n")
    pfn = evaluate_network(network, folder, max_rows, n_splits)
    return pd.DataFrame({"pfn": pfn["roc_auc"], "log_loss": pfn["log_loss"], "forest": pd.Series(known[key])})
