"""Tests of the whole: histories, crashes, two reviewers, a simulated year."""
