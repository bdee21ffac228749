"""Tests of `evidence.references`."""
