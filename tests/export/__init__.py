"""Tests of `evidence.export`."""
