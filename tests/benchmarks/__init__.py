"""Long measurements, run by hand, and tests of their modules."""
