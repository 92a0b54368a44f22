"""The inspection network and everything that it scores with."""
