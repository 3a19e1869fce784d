"""What names in a results table mean, as people write them: columns of datasets, models, folds; sums over others; losses."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from tabbench.metrics import METRICS

Role = Literal["dataset", "model", "fold", "seed", "metric"]

ROLES: dict[Role, frozenset[str]] = {
    "dataset": frozenset("dataset datasets data task tasks problem problems did tid".split()),
    "model": frozenset(
        "model models method methods algorithm algorithms alg algo framework classifier classifiers clf learner estimator system "
        "approach flow automl technique".split()
    ),
    "seed": frozenset(
        "seed randomseed randomstate rng run trial".split()
    ),  # often noted beside the fold, another for every model
    "metric": frozenset("metric measure scoring criterion evalmetric".split()),
}
_LABELS = frozenset("name names id ids key".split())  # behind what a column names
_FOLD = re.compile(
    r"(outer|run|cv|test|k)?(folds?|repeats?|repetitions?|reps?|splits?|iterations?|iter|resample|resampling|cv)+"
    r"(no|nr|num|number|idx|index)?"
)
_FOLD_NAME = re.compile(
    r"(?:(?P<head>.*?)[\s_\-:/.=#(\[]+)?(?P<what>fold|split|seed|repeat|rep|run|cv|iteration|iter|trial)[\s_\-:=#.]*\d+[)\]]?",
    re.I,
)
_SCORE = frozenset("score value result performance metricvalue scorevalue testscore meanscore meantestscore".split())
_SUMS = frozenset(
    "average avg mean median overall total sum std stdev sd min max best worst geomean rank ranks ranking wins win losses ties "
    "count wtl all aggregate aggregated summary".split()
)
_OF_SUMS = frozenset(
    "score scores accuracy acc auc f1 value performance result results of the over across datasets dataset tasks number no "
    "friedman grand arithmetic geometric weighted macro micro dev deviation standard normalized normalised loss first place "
    "w t l d test".split()
)
_COUNTED = frozenset(
    "instances samples rows features classes attributes columns examples objects observations variables labels train test year "
    "params parameters".split()
)
_COUNTS = frozenset("n num no nb number of count size".split())
_MEASURES = frozenset(
    "acc accuracy auc auroc roc f1 logloss loss error err rmse mse mae r2 time seconds duration precision recall brier ece kappa "
    "mcc std sd stdev sem mean median min max score".split()
)
_BESIDE = frozenset("log balanced macro micro weighted ovo ovr test val valid cv fit train predict inference total s ms".split())
_SPREADS = frozenset("std sd stdev sem se".split())
_LOSSES = frozenset(
    "loss logloss error err rmse mse mae mape brier ece nll deviance crps regret misclassification perplexity time seconds "
    "duration rank".split()
)
TRAINED, TESTED = frozenset("train training fit insample".split()), frozenset("test testing tst holdout".split())
PARTS = TRAINED | TESTED | frozenset("val valid validation dev eval oof".split())
FAILED = frozenset(
    "failed fail failure error err timeout timedout oom outofmemory memory memout mem crash crashed dnf diverged exception tle "
    "mle killed".split()
)
NOT_RUN = frozenset("notrun skipped skip notapplicable notavailable notsupported missing".split())
ENDED = frozenset("ok success successful succeeded done finished completed complete true".split())
KNOWN_MODELS = frozenset(
    "rf randomforest extratrees xt svm svc knn xgb xgboost lgbm lightgbm gbm gbdt catboost mlp nn dnn resnet fttransformer saint "
    "tabnet node tabpfn tabicl pfn logreg logisticregression lr linear ridge lda qda nb naivebayes gaussiannb tree decisiontree "
    "cart c45 c50 dt adaboost histgbdt histgradientboosting autogluon autosklearn h2o flaml tabm realmlp modernnca "
    "dummy constant const".split()
)


def words(name: object) -> list[str]:
    """The words of a name in lower case: "dataset" and "name" of "DatasetName", "dataset-name" or "dataset.name"."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(name))
    return [word for word in re.split(r"[\W_]+", apart.lower()) if word]


def joined(name: object) -> str:
    """The words of a name without anything between them."""
    return "".join(words(name))


def role_of(name: str) -> Role | None:
    """What a column of this name tells apart; None for others, as those of scores."""
    if joined(name) in ("scorename", "metricname"):
        return "metric"
    said = "".join(word for word in words(name) if word not in _LABELS)
    if _FOLD.fullmatch(said):
        return "fold"
    return next((role for role, names in ROLES.items() if said in names), None)


def is_score(name: str) -> bool:
    """Whether a column is called a score without saying which."""
    return joined(name) in _SCORE


