"""`triage.parquet`: the rows of `triage.csv` with types, for whoever analyses many of them.

A row group holds rows of one band and says so in its statistics: a reader that asks for the flagged
films reads those parts alone.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from cxr_edge.errors import MissingExtraError
from cxr_edge.report.context import BANNER, Report
from cxr_edge.report.rows import COLUMNS, row_values

NAME = "triage.parquet"
_ROWS_TOGETHER = 50_000  # some 20 MB of memory
_TIME_LENGTH = len("2026-11-22T21:15:00Z")


def check_parquet() -> None:
    """Refuse, before the night's work, what cannot be written; MissingExtraError says why."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("pyarrow", "parquet") from error


def render_parquet(report: Report) -> Iterator[bytes]:
    """The file in pieces, of which one is in memory at a time; its schema names the run."""
    import pyarrow as arrow
    from pyarrow import parquet

    fields = report.context.identity_fields
    about = {"banner": BANNER, "run": report.context.run_id}
    schema = _schema(fields).with_metadata(about)
    pieces = _Pieces()
    with parquet.ParquetWriter(pieces, schema, compression="zstd") as writer:
        values = (_typed(row_values(row, fields)) for row in report.rows)
        for _, rows in itertools.groupby(values, key=lambda row: row["band"]):
            while group := list(itertools.islice(rows, _ROWS_TOGETHER)):
                writer.write_table(arrow.Table.from_pylist(group, schema))
                yield pieces.taken()
    yield pieces.taken()


class _Pieces(io.RawIOBase):
    """A file that is written from its beginning to its end, and handed on meanwhile."""

    def __init__(self) -> None:
        self._written: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._written.append(piece)
        self._size += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._size

    def taken(self) -> bytes:
        """Take what was written since the last call."""
        piece = b"".join(self._written)
        self._written.clear()
        return piece


def _schema(identity_fields: Sequence[str]) -> Any:
    """Types of the columns, in the order of the CSV."""
    import pyarrow as arrow

    word = arrow.dictionary(arrow.int32(), arrow.string())
    types = {
        "rank": arrow.int64(),
        **dict.fromkeys(("band", "status", "reason", "format"), word),
        "probability": arrow.float64(),
        **dict.fromkeys(("flagged", "new"), arrow.bool_()),
        "warnings": arrow.list_(arrow.string()),
        **dict.fromkeys(("width", "height"), arrow.int32()),
        "modified_utc": arrow.timestamp("ms", tz="UTC"),
    }
    return arrow.schema(
        [(name, types.get(name, arrow.string())) for name in (*COLUMNS, *identity_fields)]
    )


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its moment as one; a year before 1000 has lost its zeros."""
    moment = row["modified_utc"]
    return {
        **row,
        "modified_utc": moment and datetime.fromisoformat(moment.zfill(_TIME_LENGTH)),
    }
