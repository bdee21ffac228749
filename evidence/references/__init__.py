"""References that people bring: pasted lists split into single references. No network, no database, no clock."""
