"""A watched folder: pictures that arrive are scored, written down and sorted."""
