"""Where things lie."""

import os
from pathlib import Path

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("ERLANGEN_DATA", ROOT.parent / "shared" / "data"))
ORACLES = ROOT.parent / "shared" / "oracles"
