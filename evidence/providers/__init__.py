"""What other providers add to works that Crossref has: abstracts, identifiers, notices and facts. A module for each provider."""
