"""Tests of `evidence.database`."""
