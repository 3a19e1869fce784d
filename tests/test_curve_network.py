"""The network of learning curves: its prior, what it reads, what it says of later steps, and the fits it ends."""

import json
import math
import sqlite3
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

from tabbench import api
from tabbench.cli import main
from tabbench.data.split import make_splits
from tabbench.data.task import make_task
from tabbench.engine.execute import execute
from tabbench.engine.stopping import Watch
from tabbench.errors import UserError
from tabbench.folders.run import unwatched
from tabbench.folders.verify import verify
from tabbench.job import Job, read_job
from tabbench.models import get_model
from tabbench.models.space import Range
from tabbench.report.training import stopped_trials
from tabbench.request import Spec
from tabbench.resources import Resources
from tabbench.store.runs import NAME, ResultStore
from tabbench.tuning.protocols import PROTOCOLS
from tabbench.tuning.search import Outcome, Series, check_stop

torch = pytest.importorskip("torch")
curves = pytest.importorskip("tabbench.pfn.curves")
prior = pytest.importorskip("tabbench.pfn.curve_prior")

BOOSTED = {"xgboost": "n_estimators", "lightgbm": "n_estimators", "catboost": "iterations", "hist_gbdt": "max_iter"}
WATCHED = {**BOOSTED, "mlp": "max_epochs"}


def test_reading_the_network_draws_no_random_numbers():
    state = torch.get_rng_state()
    curves.load.__wrapped__(curves.CURVES)
    assert torch.equal(state, torch.get_rng_state())


