"""Tests of calibration.report."""
