"""The pretrained weights, and how they are made."""