@pytest.fixture(scope="module")
def task():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 3))
    y = np.where(X[:, 0] * X[:, 1] + 0.3 * rng.normal(size=150) > 0, "p", "q")
    colour = pd.Categorical(rng.choice(["r", "g"], 150))
    return make_task(pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": colour, "y": y}), "y", name="t")


def job_of(task, model, n_steps, **more):
    split = make_splits(task, 3, 1, 0)[0]
    config = json.dumps({WATCHED[model]: n_steps})
    return Job("t", task.digest, 0, 0, split.digest, model, config, protocol="tabbench", **more), split


# the prior


def test_curves_of_the_prior_are_what_the_paper_says():
    rng = np.random.default_rng(0)
    facts = rng.standard_normal((4000, prior.N_FACTS))
    found = prior.curves_of(facts)
    assert 0.18 < found.allowed.mean() < 0.23  # of the published prior a fifth
    straight = facts.copy()
    straight[:, 13] = 1.0  # time runs on as it did
    values = prior.curves_of(straight).values[found.allowed]
    assert ((values >= 0) & (values <= 1)).all()
    assert (values[:, -1] > values[:, 0]).all()
    assert np.log(found.noise).mean() == pytest.approx(-4, abs=0.1)
    f, y = prior.sample_curves(rng, 300)
    assert f.shape == y.shape == (300, prior.N_STEPS)
    turned = f.max(axis=1) - f[:, -1] > 0.01
    assert 0.25 < turned.mean() < 0.55


def test_a_power_law_is_what_its_numbers_say():
    facts = np.zeros((1, prior.N_FACTS))
    facts[0, 1:3] = -40  # weights of the other families: nothing
    facts[0, 13] = 1.0
    t = np.arange(1, 101)
    assert prior.curves_of(facts).values[0] == pytest.approx(0.5 * 0.625 + 0 * t)  # a = 0: a constant
    facts[0, 4] = 40  # a = .6
    assert prior.curves_of(facts).values[0] == pytest.approx(0.5 * (0.625 - 0.6 / t))


def test_lessons_repeat_themselves_and_lie_about_the_last_known_value():
    one, two = (curves.sample_lessons(0, 3, 8, 100, 12, 1) for _ in range(2))
    assert all(np.array_equal(*pair) for pair in zip(one, two, strict=True))
    cells, known, later = one
    assert cells.shape == (8, 12 + curves.N_ASKED, curves.CELL)
    assert known.shape == (8, 12)
    assert later.shape == (8, curves.N_ASKED)
    assert not known[:, -1].any()


# what the network says


def test_the_packaged_network_has_learned_to_continue_curves():
    network, ours, flat = curves.load(), [], []
    assert curves.CURVES.stat().st_size < 2**22
    for n_known in (10, 40, 80):
        batch = curves.sample_lessons(1, n_known, 60, 100, n_known, 1)
        cells, known, later = (torch.from_numpy(part).double() for part in batch)
        with torch.inference_mode():
            bars = network(cells, known)
        assert torch.allclose(bars.exp().sum(dim=-1), torch.ones(1).double())
        ours.append(float(curves.log_density(bars, network.borders, later).mean()))
        flat.append(float(curves.log_density(torch.full_like(bars, -math.log(curves.N_BARS)), network.borders, later).mean()))
    assert ours[0] < ours[2]
    assert np.mean(ours) > np.mean(flat) + 0.5


def falling(n, low=0.3, start=0.69, rate=0.1):
    return low + (start - low) * np.exp(-rate * np.arange(1, n + 1))


def test_a_fit_that_levels_off_far_above_the_incumbent_is_hopeless_and_one_below_it_is_not():
    assert curves.hopeless(falling(40, low=0.6), 100, 0.69, 0.2)
    assert not curves.hopeless(falling(40, low=0.25), 100, 0.69, 0.35)
    assert not curves.hopeless(falling(10, low=0.2, rate=0.03), 100, 0.69, 0.5)


def test_the_chances_are_probabilities_and_fall_with_the_incumbent():
    losses = falling(20)
    found = [curves.chances(losses, 100, 0.69, best) for best in (0.25, 0.3, 0.35, 0.6)]
    assert all(((one >= 0) & (one <= 1)).all() and len(one) == 80 for one in found)
    assert found[0].max() < found[2].max()
    assert (found[3] > 0.5).all()


@pytest.mark.parametrize("losses", [[0.5], [math.nan] * 5, [], [math.inf, math.nan, 0.4]])
def test_of_fewer_than_two_losses_nothing_is_said(losses):
    assert not curves.hopeless(np.array(losses), 50, 0.69, 0.1)


@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_a_loss_that_is_none_is_left_out(odd):
    losses = falling(40, low=0.6)
    losses[[3, 17]] = odd
    assert np.isfinite(curves.chances(losses, 100, 0.69, 0.2)).all()
    assert curves.hopeless(losses, 100, 0.69, 0.2)


@pytest.mark.parametrize("incumbent", [0.0, 0.69, 5.0])
def test_any_incumbent_gives_a_defined_answer(incumbent):
    found = curves.chances(falling(10), 50, 0.69, incumbent)
    assert np.isfinite(found).all()
    assert np.isfinite(curves.chances(falling(10), 50, 0.0, incumbent)).all()


def test_the_band_of_a_curve_holds_what_comes_and_widens():
    t = np.arange(1, 101)
    losses = 0.3 + 0.4 * t**-0.6
    early, late = (curves.band(losses[:n], 100) for n in (20, 60))
    assert early.shape == (80, 3)
    assert (np.diff(early) > 0).all()
    assert ((early[:, 0] < losses[20:]) & (losses[20:] < early[:, 2])).mean() > 0.9
    assert np.ptp(early[0]) < np.ptp(early[-1])
    assert np.abs(late[:, 1] - losses[60:]).max() < 0.02
    assert curves.band(np.array([np.nan]), 100).shape == curves.band(losses, 100).shape == (0, 3)
    assert np.isfinite(curves.band(np.array([0.5]), 2)).all()


def test_long_fits_are_thinned_and_short_ones_have_few_checks():
    assert len(curves.grid(1000)) == 100
    assert curves.grid(7).tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert curves.checks(100) == [10, 20, 40, 80]
    assert curves.checks(1) == []
    assert curves.checks(3) == [2]
    assert len(curves.chances(falling(400), 1000, 0.69, 0.2)) == 60


# fits that are watched


@pytest.mark.parametrize("model", WATCHED)
def test_a_watched_fit_is_as_any_other_until_it_is_ended(task, model):
    pytest.importorskip({"hist_gbdt": "sklearn", "mlp": "torch"}.get(model, model))
    job, split = job_of(task, model, 20)
    plain, watched = execute(job, task, split), execute(replace(job, stop="pfn"), task, split)
    assert watched.status == "ok", watched.details
    tolerance = 1e-2 if model == "hist_gbdt" else 1e-6  # whose pieces begin with rounded predictions
    assert watched.proba == pytest.approx(plain.proba, abs=tolerance)
    assert watched.facts["n_steps"] == 20
    assert "stopped_at" not in watched.facts
    assert watched.facts["watched_loss"] == pytest.approx(watched.curve[:, 1].min(), abs=0.2)


@pytest.mark.parametrize("model", WATCHED)
def test_a_fit_without_hope_is_ended_and_the_trial_is_one_of_fewer_steps(task, model, monkeypatch):
    pytest.importorskip({"hist_gbdt": "sklearn", "mlp": "torch"}.get(model, model))
    monkeypatch.setattr("tabbench.pfn.curves.hopeless", lambda losses, *_: len(losses) >= 4)
    job, split = job_of(task, model, 20, stop="pfn", incumbent=0.01)
    run = execute(job, task, split)
    assert run.status == "ok", run.details
    assert run.facts["stopped_at"] == 4
    assert run.curve[-1, 0] == 4
    assert run.validation.proba.shape[0] == len(split.train)
    short, _ = job_of(task, model, 4)
    seeded = replace(short, seed=job.seed)
    if model in ("xgboost", "lightgbm"):  # which draw nothing here: the seeds of the two jobs differ
        assert run.proba == pytest.approx(execute(seeded, task, split).proba, abs=1e-6)


@pytest.mark.parametrize("steering", [{"groups": "who"}, {"time": "when"}], ids=["groups", "time"])
def test_a_network_is_not_watched_where_rows_come_in_groups_or_times_and_the_run_says_so(steering):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=90), "y": np.arange(90) % 2})
    frame[next(iter(steering.values()))] = np.arange(90) // 5
    task = make_task(frame, "y", name="t", **steering)
    split = make_splits(task, 3, None, 0)[0]
    job = Job("t", task.digest, 0, 0, split.digest, "mlp", '{"max_epochs": 8}', protocol="tabbench", stop="pfn", incumbent=0.01)
    run = execute(job, task, split)
    assert run.status == "ok", run.details
    assert "n_steps" not in run.facts
    spec = Spec(models=("hist_gbdt", "mlp", "tree"), stop="pfn")
    assert unwatched(spec, [task]) == ["--stop pfn does not watch mlp on tables with groups or times: t"]
    assert unwatched(replace(spec, stop=None), [task]) == unwatched(spec, []) == []