def is_measure(name: str) -> bool:
    """Whether a name is that of a metric or a time, and of nothing else."""
    said = words(name)
    return "_".join(said) in METRICS or (not _MEASURES.isdisjoint(said) and _MEASURES.union(_BESIDE).issuperset(said))


def is_count(name: str) -> bool:
    """Whether a column is called like a number of rows, columns or classes."""
    said = words(name)
    return (
        bool(said)
        and not _COUNTED.isdisjoint(said)
        and _COUNTED.union(_COUNTS).issuperset(said)
        and said[0] not in ("train", "test")
    )


def is_spread(name: str, others: Iterable[str]) -> bool:
    """Whether a column is the deviation of another: "RF_std" beside "RF" or "RF_mean"."""
    said = words(name)
    if len(said) < 2 or _SPREADS.isdisjoint((said[0], said[-1])):
        return False
    base = said[:-1] if said[-1] in _SPREADS else said[1:]
    return any([word for word in words(other) if word not in ("mean", "avg")] == base for other in others if other != name)


def is_loss(name: str) -> bool:
    """Whether lower is better of what is called so: log_loss, test error; not neg_log_loss."""
    said = words(name)
    if "_".join(said) in METRICS:
        return not METRICS["_".join(said)].greater_is_better
    return not _LOSSES.isdisjoint(said) and said[0] not in ("neg", "negative")


def is_sum(name: object) -> bool:
    """Whether a name says that it sums up others: "Average", "Avg. rank", "# wins", "Mean accuracy"."""
    said = words(name)
    return (bool(said) and not _SUMS.isdisjoint(said) and (_SUMS | _OF_SUMS).issuperset(said)) or joined(name) in (
        "wtl",
        "wdl",
        "wintieloss",
        "winstieslosses",
    )


def sums_up(name: str, values: pd.Series, others: pd.DataFrame) -> bool:
    """Whether a column of that name has the values, as far as they are rounded, of such a sum over the other columns."""
    said = set(words(name))
    if {"rank", "ranks", "ranking"} & said:
        halves = 2 * values.dropna()
        return bool((halves == halves.round()).all() and halves.ge(2).all() and values.max() <= len(values) + others.shape[1])
    found = [getattr(others, how)(axis=1) for how in ("mean", "median", "sum", "min", "max", "std")]
    found.append(others.std(axis=1, ddof=0))
    near = 5e-3 * max(1e-12, float(others.abs().max(axis=None)))
    return any(np.allclose(values, expected, rtol=0, atol=near, equal_nan=True) for expected in found)


def folds_in(names: Sequence[Any]) -> list[tuple[str, str]] | None:
    """What is before and in "iris fold 3", by name, if every one of several different names is of a fold ("fold 0", "seed=1")."""
    found = [_FOLD_NAME.fullmatch(str(name)) for name in names]
    if len(set(names)) < 2 or not all(found):
        return None
    return [
        (match["head"] or "", str(name)[len(match["head"] or "") :]) for match, name in zip(found, names, strict=True) if match
    ]


def numbered(names: Sequence[Any]) -> bool:
    """Whether names are "iris/0", "iris/1", "wine/0", "wine/1": several of each, with the same numbers from 0 or 1 on."""
    found = [re.fullmatch(r"(.*[\W_])(\d+)", str(name)) for name in names]
    if not found or not all(found):
        return False
    by_head: dict[str, set[int]] = {}
    for match in found:
        by_head.setdefault(match[1] if match else "", set()).add(int(match[2]) if match else 0)
    sets = list(by_head.values())
    n = len(sets[0])
    return len(sets) > 1 < n and sets[0] in (set(range(n)), set(range(1, n + 1))) and all(one == sets[0] for one in sets)


def numbers_rows(name: str, values: pd.Series) -> bool:
    """Whether a column without a name, or called like a number of the row, does no more than number the rows."""
    if not re.fullmatch(r"(unnamed\d+|index|level0|no|nr|num|number|row|rowid|rownumber|id|rank|)", joined(name)):
        return False
    if values.dtype.kind not in "iu":
        return False
    return values.is_unique and (joined(name) == "id" or set(values) in (set(range(len(values))), set(range(1, len(values) + 1))))


def called_alike(names: Iterable[object]) -> list[tuple[str, str]]:
    """Pairs of names that differ by case, blanks, points, underscores or hyphens only."""
    first: dict[str, str] = {}
    pairs = []
    for name in map(str, names):
        other = first.setdefault(re.sub(r"[\s_.\-]+", "", name.casefold()), name)
        pairs += [(other, name)] if other != name else []
    return pairs


def are_models(names: Iterable[object]) -> bool:
    """Whether most of the names are those of well-known models."""
    known = [re.sub(r"[^a-z0-9]", "", str(name).lower()) in KNOWN_MODELS for name in names]
    return sum(known) * 2 > len(known)
