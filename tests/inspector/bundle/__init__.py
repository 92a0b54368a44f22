"""Tests of inspector.bundle."""