def test_without_an_incumbent_nothing_is_ended(task, monkeypatch):
    monkeypatch.setattr("tabbench.pfn.curves.hopeless", lambda *_: True)
    job, split = job_of(task, "xgboost", 20, stop="pfn")
    assert "stopped_at" not in execute(job, task, split).facts


def test_a_watch_of_losses_that_are_none_has_no_least():
    watch = Watch(10, 0.69, None, 1)
    assert all(watch(step, math.nan) for step in range(1, 11))
    assert watch.facts == {"n_steps": 10}


# searches


def test_keys_are_as_they_were_unless_fits_may_be_ended():
    job = Job("t", "d", 0, 0, "s", "xgboost", protocol="tabbench")
    keys = {job.key, replace(job, stop="pfn").key, *(replace(job, stop="pfn", incumbent=best).key for best in (0.1, 0.2))}
    assert len(keys) == 4
    assert replace(job, incumbent=0.1).key == job.key
    with pytest.raises(ValueError, match="incumbent"):
        read_job(json.dumps({**asdict(job), "incumbent": -1.0}))


def series(search, n=5, stop="pfn"):
    job = Job("t", "d", 0, 0, "s", "xgboost", protocol="tabbench", stop=stop)
    return Series(job, {"learning_rate": Range(0.01, 0.3, log=True)}, n, search)


def followed(rounds, value):
    jobs, losses = [], None
    while True:
        try:
            found = next(rounds) if losses is None else rounds.send(losses)
        except StopIteration:
            return jobs
        jobs += found
        losses = [value(len(jobs))] * len(found)


@pytest.mark.parametrize("search", ["random", "pfn"])
def test_each_trial_is_told_the_least_loss_of_those_before_it(search):
    least = [0.5, 0.6, 0.4, 0.45, 0.3]
    jobs = followed(series(search).rounds(), lambda n: Outcome(1.0, {}, least[n - 1]))
    assert [job.incumbent for job in jobs] == [None, 0.5, 0.5, 0.4, 0.4]
    assert [job.trial for job in jobs] == list(range(5))
    plain = followed(series(search, stop="").rounds(), lambda n: Outcome(1.0, {}))
    assert [job.config for job in jobs] == [job.config for job in plain]


