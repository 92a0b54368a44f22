"""Learns what normal looks like, and exports it.

>>> import models
>>> models.fit.__name__
'fit'
"""

import os

# How often a thread of torch looks for work before it sleeps; the default of GNU OpenMP is 300,000.  Alone it
# makes no difference; where other programs keep the cores busy, a step takes 5 times as long instead of 12.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

from models.fit import fit  # OpenMP reads it when torch is imported

__all__ = ["fit"]
