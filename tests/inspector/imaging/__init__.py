"""Tests of inspector.imaging."""