def test_trials_that_failed_are_no_incumbents():
    jobs = followed(series("random", n=3).rounds(), lambda _: math.inf)
    assert [job.incumbent for job in jobs] == [None] * 3


def test_what_cannot_be_stopped_is_said():
    with pytest.raises(UserError, match="there is pfn"):
        check_stop("soon", "random", PROTOCOLS["tabbench"])
    with pytest.raises(UserError, match="patience"):
        check_stop("pfn", "random", PROTOCOLS["tabzilla"])
    with pytest.raises(UserError, match="halving"):
        check_stop("pfn", "halving", PROTOCOLS["tabbench"])


# whole runs


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(90, 3))
    frame = pd.DataFrame(X, columns=list("abc")).assign(y=np.where(X[:, 0] + X[:, 1] > 0, "p", "q"))
    path = tmp_path_factory.mktemp("table") / "t.csv"
    frame.to_csv(path, index=False)
    return path


def run(table, out, workers=1, **more):
    asked = {"models": ["hist_gbdt", "tree"], "configs": 3, "folds": 2, "stop": "pfn", "quiet": True, **more}
    return api.run(data=table, target="y", out=out, resources=Resources(workers, 1, 120.0, 2000.0), **asked)


def test_a_run_stops_trials_is_verified_and_repeats_itself_with_two_workers(table, tmp_path):
    one, two = run(table, tmp_path / "one"), run(table, tmp_path / "two", workers=2)
    trials = one.jobs
    assert trials["n_steps"].notna().sum() == 6
    assert trials.loc[trials["model"] == "tree", "n_steps"].isna().all()  # is not trained in steps
    assert trials.loc[trials["trial"] == 0, "incumbent"].isna().all()
    assert trials.loc[(trials["trial"] > 0) & trials["n_steps"].notna(), "incumbent"].notna().all()
    times = [name for name in trials if "seconds" in name or "rss" in name]
    assert trials.drop(columns=times).equals(two.jobs.drop(columns=times))
    found = verify(tmp_path / "one", level=2)
    assert not found.problems
    assert "trials were stopped early" in str(found)
    [row] = stopped_trials(trials)
    assert row.n_watched == 6
    assert "Trials that were stopped" in (tmp_path / "one" / "report.html").read_text(encoding="utf-8")
    again = run(table, tmp_path / "one")
    assert set(again.jobs["key"]) == set(trials["key"])
    with pytest.raises(UserError, match="stop=pfn"):
        run(table, tmp_path / "one", stop=None)

    with sqlite3.connect(tmp_path / "two" / NAME) as db:  # somebody says that a trial was stopped
        db.execute("UPDATE runs SET facts = json_set(facts, '$.stopped_at', 900) WHERE facts LIKE '%n_steps%'")
    with ResultStore(tmp_path / "two" / NAME) as store:
        assert store.damaged()


def test_one_configuration_leaves_nothing_to_stop(table, tmp_path):
    results = run(table, tmp_path / "out", configs=1, models=["hist_gbdt"])
    assert results.manifest["run"].get("stop") is None
    assert (results.frame["status"] == "ok").all()
    assert get_model("hist_gbdt").steps.watch is not None


def test_the_command_says_what_does_not_go_together(table, tmp_path, capsys):
    words = ["run", "--data", str(table), "--target", "y", "--models", "tree", "--configs", "2", "--out", str(tmp_path / "x")]
    assert main([*words, "--stop", "soon"]) == 2
    assert "there is pfn" in capsys.readouterr().err
    assert main([*words, "--stop", "pfn", "--search", "halving"]) == 2
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_the_packaged_network_is_about_as_near_to_the_truth_as_the_posterior_of_its_prior():
    from benchmarks.curve_posterior import KNOWN, draw, network_density, posterior_densities

    network, rng, gaps = curves.load(), np.random.default_rng(2), []
    for _ in range(16):
        y = draw(rng)[1]
        exact = posterior_densities(y, 800, 4, rng)
        gaps.append([there - network_density(network, y, n) for n, there in zip(KNOWN, exact, strict=True)])
    assert np.median(gaps) < 0.1
    assert np.mean(gaps) < 0.2
