"""The site: serving it, and publishing an immutable copy."""
