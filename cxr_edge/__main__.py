"""`python -m cxr_edge` is `cxr-edge`."""

from cxr_edge.cli import main

main()
