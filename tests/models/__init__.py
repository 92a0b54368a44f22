"""Tests of the workshop that learns."""
