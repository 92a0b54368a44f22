"""New pictures from a model's decoder."""
