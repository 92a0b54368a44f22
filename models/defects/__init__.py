"""Synthetic defects: shapes, contents, and the labelled corruption of normal pictures."""

from models.defects.corruption import Corrupted, corrupt

__all__ = ["Corrupted", "corrupt"]
