"""The living evidence tracker for interpersonal psychotherapy.

`evidence.cli` is the command line and `evidence.harvest.sync` the order of the steps. Each folder is one job of a review team:
crossref, rules, linkage, database, harvest, review, evaluation, export, publish.
"""

__version__ = "0.1.0"

DISTRIBUTION = "ipt-evidence"
"""The name of this project for pip. It is not on PyPI; the package `evidence` there is another project."""

INSTALL = "in a clone of its repository: pip install ."
UPGRADE = "upgrade evidence in the clone it was installed from: git pull, then pip install ."
CLUSTER = "in the clone: pip install '.[cluster]'"
"""How to install and upgrade the project, and the extra for clusters and addresses; messages quote these."""
