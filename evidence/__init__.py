"""`evidence`: the living evidence tracker for interpersonal psychotherapy.

The package's stages are its modules; `evidence.cli` is the door for people, `evidence.sync` runs the whole way.
"""

__version__ = "0.1.0"
