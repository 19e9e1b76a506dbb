"""DICOM application entities as a command line names them."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from cxr_edge.errors import InputError
from cxr_edge.support.text import display_name

# PS3.5: the default character repertoire without backslash and control characters, 16 at most.
_TITLE = re.compile(r"(?! )[ -\[\]-~]{1,16}(?<! )")
_UID = re.compile(r"[0-9.]{1,64}")


def checked_title(text: str) -> str:
    """Check an AE title.

    Raises:
        InputError: it is not valid.
    """
    if not _TITLE.fullmatch(text):
        raise InputError(
            f"no AE title: {display_name(text)}", tip="1 to 16 printable ASCII characters"
        )
    return text


def checked_uid(text: str) -> str:
    """A UID without what pads it; empty where it is none.

    Digits and points alone: zeros that the standard forbids are out there, and hurt nobody.
    """
    bare = text.strip("\0 ")
    return bare if _UID.fullmatch(bare) else ""


def bare_address(text: str) -> str:
    """An IP address as a host without IPv6 would write it, where it has one.

    Whoever listens on `[::]` sees `::ffff:10.0.0.5` where `10.0.0.5` has come.
    """
    try:
        number = ipaddress.ip_address(text)
    except ValueError:
        return text
    return str(getattr(number, "ipv4_mapped", None) or number)


@dataclass(frozen=True)
class Address:
    """Host and port to listen at or to connect to.

    Attributes:
        host: a name or an IP address; without brackets.
        port: 0 lets the system choose, where somebody listens.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `HOST:PORT`, an IPv6 address in brackets.

        Raises:
            InputError: the text has another form.
        """
        host, _, port = text.rpartition(":")
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        number = int(port) if re.fullmatch("[0-9]{1,5}", port) else -1
        if not bare or (":" in bare and bare == host) or not 0 <= number <= 65535:
            raise InputError(f"no HOST:PORT: {display_name(text)}", tip="such as 127.0.0.1:11112")
        return cls(bare, number)

    def __str__(self) -> str:
        """Write it as `parse` reads it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Sender:
    """Somebody who may send films.

    Attributes:
        title: the AE title that it calls itself.
        host: the only machine that it may come from; empty for any.
    """

    title: str
    host: str = ""

    @classmethod
    def parse(cls, text: str) -> Sender:
        """Read `AET` or `AET@HOST`.

        Raises:
            InputError: the text has another form.
        """
        title, separator, host = text.partition("@")
        if separator and not host:
            raise InputError(f"no host behind the @: {display_name(text)}")
        return cls(checked_title(title), host)


@dataclass(frozen=True)
class Receiver:
    """Somebody that objects are sent to.

    Attributes:
        title: its AE title.
        address: where it listens.
    """

    title: str
    address: Address

    @classmethod
    def parse(cls, text: str) -> Receiver:
        """Read `AET@HOST:PORT`.

        Raises:
            InputError: the text has another form.
        """
        title, separator, place = text.partition("@")
        if not separator:
            raise InputError(f"no AET@HOST:PORT: {display_name(text)}", tip="PACS@10.0.0.5:104")
        return cls(checked_title(title), Address.parse(place))

    def __str__(self) -> str:
        """Write it as `parse` reads it."""
        return f"{self.title}@{self.address}"
