"""Tests of `evidence.linkage`."""
