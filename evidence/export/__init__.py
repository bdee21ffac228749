"""What leaves as a file or as text: CSV, RIS, BibTeX, CSL-JSON, reports, and the works as of a past date."""
