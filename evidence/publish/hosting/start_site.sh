#!/bin/sh
# Serves this published copy, and switches to the next copy within a few seconds of its publication. Open requests are finished.
#
#   sh start [options of `datasette serve`]
#
# Environment variables, with their defaults:
#   PORT              the port to listen on (8001)
#   EVIDENCE_HOST     the address to listen on (127.0.0.1: this machine only; 0.0.0.0: every network)
#   EVIDENCE_PYTHON   a Python with the packages of requirements.txt (the Python that published this copy)
#   EVIDENCE_WATCH    seconds between checks for a new copy (1)
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
current=$(CDPATH='' cd -- "$here/../.." && pwd -P)/current
python=${EVIDENCE_PYTHON:-@python@}
command -v "$python" >/dev/null 2>&1 || python=python3

# The plugins use the `evidence` package and the sources.yaml of this copy, not those that are installed.
export PYTHONPATH="$here/code" PYTHONDONTWRITEBYTECODE=1 EVIDENCE_SOURCES="$here/sources.yaml" EVIDENCE_PUBLISHED=1
cd -- "$here"

stopped='' server=''
trap 'stopped=1; kill -TERM "$server" 2>/dev/null || :' TERM INT HUP

"$python" -m datasette serve @options@ \
    --host "${EVIDENCE_HOST:-127.0.0.1}" --port "${PORT:-8001}" "$@" &
server=$!
# Request the slow pages now, so that no visitor waits for them.
"$python" warm.py "${EVIDENCE_HOST:-127.0.0.1}" "${PORT:-8001}" @warm@ >/dev/null 2>&1 &

stop_server() { # open requests may finish; after ten seconds the server is killed
    kill -TERM "$server" 2>/dev/null || return 0
    (sleep 10 && kill -KILL "$server") >/dev/null 2>&1 &
    killer=$!
    while kill -0 "$server" 2>/dev/null; do wait "$server" || :; done
    kill "$killer" 2>/dev/null || :
}

while [ -z "$stopped" ] && kill -0 "$server" 2>/dev/null; do
    sleep "${EVIDENCE_WATCH:-1}" >/dev/null 2>&1 &
    wait $! || :
    [ -L "$current" ] || continue
    next=$(CDPATH='' cd -- "$current" 2>/dev/null && pwd -P) || continue
    if [ -z "$stopped" ] && [ "$next" != "$here" ] && [ -f "$next/start" ]; then
        stop_server
        [ -n "$stopped" ] || exec sh "$next/start" "$@"
    fi
done

if [ -n "$stopped" ]; then
    stop_server
    exit 0
fi
code=0
wait "$server" || code=$?
exit "$code"
