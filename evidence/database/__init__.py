"""The two SQLite files: schema, the one writer, and every query that reads them. No network, no rules."""
