"""Make the sentiment example's modules importable, as they are for its own scripts."""

import sys
from pathlib import Path

SENTIMENT = Path(__file__).parents[2] / "examples" / "sentiment"
sys.path.insert(0, str(SENTIMENT))
