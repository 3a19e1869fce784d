import os
import subprocess
import sys
import types
from importlib.metadata import EntryPoint

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier

import tabbench.models
from benchmarks.support.bad_models import ACTS, MOMENTS, write_models
from tabbench.data.task import make_task
from tabbench.errors import UserError
from tabbench.models import MODELS, Limits, Model, Needs, get_model, load_models, missing_imports, model
from tabbench.prepare.preprocess import Preprocessor
from tabbench.registry import Registry
from tabbench.store.importers import family_by_name

load_models()
# networks share one trainer: mlp and resnet stand for it here, tests/test_nets.py asks every one, and the guests, in fewer epochs
LONG = {"tabbench.models.nets.trainer", "tabbench.models.nets.guests"}
SHARED = {name for name, entry in MODELS.items() if LONG & {*entry.imports}} - {"resnet"}
NAMES = [name for name in MODELS if name not in SHARED]


def mixed_table(n=90, seed=0):
    """Numbers, categories and gaps, awkward names, and a class with a single row; the class depends on both kinds."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            'a b,{"x":[1]}': rng.normal(size=n),
            "<n>": rng.lognormal(size=n) * 1e4,
            "c": rng.choice(["red", "green", "blue"], n),
            "empty": np.full(n, np.nan),
            "constant": np.ones(n),
        }
    )
    label = np.where(frame["c"] == "red", "r", np.where(frame.iloc[:, 0] > 0, "up", "down"))
    label[0] = "rare"
    frame.loc[::9, "<n>"] = np.nan
    frame.loc[::11, "c"] = None
    return make_task(frame.assign(label=label), "label", name="mixed")


def MLP(n_threads=1):
    return MODELS["mlp"].build(seed=0, threads=n_threads)


def fit_predict(name, X, y, X_test, seed=0, threads=1):
    entry = MODELS[name]
    preprocessor = Preprocessor(entry.needs).fit(X)
    estimator = entry.build(seed=seed, threads=threads).fit(preprocessor.transform(X), y)
    return estimator, preprocessor.transform(X_test)


@pytest.fixture(params=NAMES)
def name(request):
    if missing_imports(MODELS[request.param]):
        pytest.skip(f"{missing_imports(MODELS[request.param])} not installed")
    return request.param


def test_the_registry_holds_the_models_of_the_benchmark():
    assert {
        *("dummy", "logreg", "knn", "svm", "tree", "random_forest", "extra_trees"),
        *("hist_gbdt", "xgboost", "lightgbm", "catboost", "mlp"),
    } <= set(NAMES)


def test_each_model_says_what_it_is(name):
    entry = MODELS[name]
    assert entry.name == name
    assert len(entry.summary) > 20
    assert all(isinstance(value, int | float | str | None) for value in entry.defaults.values())
    given = entry.build(seed=1, threads=1, **entry.defaults)
    assert repr(given) == repr(entry.build(seed=1, threads=1))


def test_probabilities_on_a_mixed_table(name, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    task, test = mixed_table(), mixed_table(seed=1)
    state = np.random.get_state()[1].copy()  # noqa: NPY002 - to see that nobody touched it
    estimator, X_test = fit_predict(name, task.X, task.y, test.X)
    proba = estimator.predict_proba(X_test)
    assert proba.shape == (len(test.y), 4)
    assert np.isfinite(proba).all()
    assert proba.min() >= 0
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-5)
    assert estimator.classes_.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(estimator.predict(X_test), proba.argmax(axis=1))
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002
    assert not list(tmp_path.iterdir()), "a model left files in the working directory"
    assert capfd.readouterr() == ("", ""), "a model printed something"


def test_better_than_chance(name):
    task, test = mixed_table(200), mixed_table(200, seed=1)
    estimator, X_test = fit_predict(name, task.X, task.y, test.X)
    share = np.bincount(test.y).max() / len(test.y)
    hits = np.mean(estimator.predict(X_test) == test.y)
    assert hits > share + 0.15 if name != "dummy" else hits <= share


def test_two_threads(name):
    task, test = mixed_table(), mixed_table(seed=1)
    one, two = (fit_predict(name, task.X, task.y, test.X, threads=n) for n in (1, 2))
    near = 0.02 if name == "resnet" else 1e-3  # sums of another order, grown over its batch norms and epochs
    np.testing.assert_allclose(one[0].predict_proba(one[1]), two[0].predict_proba(two[1]), atol=near)


def test_one_column_only(name):
    X = pd.DataFrame({"c": pd.Categorical(list("uvuvuvuvuv") * 4)})
    y = np.tile([0, 1], 20)
    estimator, X_test = fit_predict(name, X, y, X)
    assert name == "dummy" or np.array_equal(estimator.predict(X_test), y)


def test_seed_reaches_the_learner():
    for name in (name for name in ("tree", "random_forest", "extra_trees", "mlp") if not missing_imports(MODELS[name])):
        task, test = mixed_table(), mixed_table(seed=1)
        one, two = (fit_predict(name, task.X, task.y, test.X, seed=seed) for seed in (0, 1))
        assert not np.array_equal(one[0].predict_proba(one[1]), two[0].predict_proba(two[1])), name


def test_mlp_learns_what_a_line_cannot():
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1200, 6))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    hits = np.mean(MLP().fit(X[:800], y[:800]).predict(X[800:]) == y[800:])
    assert hits > 0.9


def test_mlp_bears_extreme_values():
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), np.tile([0, 1], 30)
    X[0, 0], X[1, 1] = 1e30, -1e38
    assert np.isfinite(MLP().fit(X, y).predict_proba(X * 10)).all()


def test_mlp_leaves_torch_alone():
    torch = pytest.importorskip("torch")
    state, n_threads = torch.get_rng_state(), torch.get_num_threads()
    MLP(n_threads=n_threads + 1).fit(np.eye(8), np.tile([0, 1], 4))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_num_threads() == n_threads


@pytest.mark.parametrize("counts", [(40, 10, 1), (1, 1, 1), (3, 2), (500, 1)])
def test_mlp_inner_split(counts):
    torch = pytest.importorskip("torch")
    from tabbench.models.nets.trainer import inner_split

    codes = np.repeat(np.arange(len(counts)), counts)
    with torch.random.fork_rng():
        train, held_out = inner_split(codes)
    assert set(np.unique(codes[train])) == set(range(len(counts)))
    if max(counts) > 1:
        assert sorted([*train.tolist(), *held_out.tolist()]) == list(range(len(codes)))
        for i, n in enumerate(counts):
            assert abs(np.sum(codes[held_out] == i) - n / 5) < 1


def test_loading_models_imports_no_heavy_library():
    code = (
        "import sys, tabbench.models as m; m.load_models(); m.get_model('catboost');"
        "print(sorted({'torch', 'xgboost', 'lightgbm', 'catboost', 'openml'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_missing_imports():
    assert missing_imports(MODELS["dummy"]) == []
    absent = Model("x", MODELS["dummy"].build, Needs(), Limits(), imports=("no_such_package_here", "numpy"))
    assert missing_imports(absent) == ["no_such_package_here"]


def test_unknown_name_suggests_a_near_one():
    with pytest.raises(UserError, match="no model 'catbost': did you mean 'catboost'"):
        get_model("catbost")


OWN = '''
"""Models of a user."""
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tabbench.models import Needs, model

NUMBER = 3

class Forest(RandomForestClassifier):
    """A forest of one's own."""
    tabbench_needs = Needs(categories="ordinal", scaled=False, complete=True)

