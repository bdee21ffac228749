"""Screening and tagging: the taxonomy, its terms, and the judgement of one work. No network, no database, no clock."""
