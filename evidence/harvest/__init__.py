"""The order of work: sources.yaml, reference lists, standing searches, sync, judging again and deduplication."""
