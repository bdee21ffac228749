"""What reviewers do: the desk, their decisions, and decisions as CSV."""
