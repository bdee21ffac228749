"""Crossref: client, rate limit, responses, records from files, records as Works. Only `transport` opens the network."""
