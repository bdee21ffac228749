"""Tests of `evidence.harvest`."""
