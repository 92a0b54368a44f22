"""A model on disk: its records, its folder, its archive, and the store that holds it."""
