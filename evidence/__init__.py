"""`evidence`: the living evidence tracker for interpersonal psychotherapy.

The package's stages are its modules; `evidence.cli` is the command line, `evidence.harvest.sync` runs every step.
"""

__version__ = "0.1.0"

DISTRIBUTION = "ipt-evidence"
"""What pip calls this project. On PyPI the name `evidence` is somebody else's package, and this one is not there."""

INSTALL = "in a clone of its repository: pip install ."
UPGRADE = "upgrade evidence in the clone it was installed from: git pull, then pip install ."
"""What really installs it, for messages."""
