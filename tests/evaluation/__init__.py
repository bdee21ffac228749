"""Tests of `evidence.evaluation`."""
