#!/bin/sh
# What `cxr-edge receive` runs when a study has been quiet: score, write results, send them back.
#
#   cxr-edge receive ... --run /opt/cxr-edge/study.sh      its argument is the folder of the films
#
# It works in the directory of `receive`, where reports/ lies. What is not sent now, because the PACS
# is away or this script was killed, goes out with the next study.
set -u
state=${STATE:-/var/lib/cxr-edge-receive/state}
pacs=${PACS:-ORTHANC@127.0.0.1:4242}

cxr-edge score "$1" -q --state "$state" --results --secondary-capture flagged
code=$?
[ "$code" -eq 0 ] || [ "$code" -eq 3 ] || exit "$code" # 3: some films have no score
cxr-edge send reports --to "$pacs" --aet CXREDGE --state "$state" || true
exit "$code"
