"""`python -m cxr_edge` is `cxr-edge`."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - pip refuses it, but a checkout starts with any
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    sys.stderr.write(f"error: cxr-edge needs Python 3.11 or later, and this is {version}\n")
    sys.exit(2)

from cxr_edge.cli import main

main()
