"""Files and texts that leave the database: CSV, RIS, BibTeX, CSL-JSON, reports, and works as of a past date."""
