"""The daemon's routes, one file for each group."""
