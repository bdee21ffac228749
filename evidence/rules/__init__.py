"""Screening and tagging: the taxonomy, its terms, and the judgement of one work. Pure: no network, no database, no clock."""
