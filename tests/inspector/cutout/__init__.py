"""Tests of inspector.cutout."""
