"""The parts of Crossref's public data file, scanned by the workers of a Dask cluster; given back in order.

Each worker reads its files itself; only the records found in a file, and its counts, are sent back. Dask gives the files of a
worker that was lost to others, also those that it had read and whose records were not fetched yet. At most `AHEAD` files for each
thread of the cluster are given out or wait to be fetched, one at a time: memory does not grow with the files.

A worker with another program than the one here might find other records, so it is refused: before the first file is given out,
and again with each file, since workers come later. May not open a database.
"""

from __future__ import annotations

import logging
import warnings
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evidence import CLUSTER
from evidence.crossref.public_data_file import Part, check_same
from evidence.errors import ConfigError, EvidenceError, UnavailableError
from evidence.harvest.scan_parts import ScannedPart, Scanner, Wanted
from evidence.harvest.scan_processes import AHEAD
from evidence.harvest.scanning_program import difference, scanning_program

PATIENCE = 5.0
"""Seconds after which a file that is not back yet makes the program ask whether the cluster has any workers."""

TO_CONNECT = 30.0
"""Seconds in which a scheduler answers, or counts as lost."""

RETRIES = 2
"""How often Dask has a file read again that a worker could not open or read."""

PROGRAM = scanning_program()
"""Found out when a worker loads this module, and with it the code that scans: what is installed over it later does not count."""

_log = logging.getLogger(__name__)

_scanner: tuple[Wanted, Scanner] | None = None


def scanned_by_cluster(parts: Sequence[Part], wanted: Wanted, cluster: str) -> Generator[tuple[Part, ScannedPart]]:
    """The parts with what each holds, in their order. `cluster` is the address of a Dask scheduler, or a file that it wrote.
    ConfigError when a worker cannot take part as it is; UnavailableError when the scheduler cannot be reached or is lost."""
    if not parts:
        return
    with _connected(cluster) as client, _scheduler_kept(cluster):
        _check_workers(client, parts[0])
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
            there = client.submit(_as_given, wanted, pure=False)
        left, given = iter(parts), deque[tuple[Part, Any]]()
        waits = False
        while True:
            threads = sum(client.nthreads().values())
            while len(given) < max(threads, 1) * AHEAD and (part := next(left, None)):
                given.append((part, client.submit(scan_on_worker, part, there, PROGRAM, pure=False, retries=RETRIES)))
            if not given:
                return
            part, future = given[0]
            try:
                error = future.exception(timeout=PATIENCE)
            except TimeoutError:
                if not waits and not client.nthreads():
                    waits = True
                    _log.warning("%s has no workers; waiting for one (Ctrl-C stops, and nothing is lost)", cluster)
                continue
            waits = False
            scanned = _failed(part, error) if error is not None else future.result()
            given.popleft()
            del future  # the worker may forget it
            yield part, scanned


def scan_on_worker(part: Part, wanted: Wanted, here: Mapping[str, str]) -> ScannedPart:
    """What a worker does with a part. ConfigError when its program is another than the one `here`, which asks."""
    global _scanner
    if differs := difference(PROGRAM, here):
        raise _refusal(_worker(), differs)
    known = _scanner
    if known is None or known[0] is not wanted:
        _scanner = known = wanted, Scanner(wanted)
    scanned = known[1].scan(part)
    if scanned.trouble:
        scanned.trouble += f" [read by worker {_worker()}]"
    if scanned.trouble and scanned.unavailable:
        raise UnavailableError(scanned.trouble)  # Dask tries it again
    return scanned


def describe_worker(part: Part) -> tuple[Mapping[str, str], str | None]:
    """What a worker is asked before it gets any files: its program, and why it cannot read this part; None where it can."""
    try:
        check_same(part)
    except EvidenceError as error:
        return PROGRAM, str(error)
    return PROGRAM, None


def _as_given(wanted: Wanted) -> Wanted:
    """What is wanted, kept by the cluster: each worker gets it once, and it is there again when the one that had it is lost."""
    return wanted


def _worker() -> str:
    import distributed

    return str(distributed.get_worker().address)


