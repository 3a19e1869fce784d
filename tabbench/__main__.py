"""`python -m tabbench`."""

import sys

from tabbench.cli import main

sys.exit(main())
