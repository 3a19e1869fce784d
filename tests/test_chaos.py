"""A few rounds of kill -9 at random moments; `benchmarks/chaos.py` does a hundred."""

import pytest

from benchmarks.chaos import chaos


@pytest.mark.slow
def test_killed_runs_resume_to_the_same_tables(tmp_path):
    chaos(tmp_path, rounds=2, seed=1)
