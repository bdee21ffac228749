"""Tests of `evidence.http`."""
