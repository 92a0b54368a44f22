"""Tests of inspector.watch."""
