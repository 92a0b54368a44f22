"""Removing the background of pictures: what stands out from the border is kept."""
