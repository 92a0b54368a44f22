"""Promises between the packages."""
