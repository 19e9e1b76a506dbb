#!/bin/sh
# Receives films with dcmtk's storescp instead of `cxr-edge receive`, and scores each quiet study.
#
#   storescp.sh receive        the server
#   storescp.sh score FOLDER   what the server calls when nothing of a study has come for 30 s
#
# storescp writes to the final name, so that a kill leaves a cut file: `score` lists it with a
# reason. Several studies may end in the same second: the lock has their runs wait in line.
set -eu
films=${FILMS:-/srv/xray/incoming}
state=${STATE:-/var/lib/cxr-edge/state}
reports=${REPORTS:-/var/lib/cxr-edge/reports}

case ${1:-} in
receive)
    exec storescp --fork -aet CXREDGE -od "$films" --sort-on-study-uid st \
        --eostudy-timeout 30 --exec-on-eostudy "$0 score #p" 11112
    ;;
score)
    exec flock "$state.lock" cxr-edge score "$films" --state "$state" \
        --out "$reports/$(date -u +%Y%m%dT%H%M%S.%NZ)" --study --results -q
    ;;
*)
    echo "usage: $0 receive | score FOLDER" >&2
    exit 2
    ;;
esac
