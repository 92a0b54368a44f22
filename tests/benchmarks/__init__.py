"""Long measurements, run by hand, and the tests of what they are made of."""
