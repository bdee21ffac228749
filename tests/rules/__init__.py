"""Tests of `evidence.rules`."""
