"""The tables of docs/conformance.md; `python -m tests.conformance` writes them anew."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import numpy as np
from pydicom import dcmread
from pydicom.uid import JPEG2000, UID, ExplicitVRLittleEndian
from pynetdicom import AE, build_context, sop_class
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.presentation import negotiate_unrestricted

from cxr_edge.cli.commands import cli
from cxr_edge.hospital import receive_server, send_wire
from cxr_edge.hospital.capture import capture_of
from cxr_edge.hospital.key_object import key_object_of
from cxr_edge.hospital.objects import finished
from cxr_edge.hospital.peers import Address, Sender
from cxr_edge.hospital.receive_contexts import is_taken
from cxr_edge.hospital.receive_count import REFUSED, REJECTED
from cxr_edge.hospital.report_sr import report_of
from cxr_edge.hospital.results_job import SR_CLASSES
from cxr_edge.hospital.send_job import COMMIT_SECONDS, PATIENCE
from cxr_edge.hospital.statuses import STATUS, SUCCESS, state_after, words
from cxr_edge.hospital.tls import OLDEST
from cxr_edge.images.dicom_library import Dataset
from cxr_edge.intake.read import MAX_BYTES
from cxr_edge.ledger.outbox import Sending
from tests.hospital.studies import ANSWERS, source

PAGE = Path(__file__).resolve().parent.parent / "docs" / "conformance.md"
COMMANDS = ("receive", "results", "send")
_PRIVATE = UID("1.2.826.0.1.3680043.9.7433.1.1")
_PROPOSED = (
    sop_class.Verification,  # type: ignore[attr-defined]
    sop_class.ComputedRadiographyImageStorage,  # type: ignore[attr-defined]
    sop_class.DigitalXRayImageStorageForPresentation,  # type: ignore[attr-defined]
    sop_class.EnhancedSRStorage,  # type: ignore[attr-defined]
    _PRIVATE,
    sop_class.StorageCommitmentPushModel,  # type: ignore[attr-defined]
    sop_class.PatientRootQueryRetrieveInformationModelFind,  # type: ignore[attr-defined]
    sop_class.ModalityWorklistInformationFind,  # type: ignore[attr-defined]
)
_ANSWERS = (
    *(0x0000, 0xB000, 0xB006, 0xB007, 0x0107, 0x0116, 0xA700, 0xA900, 0xC000),
    *(0x0110, 0x0111, 0x0117, 0x0118, 0x0122, 0x0124),
)
_BECOMES = {
    Sending.SENT: "sent; never sent again",
    Sending.PENDING: "pending; tried again by this run and the next ones",
    Sending.REFUSED: "refused; tried again when its folder is sent again",
}
Rows = Iterable[tuple[str, ...]]


def tables() -> dict[str, str]:
    """The whole text of each table, by its first line."""
    return dict(
        _table(head, rows)
        for head, rows in (
            (("proposed to `receive`", "UID", "`receive` answers"), _negotiated()),
            (("`receive` answers", "when"), _statuses()),
            (("`receive` rejects", "source, reason", "when"), _rejections()),
            (("`send` is answered", "the object is"), _becomes()),
            (("`results` writes", "SOP class", "UID", "transfer syntax"), _objects()),
            (("bound", "value"), _bounds()),
            (("option", "of", "sets"), _options()),
            (("file or association", "implementation class UID", "version"), _implementations()),
        )
    )


def _table(head: tuple[str, ...], rows: Rows) -> tuple[str, str]:
    lines = [" | ".join(head), "|".join("---" for _ in head), *(" | ".join(row) for row in rows)]
    ruled = [f"|{line}|" if "---" in line else f"| {line} |" for line in lines]
    return ruled[0], "\n".join(ruled) + "\n"


def _entity() -> AE:
    plan = receive_server.ServerPlan("CXREDGE", Address("127.0.0.1", 0), (Sender("PACS"),))
    return receive_server._entity(plan)


def _negotiated() -> Rows:
    asked = []
    for number, each in enumerate(_PROPOSED):
        context = build_context(each, [JPEG2000, ExplicitVRLittleEndian])
        context.context_id = 2 * number + 1
        asked.append(context)
    answers, _ = negotiate_unrestricted(asked, _entity().supported_contexts)
    for proposed, answer in zip(_PROPOSED, answers, strict=True):
        name = "a class of a vendor's own" if proposed == _PRIVATE else proposed.name
        uid = "any other" if proposed == _PRIVATE else str(proposed)
        first = answer.transfer_syntax[:1] == [JPEG2000]
        taken = "accepted, the first transfer syntax" if first else "accepted"
        yield name, uid, taken if answer.result == 0 and is_taken(proposed) else "not supported"


def _statuses() -> Rows:
    yield words(SUCCESS), "it is on disk, synced, or was there already"
    for why, status in STATUS.items():
        yield words(status), REFUSED[why].rpartition(": ")[2]


def _rejections() -> Rows:
    for name, (result, origin, reason) in receive_server.REJECTIONS.items():
        answer = A_ASSOCIATE()
        answer.result, answer.result_source, answer.diagnostic = result, origin, reason
        yield (
            answer.result_str,
            f"{answer.source_str}: {answer.reason_str}",
            REJECTED[name].rpartition(": ")[2],
        )


def _becomes() -> Rows:
    for status in _ANSWERS:
        yield words(status), _BECOMES[state_after(status)]


def _objects() -> Rows:
    film, answer = source(), ANSWERS["flagged"]
    picture = np.zeros((2, 2, 3), np.uint8)
    made: dict[str, Dataset] = {
        f"report, `--sr {sr}`": report_of(film, answer, sr) for sr in SR_CLASSES
    }
    made["capture, `--secondary-capture`"] = capture_of(film, answer, picture)
    made["key object, `--key-object`"] = key_object_of(film, answer)
    for name, content in made.items():
        whole = dcmread(io.BytesIO(finished(content, film, answer).content))
        uid = whole.SOPClassUID
        yield name, uid.name, str(uid), whole.file_meta.TransferSyntaxUID.name


def _bounds() -> Rows:
    limits = receive_server.Limits()
    yield "`receive`: associations at a time", str(limits.associations)
    yield "`receive`: connections at a time", str(2 * limits.associations)
    yield "`receive`: maximum PDU", f"{_entity().maximum_pdu_size} bytes"
    yield "`receive`: one object", f"{MAX_BYTES // 2**20} MiB and {limits.object_seconds:.0f} s"
    yield "`receive`: without a whole PDU or a request", f"{limits.seconds:.0f} s"
    yield "`send`: objects under way on an association", "1"
    yield "`send`: presentation contexts of an association", str(send_wire.CONTEXTS)
    yield "`send`: connection, association or answer", f"{send_wire.SECONDS:.0f} s"
    yield "`send`: tries while nothing gets through", f"{PATIENCE:.0f} s"
    yield "`send --commit`: answer (N-EVENT-REPORT)", f"{COMMIT_SECONDS:.0f} s"
    yield "both: oldest TLS", OLDEST.name.replace("TLSv", "TLS ").replace("_", ".")


def _options() -> Iterator[tuple[str, ...]]:
    found: dict[tuple[str, str], list[str]] = {}
    for name in COMMANDS:
        for option in cli.commands[name].params:
            if isinstance(option, click.Option) and option.help:
                key = (
                    f"`{' '.join(filter(None, (option.opts[0], _value(option))))}`",
                    _said(option),
                )
                found.setdefault(key, []).append(name)
    for (option_text, meaning), names in found.items():
        yield option_text, ", ".join(names), meaning


def _value(option: click.Option) -> str:
    """What stands behind the name of an option."""
    if option.is_flag:
        return ""
    if isinstance(option.type, click.Choice):
        return ", ".join(option.type.choices)
    return option.metavar or option.type.name.upper()


def _said(option: click.Option) -> str:
    text = re.sub(r"\s+", " ", option.help or "")
    text = f"{text} [default: {option.default}]" if option.show_default else text
    return re.sub(r"\.? *\[(default: .*)\]$", r"; \1", text).rstrip(".")


def _implementations() -> Rows:
    entity = _entity()
    film, answer = source(), ANSWERS["flagged"]
    meta = dcmread(io.BytesIO(finished(report_of(film, answer, "enhanced"), film, answer).content))
    yield (
        "associations of `receive` and `send` (pynetdicom)",
        str(entity.implementation_class_uid),
        str(entity.implementation_version_name),
    )
    yield (
        "files of `results`",
        str(meta.file_meta.ImplementationClassUID),
        str(meta.file_meta.ImplementationVersionName),
    )


def main() -> None:
    """Put each table in the place of the one with its first line."""
    text = PAGE.read_text(encoding="utf-8")
    for head, table in tables().items():
        before, found, rest = text.partition(f"{head}\n")
        if not found:
            raise SystemExit(f"docs/conformance.md has no line {head}")
        text = f"{before}{table}\n{rest.partition(chr(10) * 2)[2]}"
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
