"""Tests of `evidence.review`."""
