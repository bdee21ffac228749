"""The order of work: sources.yaml, reference lists, saved searches, sync and re-judging."""
