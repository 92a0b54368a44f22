"""Learns what normal looks like, and exports it.

>>> import models
>>> models.fit.__name__
'fit'
"""

import atexit
import os
from shutil import rmtree
from tempfile import mkdtemp

# How often a thread of torch looks for work before it sleeps; the default of GNU OpenMP is 300,000.  Alone it
# makes no difference; where other programs keep the cores busy, a step takes 5 times as long instead of 12.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

# torch loads its compiler for training and export, and never runs it for us.  Yet the compiler makes its
# cache folder at once, under a name that every user of the computer knows.  So it gets a private one, which
# ends with the process.
if "TORCHINDUCTOR_CACHE_DIR" not in os.environ:
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = mkdtemp(prefix="inspector-")
    atexit.register(rmtree, os.environ["TORCHINDUCTOR_CACHE_DIR"], ignore_errors=True)

from models.fit import fit  # both variables have to be set before torch is imported

__all__ = ["fit"]
