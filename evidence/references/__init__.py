"""References as people have them: pasted text and files of reference managers, read into one shape."""
