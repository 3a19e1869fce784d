"""Which tests need a browser."""

import pytest

from benchmarks.support.browser import CHROMIUM

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH")
