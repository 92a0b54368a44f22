"""Sets thresholds with a promise, and measures how well a model finds defects."""
