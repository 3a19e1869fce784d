"""How large a fitted model is: the bytes that it takes to write down what predicts, preprocessing included."""

import pickle
from typing import Any

from tabbench.prepare.early_stopping import EarlyStopping


class _Counter:
    """A file that keeps nothing but the number of bytes."""

    def __init__(self) -> None:
        self.n_bytes = 0

    def write(self, data: Any) -> int:
        """Count the bytes of `data`."""
        size = memoryview(data).nbytes
        self.n_bytes += size
        return size


def model_size(estimator: Any) -> dict[str, float]:
    """The fact model_mb (2**20 bytes) of a fitted estimator; no fact if it cannot be pickled. Nothing is written anywhere."""
    counter = _Counter()
    what = (estimator.preprocessor, estimator.classifier) if isinstance(estimator, EarlyStopping) else estimator
    try:
        pickle.Pickler(counter, protocol=5).dump(what)
    except Exception:  # noqa: BLE001 - a model may refuse in any way
        return {}
    return {"model_mb": counter.n_bytes / 2**20}
