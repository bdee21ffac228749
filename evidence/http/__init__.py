"""HTTP for every service that is asked: one transport with rate limit and retries. Only `transport` opens the network."""
