"""Learns what normal looks like, and exports it.

>>> import models
>>> models.fit.__name__
'fit'
"""

from models.fit import fit

__all__ = ["fit"]
