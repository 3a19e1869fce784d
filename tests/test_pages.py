"""Large pages of a fork server: everything is what it was, in fewer pages."""

import subprocess
import sys

import pytest

SERVER = """
import os
import numpy as np
from tabbench.engine.pages import into_large_pages

def large():
    return sum(int(line.split()[1]) for line in open("/proc/self/smaps_rollup") if line.startswith("AnonHugePages"))

kept = np.arange(4_000_000)
lists = [[number] for number in range(200_000)]
before = large()
into_large_pages()
after = large()
child = os.fork()
assert kept.sum() == 4_000_000 * 3_999_999 // 2 and lists == [[number] for number in range(200_000)]
kept[:] = child == 0
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0 and kept.sum() == 0
print(after > before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="large pages are asked for on Linux alone")
def test_what_is_in_large_pages_is_what_it_was():
    done = subprocess.run([sys.executable, "-c", SERVER], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    if done.stdout.strip() != "True":
        pytest.skip("this kernel keeps small pages")
