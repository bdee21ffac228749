"""The order of work: sources.yaml, reference lists, saved searches, sync, re-judging and deduplication."""
