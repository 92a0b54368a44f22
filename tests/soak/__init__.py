"""Long tests, run one by one: `python -m tests.soak.NAME` prints figures, and exits with 1 on a failure."""
