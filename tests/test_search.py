"""Searches: the same losses lead to the same jobs, and what is found can be trusted."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tabbench.cli import main
from tabbench.errors import UserError
from tabbench.job import Job
from tabbench.models import MODELS, load_models
from tabbench.models.space import Choice, Range
from tabbench.resources import Bounds
from tabbench.tuning import search
from tabbench.tuning.schedule import Schedule
from tabbench.tuning.search import SEARCHES, Outcome, Series, check_search, loss, survivors

load_models()
FIRST = Job("t", "d" * 64, 0, 0, "s" * 64, "hist_gbdt", protocol="tabbench")
SPACE = MODELS["hist_gbdt"].space
SMALL = {"n_neighbors": Choice((1, 5)), "weights": Choice(("uniform", "distance"))}


def series(name, n=30, first=FIRST, space=SPACE):
    return Series(first, space, n, name)


def value(job):
    """Best at a learning rate of 0.1, and the better the more steps."""
    config = {**MODELS[job.model].defaults, **json.loads(job.config)}
    return abs(np.log10(config["learning_rate"]) + 1) + 10 / config["max_iter"]


def finish(schedule, losses=value, seed=0):
    """End the jobs in an order drawn with the seed; return all jobs in the order in which they ended."""
    rng, waiting, ended = np.random.default_rng(seed), schedule.missing(), []
    while waiting:
        job = waiting.pop(int(rng.integers(len(waiting))))
        ended.append(job)
        waiting += schedule.ended(job, losses(job))
    return ended


@pytest.mark.parametrize("name", list(SEARCHES))
def test_order_and_interruptions_change_nothing(name):
    two = [series(name, 14), series(name, 14, replace(FIRST, fold=1))]
    calm = finish(Schedule(two, {}), seed=0)
    hasty = finish(Schedule(two, {}), seed=1)
    assert calm != hasty
    assert {job.key: job for job in calm} == {job.key: job for job in hasty}
    assert len({job.key for job in calm}) == len(calm)
    for n_done in (3, 25) if name == "pfn" else (0, 3, 13, 25, len(calm)):  # it takes its time to ask a network
        done = {job.key: value(job) for job in calm[:n_done]}
        schedule = Schedule(two, done)
        rest = finish(schedule, seed=2)
        assert {job.key for job in rest} == {job.key for job in calm[n_done:]}
        assert {job.key for job in schedule.jobs} == {job.key for job in calm}


def test_every_search_begins_with_the_random_configurations_of_every_fold():
    for name, n in (("random", 30), ("tpe", 1 + search.N_RANDOM), ("pfn", 1 + search.N_RANDOM)):
        jobs, others = (Schedule([series(name, first=replace(FIRST, fold=fold))], {}).jobs for fold in (0, 1))
        assert [job.config for job in jobs] == [job.config for job in others]
        assert [job.config for job in jobs] == [job.config for job in Schedule([series("random")], {}).jobs[:n]]
        assert [job.trial for job in jobs] == list(range(n))


def test_a_configuration_is_tried_once():
    knn = replace(FIRST, model="knn", config='{"n_neighbors": 5, "weights": "uniform"}')
    for name in ("random", "tpe", "pfn"):
        jobs = finish(Schedule([series(name, 40, knn, SMALL)], {}), lambda job: float(len(job.config)))
        assert Counter(job.config for job in jobs).most_common(1)[0][1] == 1
        assert {json.loads(job.config)["n_neighbors"] for job in jobs} == {1, 5}
        assert len(jobs) == 4
        assert min(job.trial for job in jobs) == 0


@pytest.mark.parametrize(("name", "share"), [("tpe", 0.5), ("pfn", 0.65)])
def test_a_search_learns_where_the_good_ones_are(name, share):
    jobs = sorted(finish(Schedule([series(name, 40)], {})), key=lambda job: job.trial)
    drawn, asked = (np.mean([value(job) for job in part]) for part in (jobs[1:11], jobs[20:]))
    assert len(jobs) == 40
    assert asked < share * drawn
    for job in jobs[1:]:
        config = json.loads(job.config)
        assert all(values.low <= config[name] <= values.high for name, values in SPACE.items())
        assert isinstance(config["max_iter"], int)
    other = sorted(finish(Schedule([series(name, 12, replace(FIRST, split_digest="u" * 64))], {})), key=lambda job: job.trial)
    assert other[10].config == jobs[10].config
    assert other[11].config != jobs[11].config  # another fold asks with a seed of its own


@pytest.mark.parametrize("name", ["tpe", "pfn"])
def test_a_search_goes_on_without_failures_and_ends_if_all_fail(name):
    some = finish(Schedule([series(name, 16)], {}), lambda job: np.inf if job.trial % 3 else value(job))
    assert len(some) == 16
    none = finish(Schedule([series(name, 16)], {}), lambda job: np.inf)
    assert len(none) == 1 + search.N_RANDOM


def test_under_limits_the_surrogate_looks_where_they_are_met():
    def outcome(job):  # the more rounds, the better and the larger
        return Outcome(value(job), {"model_mb": json.loads(job.config).get("max_iter", 100) / 100})

    limited = replace(series("pfn", 30), limits=Bounds(model_mb=1.0))
    free, held = (sorted(finish(Schedule([one], {}), outcome), key=lambda job: job.trial) for one in (series("pfn", 30), limited))
    assert free[:11] == held[:11]
    sizes = [[outcome(job).costs["model_mb"] for job in jobs[15:]] for jobs in (free, held)]
    assert np.mean(np.array(sizes[1]) <= 1) > np.mean(np.array(sizes[0]) <= 1)
    blind = finish(Schedule([limited], {}))  # losses without costs teach nothing, and it draws
    assert len({job.key for job in blind}) == 30


def test_halving_gives_more_to_the_best_third():
    jobs = finish(Schedule([series("halving", 28)], {}))
    rungs = {rung: [job for job in jobs if job.rung == rung and job.trial] for rung in (0, 1, 2)}
    assert [len(rung) for rung in rungs.values()] == [27, 9, 3]
    [default] = [job for job in jobs if job.trial == 0]
    assert (default.config, default.rung) == ("{}", 0)
    drawn = {job.trial: json.loads(job.config) for job in Schedule([series("random", 28)], {}).jobs}
    for rung, share in enumerate((1 / 9, 1 / 3, 1)):
        for job in rungs[rung]:
            assert json.loads(job.config) == {**drawn[job.trial], "max_iter": round(share * drawn[job.trial]["max_iter"])}
    for low, high in ((0, 1), (1, 2)):
        best = sorted(rungs[low], key=value)[: len(rungs[high])]
        assert {job.trial for job in rungs[high]} == {job.trial for job in best}


def test_halving_of_what_fails_and_of_what_has_no_steps():
    assert len(finish(Schedule([series("halving", 28)], {}), lambda job: np.inf)) == 28
    few = finish(Schedule([series("halving", 28)], {}), lambda job: 0.5 if job.trial == 7 else np.inf)
    assert [job.trial for job in few if job.rung] == [7, 7]
    knn = replace(FIRST, model="knn")
    plain = [Schedule([series(name, 9, knn, MODELS["knn"].space)], {}).jobs for name in ("halving", "random")]
    assert plain[0] == plain[1]


def test_survivors():
    assert survivors([0.3, 0.1, 0.2, 0.1, np.inf, 0.5, 0.4]) == [1, 2, 3]
    assert survivors([0.1, 0.1, 0.1]) == [0]
    assert survivors([np.inf, np.inf, 0.4, 0.2]) == [2, 3]
    assert survivors([np.inf]) == survivors([]) == []


def test_loss_is_less_for_the_better():
    facts = {"val_log_loss": 0.5, "val_accuracy": 0.9, "val_roc_auc_ovo": np.nan}
    assert loss("ok", facts, "log_loss") == 0.5
    assert loss("ok", facts, "accuracy") == -0.9
    assert loss("ok", facts, "roc_auc_ovo") == loss("timeout", facts, "log_loss") == loss("failed", {}, "log_loss") == np.inf


def test_a_job_that_two_series_share_is_done_once():
    assert len(finish(Schedule([series("random", 3), series("random", 3)], {}))) == 3


def test_what_cannot_be_searched_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr("tabbench.tuning.search.find_spec", lambda name: None)
    with pytest.raises(UserError, match="search tpe needs the package optuna"):
        check_search("tpe")
    with pytest.raises(UserError, match="search pfn needs the package torch"):
        check_search("pfn")
    monkeypatch.undo()
    monkeypatch.setattr(search, "SURROGATE", Path("nowhere.safetensors"))
    with pytest.raises(UserError, match="search pfn: this copy of tabbench holds no weights"):
        check_search("pfn")
    assert main(["run", "--suite", "smoke", "--search", "grid", "--quiet"]) == 2
    assert capsys.readouterr().err == "tabbench: no search 'grid': known: random, tpe, pfn, halving\n"


def test_log_and_whole_ranges_are_told_to_optuna():
    names = {"a": Range(1e-3, 10, log=True), "b": Range(2, 5, whole=True), "c": Choice(("p", "q"))}
    a, b, c = (search.distribution(values) for values in names.values())
    assert (a.low, a.high, a.log) == (1e-3, 10, True)
    assert (b.low, b.high, b.step, b.log) == (2, 5, 1, False)
    assert c.choices == ("p", "q")
