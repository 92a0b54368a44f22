"""The article's preset: a DCGAN auto-encoder with one latent vector for each picture of 64 px."""
