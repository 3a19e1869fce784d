import sys
import types

import numpy as np
import pandas as pd
import pytest

import tabbench.models
from tabbench.data.split import Split
from tabbench.data.task import Task
from tabbench.engine.scoring import reason_unsupported
from tabbench.errors import UserError
from tabbench.job import Job
from tabbench.models import MODELS, load_models, missing_imports

load_models()


class Guest:
    """Stands in for the classifier of a package that is not installed."""

    checkpoint_version = "tabicl-classifier.ckpt"

    def __init__(self, *args, **options):
        self.args, self.options = args, options


@pytest.fixture
def packages(monkeypatch, tmp_path):
    """Packages without weights; the value is the folder where they look for them."""
    hub = {"try_to_load_from_cache": lambda repository, name: None}
    modules = {
        "huggingface_hub": hub,
        "tabicl": {"TabICLClassifier": Guest},
        "tabpfn": {"TabPFNClassifier": Guest},
        "tabpfn.model_loading": {"get_cache_dir": lambda: tmp_path},
    }
    for name, content in modules.items():
        module = types.ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return tmp_path


@pytest.mark.parametrize("name", ["tabicl", "tabpfn"])
def test_without_weights_the_reason_is_one_line(packages, name):
    with pytest.raises(UserError, match=rf"{name} has no local weights \(.* is not in its cache\)") as caught:
        MODELS[name].build(seed=0, threads=1)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"no file nowhere\.ckpt"):
        MODELS[name].build(seed=0, threads=1, weights="nowhere.ckpt")


@pytest.mark.parametrize("name", ["tabicl", "tabpfn"])
def test_weights_of_ones_own_are_passed_on(packages, name):
    weights = packages / "own.ckpt"
    weights.touch()
    guest = MODELS[name].build(seed=3, threads=1, n_estimators=2, weights=str(weights))
    assert guest.options["model_path"] == str(weights)
    assert guest.options["random_state"] == 3
    assert guest.options.get("allow_auto_download", False) is False


def test_the_newest_cached_weights_of_tabpfn_are_taken(packages):
    for name in ("tabpfn-v2.6-classifier.ckpt", "tabpfn-v3-regressor.ckpt"):
        (packages / name).touch()
    assert MODELS["tabpfn"].build(seed=0, threads=1).options["model_path"].endswith("tabpfn-v2.6-classifier.ckpt")


def test_packages_are_named_when_they_are_missing():
    for name in ("tabicl", "tabpfn"):
        assert missing_imports(MODELS[name]) in ([], [name])


@pytest.mark.parametrize(("name", "package"), [("realmlp", "pytabkit"), ("xrfm", "xrfm")])
def test_a_job_of_a_guest_whose_package_is_missing_is_unsupported_in_a_line(name, package, monkeypatch):
    installed = tabbench.models._is_installed
    monkeypatch.setattr(tabbench.models, "_is_installed", lambda asked: asked != package and installed(asked))
    X, y = pd.DataFrame({"a": range(8)}), np.arange(8) % 2
    split = Split(0, 0, np.arange(4), np.arange(4, 8))
    reason = reason_unsupported(Job("t", "0", 0, 0, "0", name), Task("t", X, y, ("no", "yes")), split)
    assert reason in (f"package {package!r} is not installed", "package 'torch' is not installed")
