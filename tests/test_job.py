import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tabbench.data.split import make_splits
from tabbench.data.task import make_task
from tabbench.errors import UserError
from tabbench.job import Job, Subsample, plan
from tabbench.request import Spec
from tabbench.resources import Resources

JOB = Job("t", "d" * 64, 0, 1, "s" * 64, "knn", '{"n_neighbors": 3}')


def test_key_is_pinned():
    # a changed key makes every stored result look missing: change it only together with job.FORMAT
    assert JOB.key == "3b97de62bf5da7b4ad9fbfb43d16a9ab"


@pytest.mark.parametrize(
    "change",
    [
        {"task_digest": "e" * 64},
        {"repeat": 1},
        {"fold": 2},
        {"split_digest": "x"},
        {"model": "svm"},
        {"config": "{}"},
        {"max_rows": 10, "row_policy": "random"},
        {"max_columns": 3, "column_policy": "pca"},
        {"seed": 1},
        {"threads": 2},
    ],
)
def test_every_field_enters_the_key(change):
    assert replace(JOB, **change).key != JOB.key


def test_the_name_of_the_task_does_not():
    assert replace(JOB, task="renamed").key == JOB.key


def test_seeds():
    other_model = replace(JOB, model="svm")
    assert other_model.data_seed == JOB.data_seed
    assert other_model.model_seed != JOB.model_seed
    assert replace(JOB, max_rows=10).data_seed == JOB.data_seed  # nested subsamples share their draw
    assert replace(JOB, seed=1).data_seed != JOB.data_seed
    assert 0 <= JOB.model_seed < 2**31


def test_entrant_names_what_differs():
    assert Job("t", "d", 0, 0, "s", "knn").entrant == "knn"
    cut = replace(JOB, max_rows=100, row_policy="random", max_columns=5, column_policy="pca")
    assert cut.entrant == "knn [n_neighbors=3, random 100 rows, pca 5 columns]"


def test_plan():
    rng = np.random.default_rng(0)
    frames = {name: pd.DataFrame({"a": rng.normal(size=n), "y": np.arange(n) % 2}) for name, n in (("small", 20), ("big", 40))}
    tasks = [make_task(frame, "y", name=name) for name, frame in frames.items()]
    pairs = [(task, make_splits(task, 2, 1, 0)) for task in tasks]
    jobs = list(plan(pairs, [("knn", {}), ("knn", {"n_neighbors": 1})], [Subsample(), Subsample(8)], seed=3, threads=1))
    assert len(jobs) == len({job.key for job in jobs}) == 2 * 2 * 2 * 2
    assert [job.task for job in jobs] == ["big"] * 8 + ["small"] * 8
    assert {job.row_policy for job in jobs} == {"", "stratified"}
    assert json.loads(jobs[2].config) == {"n_neighbors": 1}


def test_a_spec_is_what_its_json_says():
    spec = Spec(suite="starter", tasks=("a", "b"), folds=3, configs=2, shard="1/2", resources=Resources(2, 1, 5.0, 100.0))
    form = json.loads(json.dumps(spec.to_json()))
    assert Spec.from_json(form) == spec
    assert list(form)[-4:] == ["workers", "threads", "time_limit", "memory_limit"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"folds": "3"}, "^folds: .*got `str`"),
        ({"models": [1]}, "^models.0.: .*got `int`"),
        ({"seed": True}, "^seed: .*got `bool`"),
        ({"bribe": 1}, "unknown field `bribe`"),
        ({"workers": 0}, "must be positive"),
        ({"subsamples": [{"max_rows": "3"}]}, "^subsamples.0..max_rows: "),
    ],
)
def test_a_spec_refuses_a_form_that_is_not_its_own(change, said):
    form = Spec(suite="starter", configs=1).to_json()
    with pytest.raises(UserError, match=said):
        Spec.from_json({**form, **change})
    del form["seed"]
    with pytest.raises(UserError, match="missing required field `seed`"):
        Spec.from_json(form)
