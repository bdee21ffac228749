"""Tests of evidence/references."""
