"""Watches a folder: scores new pictures, writes results, sorts pictures by verdict."""
