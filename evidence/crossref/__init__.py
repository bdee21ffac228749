"""Crossref: client, responses, records from files, records as Works. Requests are sent by `evidence/http`."""