class Bare:
    """Fits no interface but the methods."""
    def __init__(self, random_state=None, thread_count=9, depth=2):
        self.random_state, self.thread_count, self.depth = random_state, thread_count, depth
    def fit(self, X, y): return self
    def predict(self, X): return X
    def predict_proba(self, X): return X

class NeedsArgument(GaussianNB):
    def __init__(self, alpha, beta=1): self.alpha = alpha

class WrongNeeds(GaussianNB):
    tabbench_needs = "onehot"

def pipeline():
    return make_pipeline(StandardScaler(), RandomForestClassifier(n_jobs=-1, random_state=5))

def breaks():
    raise RuntimeError("no licence\\nfound")

@model("own_registered", needs=Needs(categories="native"))
def registered(seed, threads, C=2.0):
    """Logistic regression of one's own."""
    return LogisticRegression(C=C, random_state=seed)
'''


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The working directory holds a user's module; afterwards no trace of it is left."""
    (tmp_path / "own_models.py").write_text(OWN)
    (tmp_path / "broken_models.py").write_text("import no_such_dependency")
    (tmp_path / "raising_models.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    registry: Registry[Model] = Registry("model")
    for name, entry in MODELS.items():
        registry.add(name, entry)
    monkeypatch.setattr(tabbench.models, "MODELS", registry)
    yield
    sys.modules.pop("own_models", None)


@pytest.mark.usefixtures("own")
def test_own_class_with_its_needs():
    found = get_model("own_models:Forest")
    assert found.name == "own_models:Forest"
    assert found.summary == "A forest of one's own."
    assert found.needs == Needs("ordinal", False, True)
    assert found.defaults == {}
    built = found.build(seed=11, threads=2, max_depth=3)
    assert (built.random_state, built.n_jobs, built.max_depth) == (11, 2, 3)
    assert get_model("sklearn.naive_bayes:GaussianNB").needs == Needs("onehot", True, True)


@pytest.mark.usefixtures("own")
def test_own_factory_pipeline_and_bare_class():
    forest = get_model("own_models:pipeline").build(seed=11, threads=2)[-1]
    assert (forest.random_state, forest.n_jobs) == (11, 2)
    bare = get_model("own_models:Bare").build(seed=11, threads=2, depth=4)
    assert (bare.random_state, bare.thread_count, bare.depth) == (11, 2, 4)


@pytest.mark.usefixtures("own")
def test_a_classifier_of_probabilities_alone_is_a_model_and_so_is_every_bad_one_of_the_attacks(tmp_path, monkeypatch):
    write_models(tmp_path / "bad_models.py")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("RUNNER", str(os.getpid()))  # in which they are only looked at
    for moment in MOMENTS:
        for act in ACTS:
            assert get_model(f"bad_models:{act}_{moment}").name == f"bad_models:{act}_{moment}"
    assert not hasattr(get_model("bad_models:spins_fit").build(seed=0, threads=1), "predict")
    sys.modules.pop("bad_models")


@pytest.mark.usefixtures("own")
def test_own_registered_model_keeps_the_name_it_was_asked_by():
    found = get_model("own_models:registered")
    assert found.name == "own_models:registered"  # a fresh process must find it by this name
    assert found.needs.categories == "native"
    assert found.defaults == {"C": 2.0}


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("own_model:Forest", "no module 'own_model': install it or run in the folder that holds it"),
        ("sklearn.nothing:Forest", "no module 'sklearn.nothing'"),
        (":Forest", "fails"),
        ("own_models:Forrest", "has no 'Forrest': did you mean 'Forest'"),
        ("own_models:", "has no ''"),
        ("own_models:NUMBER", "an object of type int, not a classifier"),
        ("own_models:NeedsArgument", r"requires arguments \(alpha\)"),
        ("own_models:LinearRegression", "type LinearRegression, which is not a classifier"),
        ("own_models:StandardScaler", "type StandardScaler, which is not a classifier"),
        ("own_models:WrongNeeds", "tabbench_needs is an object of type str"),
        ("own_models:breaks", "cannot be built: RuntimeError: no licence found"),
        (
            "broken_models:Any",
            "importing 'broken_models' fails: ModuleNotFoundError: No module named 'no_such_dependency'",
        ),
        ("raising_models:Any", "importing 'raising_models' fails: ZeroDivisionError"),
    ],
)
def test_mistakes_in_one_line(name, message):
    with pytest.raises(UserError, match=message) as caught:
        get_model(name)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("own")
def test_entry_points(monkeypatch):
    points = [
        EntryPoint("own_forest", "own_models:Forest", "tabbench.models"),
        EntryPoint("own_registered", "own_models:registered", "tabbench.models"),
    ]
    monkeypatch.setattr(tabbench.models, "entry_points", lambda group: points if group == "tabbench.models" else [])
    sys.path.append(".")
    load_models.__wrapped__()
    assert tabbench.models.MODELS["own_forest"].needs.categories == "ordinal"
    assert list(tabbench.models.MODELS).count("own_registered") == 1
    broken = EntryPoint("bad", "no_such_dependency:X", "tabbench.models")
    monkeypatch.setattr(tabbench.models, "entry_points", lambda group: [broken])
    with pytest.raises(UserError, match=r"entry point 'bad' \(no_such_dependency:X\) fails to load: ModuleNotFoundError"):
        load_models.__wrapped__()


def test_a_name_is_given_once(monkeypatch):
    registry: Registry[Model] = Registry("model")
    monkeypatch.setattr(tabbench.models, "MODELS", registry)
    build = types.FunctionType((lambda seed, threads: None).__code__, {})
    assert model("twice")(build).name == "twice"
    with pytest.raises(UserError, match="'twice' is registered twice"):
        model("twice")(build)


def test_every_model_of_ours_says_its_family_and_so_may_a_foreign_one():
    load_models()
    own = {name: entry.family for name, entry in MODELS.items() if ":" not in name and name != "own_registered"}
    assert [name for name, family in own.items() if family == "other"] == ["xrfm"]  # kernel machines that learn features
    assert {name: family_by_name(name) for name in own} == own  # as folders from before they were recorded are read
    assert get_model("tests.test_models:Boosted").family == "boosting"


class Boosted(DummyClassifier):
    tabbench_family = "boosting"


@pytest.mark.parametrize("forest", ["random_forest", "extra_trees"])
def test_what_the_threads_of_a_forest_round_otherwise_is_within_its_tolerance(forest):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 4))
    y = (X[:, 0] + rng.normal(size=4000) > 0).astype(int)
    fitted = MODELS[forest].build(seed=0, threads=2, n_estimators=60, min_samples_leaf=3).fit(X[:400], y[:400])
    first, *others = (fitted.predict_proba(X) for _ in range(8))
    assert max(np.abs(other - first).max() for other in others) <= MODELS[forest].tolerance < 1e-9
