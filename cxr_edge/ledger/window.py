"""The latest films of the nights, each once, whatever nights they were in."""

from __future__ import annotations

from dataclasses import dataclass

from cxr_edge.ledger.checksums import FACTS, ROW, checksum
from cxr_edge.ledger.file import errors_translated
from cxr_edge.ledger.rows import features_of, names
from cxr_edge.ledger.run import NIGHT
from cxr_edge.ledger.runs import Ledger

_ROW = ", ".join(ROW)
# SQLite takes the other columns from the row of the smallest run: where the film came first.
_LATEST = f"""
WITH nights AS MATERIALIZED (
    SELECT number, id, settings_sha256 FROM run WHERE kind = '{NIGHT}' AND reported
    AND json_extract(context, '$.model_sha256') = ?1
)
SELECT checksum, first, settings_sha256, id, {_ROW} FROM (
    SELECT item.checksum, MIN(run) AS first, settings_sha256, id, {_ROW}
    FROM item JOIN nights ON nights.number = item.run
    WHERE status = 'scored' AND sha256 IS NOT NULL GROUP BY sha256
) WHERE CASE WHEN ?2 = '' THEN 1
    WHEN EXISTS (SELECT 1 FROM run WHERE id = ?2)
    THEN first > (SELECT number FROM run WHERE id = ?2) ELSE new END
ORDER BY first DESC, modified_utc DESC LIMIT ?3
"""


@dataclass(frozen=True)
class Film:
    """A scored film; of its features those that were not measured are None."""

    run: str
    probability: float
    warnings: tuple[str, ...]
    features: tuple[float | None, ...]


def latest_films(ledger: Ledger, model_sha256: str, most: int, after: str = "") -> list[Film]:
    """Films that one model scored, latest first; damaged rows are left out.

    Args:
        ledger: it may be written meanwhile.
        model_sha256: of the model file.
        most: how many at most.
        after: a run; films that it or a night before it had do not count. Where its rows are
            forgotten by now, neither do films that were not new when the oldest kept run began.

    Raises:
        StateError: the ledger cannot be read.
    """
    films = []
    with errors_translated():
        rows = ledger.connection.execute(_LATEST, (model_sha256, after, most))
        for checked, run, settings, name, *row in rows:
            if checked == checksum(run, settings, *row):
                facts = dict(zip(FACTS, row[-len(FACTS) :], strict=True))
                warnings = tuple(names(facts["warnings"]))
                features = features_of(facts["features"])
                films.append(Film(name, facts["probability"], warnings, features))
    return films
