"""The training loop, independent of the networks that it trains."""
