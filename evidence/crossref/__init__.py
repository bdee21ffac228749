"""Crossref: client, rate limit, responses, records from files, records as Works. Only `retrying_transport` opens the network."""
