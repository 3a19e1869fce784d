"""What all tests share."""

import signal
from importlib.util import find_spec

from hypothesis import HealthCheck, settings

# A shell in the background ignores SIGINT, and so would the runners that tests start and stop with it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

if find_spec("openml"):
    pytest_plugins = ["tests.support.openml_fixtures"]

# A slow machine is no fault of what is tested.
settings.register_profile("tabbench", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tabbench")
