"""``python -m erlangen``: the command line."""

import sys

from erlangen.cli import main

sys.exit(main())
