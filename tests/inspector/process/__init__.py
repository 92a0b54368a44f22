"""Tests of inspector.process."""
