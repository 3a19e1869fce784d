"""The requirements for models: our own meet all of them, each misfit breaks the one it is made to break."""

import subprocess
import sys

import pytest

from tabbench.cli import main
from tabbench.engine.sandbox import stop_server
from tabbench.errors import UserError
from tabbench.models import MODELS, load_models, missing_imports
from tabbench.testing import REQUIREMENTS, check, require

load_models()
MISFITS = "tests.support.misfits"


# networks share one trainer: mlp and resnet stand for it here, tests/test_nets.py asks every one, and the guests, in fewer epochs
LONG = {"tabbench.models.nets.trainer", "tabbench.models.nets.guests"}
SHARED = {name for name, model in MODELS.items() if LONG & {*model.imports}} - {"resnet"}
NAMES = [name for name, model in MODELS.items() if name not in SHARED and not missing_imports(model)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "requirement", [pytest.param(name, marks=[pytest.mark.slow] * (name == "own_process")) for name in REQUIREMENTS]
)
def test_our_models_meet_every_requirement(requirement, name):
    require(name, requirement)


@pytest.mark.parametrize(
    ("misfit", "breaks", "says"),
    [
        ("SumsToTwo", "probabilities", "a sum of probabilities is off by 1"),
        ("Labels", "probabilities", "no predict_proba"),
        ("Swapped", "column_order", "is the predicted one in"),
        ("CountsToFour", "absent_class", "expected (31, 3)"),
        ("Moody", "same_seed", "two fits with seed 7 differ"),
        ("LooksAround", "test_rows", "with other test rows"),
        ("LooksAround", "one_row", "alone it gets"),
        ("RefusesOneColumn", "one_column", "ValueError: three columns at least"),
        ("AtHomeOnly", "own_process", "KeyError: 'NEVER_EXPORTED'"),
    ],
)
def test_misfits_are_told_in_plain_words(misfit, breaks, says, monkeypatch):
    stop_server()  # it has the environment of earlier tests
    require(f"{MISFITS}:Unpicklable", breaks)
    if misfit == "AtHomeOnly":
        require(f"{MISFITS}:Unpicklable", "own_process")  # so that there is a server, without what follows
        monkeypatch.setenv("NEVER_EXPORTED", "1")
        require(f"{MISFITS}:{misfit}", "probabilities")
    with pytest.raises(AssertionError) as unmet:
        require(f"{MISFITS}:{misfit}", breaks)
    assert says in str(unmet.value)
    assert "\n" not in str(unmet.value)


def test_pickling_is_not_asked_for():
    assert [answer for answer in check(f"{MISFITS}:Unpicklable") if answer.reason] == []


def test_the_command_answers_every_point(capsys):
    assert main(["check", "dummy"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:5] for line in lines[:-1]] == ["yes  "] * len(REQUIREMENTS)
    assert lines[-1] == f"dummy meets {len(REQUIREMENTS)} of {len(REQUIREMENTS)} requirements"
    assert main(["check", f"{MISFITS}:SumsToTwo"]) == 1
    assert "no   Probabilities of every class, finite, not negative, with sum 1: a sum" in capsys.readouterr().out
    assert main(["check", "dumy"]) == 2
    assert "did you mean 'dummy'" in capsys.readouterr().err


def test_unknown_requirements_and_absent_packages_are_said():
    with pytest.raises(UserError, match="did you mean 'same_seed'"):
        require("dummy", "same_sed")
    for name in (name for name, model in MODELS.items() if missing_imports(model)):
        with pytest.raises(UserError, match="cannot be checked: install"):
            check(name)


def test_nothing_is_waved_through_without_assertions():
    code = f"from tabbench.testing import require; require('{MISFITS}:SumsToTwo', 'probabilities')"
    run = subprocess.run([sys.executable, "-O", "-c", code], capture_output=True, text=True)
    assert "AssertionError: a sum of probabilities" in run.stderr
