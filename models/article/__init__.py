"""The article's preset: a DCGAN auto-encoder with one code for each 64 px picture."""
