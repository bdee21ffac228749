"""Crossref: the client, its rate limit and responses, records from files, and a record as a Work. Only `transport` opens the network."""
