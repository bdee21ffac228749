"""Crossref: the client, how its responses are read, and a record as a Work. `transport` alone opens the network."""
