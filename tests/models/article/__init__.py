"""Tests of the article's preset."""
