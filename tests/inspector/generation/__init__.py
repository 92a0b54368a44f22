"""Tests of inspector.generation."""
