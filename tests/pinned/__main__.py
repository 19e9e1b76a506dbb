"""Write the table of pinned behaviour anew; refused where a version should have been raised."""

from __future__ import annotations

import sys

from tests.pinned.table import TABLE, read_table, regenerated, written

if __name__ == "__main__":
    try:
        TABLE.write_text(written(regenerated(read_table())), encoding="utf-8")
    except ValueError as error:
        sys.exit(str(error))
