"""TLS for DICOM, both sides with a certificate (PS3.15, the BCP 195 profiles)."""

from __future__ import annotations

import select
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

from cxr_edge.errors import InputError

OLDEST = ssl.TLSVersion.TLSv1_2


@dataclass(frozen=True)
class TlsFiles:
    """Files in PEM.

    Attributes:
        certificate: our own, with intermediate certificates up to the authority.
        key: its key, without a password.
        authority: certificates of the authorities that the other side's may come from.
    """

    certificate: Path
    key: Path
    authority: Path

    def for_server(self) -> ssl.SSLContext:
        """A context that requires a client certificate of the authority.

        Raises:
            InputError: a file cannot be used.
        """
        context = self._loaded(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def for_client(self) -> ssl.SSLContext:
        """A context that checks the certificate of the other side, and the host in it.

        Raises:
            InputError: a file cannot be used.
        """
        return self._loaded(ssl.PROTOCOL_TLS_CLIENT)

    def _loaded(self, protocol: int) -> ssl.SSLContext:
        context = ssl.SSLContext(protocol)
        context.minimum_version = OLDEST
        try:
            context.load_cert_chain(self.certificate, self.key, password=_no_password)
            context.load_verify_locations(self.authority)
        except (OSError, ValueError) as error:  # SSLError is an OSError
            raise InputError(
                f"the files of --tls cannot be used: {error}",
                tip="give CERT, KEY and CA in PEM, a key without a password, as this user may read",
            ) from error
        return context


def shake_hands(connection: ssl.SSLSocket, seconds: float) -> None:
    """Finish a handshake within so many seconds, however slowly the peer sends.

    Raises:
        OSError: it was not finished.
    """
    end = time.monotonic() + seconds
    connection.settimeout(0.0)
    while (left := end - time.monotonic()) > 0:
        try:
            connection.do_handshake()
            connection.settimeout(seconds)
            return
        except ssl.SSLWantReadError:
            select.select([connection], [], [], left)
        except ssl.SSLWantWriteError:
            select.select([], [connection], [], left)
    raise TimeoutError("a handshake that drips")


def _no_password() -> str:
    """Fail, where OpenSSL would ask on a terminal."""
    raise ValueError("the key has a password")
