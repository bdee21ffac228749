"""What is made when the server starts lives as long as it does, so Python's garbage collection does not look at it any more.

A collection of everything takes place in the middle of some request, which waits for it. May not change a page.
"""

from __future__ import annotations

import gc
from functools import cache

from datasette import hookimpl


@hookimpl(trylast=True)
def startup() -> None:
    freeze()


@cache
def freeze() -> None:
    """Do so once in a process: what is left of other servers in it, as in tests, is to be collected."""
    gc.collect()
    gc.freeze()
