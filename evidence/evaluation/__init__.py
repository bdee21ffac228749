"""How accurate are the rules, the matching of citations and the detection of duplicates? Measured on labelled files."""
