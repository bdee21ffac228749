"""Tests of `evidence.crossref`."""
