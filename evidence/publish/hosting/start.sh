#!/bin/sh
# Serves this published copy, and goes over to the next one when `current` leads there: within a few seconds, no request cut off.
#
#   sh start [options of `datasette serve`]
#
#   PORT              where it listens (8001)
#   EVIDENCE_HOST     for whom: 127.0.0.1 is this machine alone, 0.0.0.0 everybody
#   EVIDENCE_PYTHON   a Python that has what requirements.txt lists
#   EVIDENCE_WATCH    seconds between two looks at `current` (1)
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
current=$(CDPATH='' cd -- "$here/../.." && pwd -P)/current
python=${EVIDENCE_PYTHON:-@python@}
command -v "$python" >/dev/null 2>&1 || python=python3

# The plugins call the `evidence` that published them, whatever is installed; the claims are those published with them.
export PYTHONPATH="$here/code" PYTHONDONTWRITEBYTECODE=1 EVIDENCE_SOURCES="$here/sources.yaml"
cd -- "$here"

stopped='' server=''
trap 'stopped=1; kill -TERM "$server" 2>/dev/null || :' TERM INT HUP

"$python" -m datasette serve @options@ \
    --host "${EVIDENCE_HOST:-127.0.0.1}" --port "${PORT:-8001}" "$@" &
server=$!
# What counts every work is counted now, not when the first visitor comes.
"$python" warm.py "${EVIDENCE_HOST:-127.0.0.1}" "${PORT:-8001}" @warm@ >/dev/null 2>&1 &

end() { # open requests may finish; what is not done after ten seconds is cut off
    kill -TERM "$server" 2>/dev/null || return 0
    (sleep 10 && kill -KILL "$server") >/dev/null 2>&1 &
    cutter=$!
    while kill -0 "$server" 2>/dev/null; do wait "$server" || :; done
    kill "$cutter" 2>/dev/null || :
}

while [ -z "$stopped" ] && kill -0 "$server" 2>/dev/null; do
    sleep "${EVIDENCE_WATCH:-1}" >/dev/null 2>&1 &
    wait $! || :
    [ -L "$current" ] || continue
    next=$(CDPATH='' cd -- "$current" 2>/dev/null && pwd -P) || continue
    if [ -z "$stopped" ] && [ "$next" != "$here" ] && [ -f "$next/start" ]; then
        end
        [ -n "$stopped" ] || exec sh "$next/start" "$@"
    fi
done

if [ -n "$stopped" ]; then
    end
    exit 0
fi
code=0
wait "$server" || code=$?
exit "$code"
