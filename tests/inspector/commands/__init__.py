"""Tests of inspector.commands."""