def _check_workers(client: Any, part: Part) -> None:
    """ConfigError when the scheduler or a worker has another program, or a worker cannot read the first part, which can be read
    here."""
    try:
        scheduler = client.run_on_scheduler(scanning_program)
    except (ImportError, AttributeError) as error:
        raise _without(f"the scheduler {client.scheduler.address}", error) from None
    if differs := difference(scheduler, PROGRAM):
        raise _refusal(f"the scheduler {client.scheduler.address}", differs)
    for address, said in client.run(describe_worker, part, on_error="return").items():
        worker = f"worker {address}"
        if isinstance(said, OSError):
            continue  # it was lost; Dask knows
        if isinstance(said, BaseException):
            raise _without(worker, said)
        program, trouble = said
        if differs := difference(program, PROGRAM):
            raise _refusal(worker, differs)
        if trouble and describe_worker(part)[1] is None:
            raise ConfigError(
                f"{worker}: {trouble}; each worker reads files itself: give a path that all of them have, or an address for "
                "which all have the package and the keys"
            )


def _refusal(who: str, differs: str) -> ConfigError:
    return ConfigError(
        f"{who} has another program than this one, which might find other records: {differs}; install the same on all, and "
        "run the command again"
    )


def _without(who: str, error: BaseException) -> ConfigError:
    return ConfigError(
        f"{who} cannot run this program ({error}); install the same evidence on all, with the extra `cluster`, and run the "
        "command again"
    )


def _failed(part: Part, error: BaseException) -> ScannedPart:
    """What is said of a part that the cluster gave up."""
    import distributed

    if isinstance(error, UnavailableError):
        return ScannedPart(trouble=str(error), unavailable=True)
    if isinstance(error, EvidenceError):
        raise error
    if isinstance(error, (ImportError, AttributeError)):
        raise _without("a worker", error)
    if isinstance(error, distributed.KilledWorker):
        why = f"{error.allowed_failures + 1} workers were lost while they read it"
    else:
        why = f"{type(error).__name__}: {error}"
    return ScannedPart(trouble=f"{part.place}: {why}; the next run tries it again")


@contextmanager
def _connected(cluster: str) -> Iterator[Any]:
    """A client of the cluster. What it logs is left out: what matters is raised."""
    try:
        import distributed
    except ImportError:
        raise ConfigError(
            f"--dask needs Dask, which is not installed; install the extra `cluster` ({CLUSTER})"
        ) from None
    from distributed.comm import get_address_host_port
    from distributed.versions import VersionMismatchWarning

    where = {"scheduler_file": cluster} if Path(cluster).is_file() else {"address": cluster}
    with _dask_is_quiet():
        try:
            if "address" in where:
                get_address_host_port(cluster)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", VersionMismatchWarning)
                client = distributed.Client(**where, timeout=TO_CONNECT, set_as_default=False, name="evidence-backfill")
        except ValueError as error:
            raise ConfigError(
                f"--dask {cluster}: {error}; write the scheduler's address like tcp://host:8786, or name its scheduler file"
            ) from None
        except OSError as error:
            raise UnavailableError(
                f"--dask {cluster}: no Dask scheduler answers there ({error}); is it running?"
            ) from None
        with client:
            yield client


@contextmanager
def _dask_is_quiet() -> Iterator[None]:
    """Keeps what Dask logs off stderr, unless requests are logged too (`-v`)."""
    logger = logging.getLogger("distributed")
    before = logger.handlers, logger.propagate
    if logging.getLogger().getEffectiveLevel() > logging.INFO:
        logger.handlers, logger.propagate = [logging.NullHandler()], False
    try:
        yield
    finally:
        logger.handlers, logger.propagate = before


@contextmanager
def _scheduler_kept(cluster: str) -> Iterator[None]:
    """Turns the loss of the scheduler into one sentence."""
    import distributed

    try:
        yield
    except (distributed.CancelledError, OSError):
        raise UnavailableError(
            f"the Dask scheduler {cluster} was lost; the files read so far are kept, and the same command continues with the "
            "others"
        ) from None
