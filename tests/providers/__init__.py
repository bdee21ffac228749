"""Tests of `evidence.providers`."""
