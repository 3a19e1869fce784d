"""Private parts of other packages that we lean on: one test each, which names the version they were seen on.

One that fails after an upgrade says what to look at before anything else does.
"""

import multiprocessing
from multiprocessing import forkserver

import pytest


def test_the_fork_server_can_be_stopped_and_let_go_of():
    """Python 3.11: `tabbench.engine.sandbox` stops it, closes its alive pipe in children, and asks for its process id."""
    server = forkserver._forkserver
    assert callable(server._stop)
    assert {"_forkserver_pid", "_forkserver_alive_fd"} <= vars(server).keys()


def test_a_process_says_in_its_config_that_it_is_a_daemon():
    """Python 3.11: `tabbench.engine.remote` lets Dask's workers, which are daemons, have children."""
    process = multiprocessing.Process(daemon=True)
    assert process._config["daemon"] is True
    assert isinstance(multiprocessing.current_process()._config, dict)


def test_a_dask_worker_knows_the_state_of_its_tasks():
    """distributed 2026: `tabbench.engine.remote` sees there that nobody waits for a job any more."""
    machine = pytest.importorskip("distributed.worker_state_machine")
    state = machine.WorkerState()
    assert state.tasks == {}
    task = machine.TaskState(key="x", run_id=0)
    assert isinstance(task.state, str)


def test_the_openml_client_has_one_place_that_logs_and_that_asks():
    """openml 0.15: `tabbench.data.openml.client` silences it, and `patience` puts its own session into requests."""
    openml = pytest.importorskip("openml")
    assert hasattr(openml._api_calls, "logging")
    assert openml._api_calls.requests.Session is __import__("requests").Session


def test_torch_moves_many_tensors_towards_others_at_once():
    """torch 2.13: `tabbench.pfn.trainer` keeps its average of weights so."""
    torch = pytest.importorskip("torch")
    kept = [torch.zeros(2)]
    torch._foreach_lerp_(kept, [torch.ones(2)], 0.25)
    assert kept[0].tolist() == [0.25, 0.25]
