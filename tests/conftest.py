"""What all tests share."""

import signal

# A shell in the background ignores SIGINT, and so would the runners that tests start and stop with it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
