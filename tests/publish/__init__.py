"""Tests of `evidence.publish`."""
