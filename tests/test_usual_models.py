"""A run that names no models takes the usual ones that can be imported here, and says which it goes without."""

import pandas as pd
import pytest

import tabbench
from tabbench import models
from tabbench.request import DEFAULT_MODELS

ABSENT = ("catboost", "xgboost", "lightgbm", "torch", "safetensors")


@pytest.fixture
def without_extras(monkeypatch):
    monkeypatch.setattr(models, "_is_installed", lambda package: package not in ABSENT)


def table():
    return pd.DataFrame({"a": range(24), "y": ["p", "q"] * 12})


def test_what_cannot_be_imported_is_left_out_and_said(without_extras, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path / "data"))
    usual, lacking = models.usual_models()
    assert set(usual) | set(lacking) == set(DEFAULT_MODELS)
    assert {"xgboost", "lightgbm", "catboost", "mlp", "pfn"} == set(lacking)
    results = tabbench.run(data=table(), target="y", out=tmp_path / "out", folds=2)
    assert sorted(results.frame["model"].unique()) == sorted(usual)
    said = " ".join(capsys.readouterr().err.split())
    assert "not installed and left out: xgboost, lightgbm, catboost, mlp, pfn: pip install 'tabbench-harness[bench]'" in said


def test_asked_for_by_name_it_is_unsupported(without_extras, tmp_path, monkeypatch):
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path / "data"))
    results = tabbench.run(data=table(), target="y", models=["dummy", "xgboost"], out=tmp_path / "out", folds=2, quiet=True)
    assert set(results.frame.query("model == 'xgboost'")["status"]) == {"unsupported"}
