"""What all tests share."""

import os
import signal
from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, settings

# Before anything that computes is imported: one thread a process unless the caller says otherwise. Beside a second test process,
# the threads of small fits spend their time waiting for each other; tests of threads ask for them by name.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# A shell in the background ignores SIGINT, and so would the runners that tests start and stop with it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

if find_spec("openml"):
    pytest_plugins = ["tests.support.openml_fixtures"]

# A slow machine is no fault of what is tested.
settings.register_profile("tabbench", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tabbench")


@pytest.fixture
def undrawn(monkeypatch):
    """The page of a report is left undrawn, which takes a second; for tests that are about something else."""
    monkeypatch.setattr("tabbench.report.page.render", lambda *_: "not drawn")
