"""The order of work: sources.yaml, reference lists, standing searches, sync and judging again."""
