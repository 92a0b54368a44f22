"""Tests of inspector.scoring."""
