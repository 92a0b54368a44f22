"""The training loop, which knows nothing of what it trains."""
