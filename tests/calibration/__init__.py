"""Tests of thresholds, fusion, figures and reports."""
