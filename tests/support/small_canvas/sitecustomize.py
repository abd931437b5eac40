"""Makes every canvas small, and encoding fast, in the processes of a trial.

Python imports this by itself where this folder is on PYTHONPATH.
"""

from dataclasses import replace

from merger.timeline import profiles
from tests.support.fast_encoder import FAST_ENCODERS

LINES = 180

profiles.PROFILES = {name: replace(p, lines=LINES) for name, p in profiles.PROFILES.items()}
profiles.ENCODERS = FAST_ENCODERS
