"""The tests: one file per module, fakes instead of patches, nothing but loopback."""
