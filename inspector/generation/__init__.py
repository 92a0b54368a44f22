"""New pictures from a model's decoder, and a test for memorised training pictures."""
