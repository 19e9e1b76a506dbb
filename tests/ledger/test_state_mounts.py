"""No ledger on a network share, however the share is mounted and named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cxr_edge.errors import StateError
from cxr_edge.ledger import state
from cxr_edge.ledger.state import check_local, held


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


# proc(5): ID, parent, device, root, mount point, options, optional fields, -, type, source, options
ROOT_MOUNT = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw"


def mount(point: str | Path, kind: str, optional: str = "shared:7 master:1 ") -> str:
    return f"40 22 0:41 / {point} rw,noatime {optional}- {kind} server:/share rw,vers=4.2"


MOUNTS = {
    "local": ([], None),
    "network": ([mount("{}", "nfs4")], "nfs4"),
    "above": ([mount("{}/..", "cifs")], "cifs"),
    "no optional fields": ([mount("{}", "smb3", "")], "smb3"),
    "FUSE over SSH": ([mount("{}", "fuse.sshfs")], "fuse.sshfs"),
    "below": ([mount("{}/deeper", "nfs")], None),
    "local in network": ([mount("{}/..", "nfs"), mount("{}", "xfs")], None),
    "network in local": ([mount("{}/..", "xfs"), mount("{}", "ceph")], "ceph"),
    "network over local": ([mount("{}", "ext4"), mount("{}", "nfs")], "nfs"),
    "network over its automounter": ([mount("{}", "autofs"), mount("{}", "nfs")], "nfs"),
    "local over network": ([mount("{}", "nfs"), mount("{}", "ext4")], None),
}


def made_mounts(lines: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mountinfo as the kernel writes it; `{}` is the folder, escaped."""
    table = folder.parent / "mountinfo"
    text = ROOT_MOUNT
    for line in lines:
        point = line.replace("{}/..", str(folder.parent)).replace("{}", str(folder))
        text += f"\n{point}"
    table.write_bytes(os.fsencode(f"{text}\n"))
    monkeypatch.setattr(state, "MOUNTS", table)


@pytest.mark.parametrize(("lines", "network"), MOUNTS.values(), ids=MOUNTS)
def test_network_file_systems_are_refused(
    lines: list[str], network: str | None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_mounts(lines, folder, monkeypatch)
    if network is None:
        check_local(folder)
        return
    with pytest.raises(StateError, match=rf"network file system \({network}\)") as caught:
        check_local(folder)
    assert "local disk" in caught.value.tip
    with pytest.raises(StateError, match="network"), held(folder, ["x"]):
        pytest.fail("a ledger on a share")


# A name, and how the kernel writes it: blanks, tabs, line feeds and backslashes in octal, and
# everything else as it is.
NAMES = {
    "blank": ("x ray", rb"x\040ray"),
    "backslash": ("x\\ray", rb"x\134ray"),
    "backslash before digits": (r"x\040ray", rb"x\134040ray"),
    "no-break space": ("x\u00a0ray", "x\u00a0ray".encode()),
    "form feed and separators": ("x\f\x1c\u2028ray", "x\f\x1c\u2028ray".encode()),
    "no UTF-8": ("x\udcffray", b"x\xffray"),
    "like the separator": ("x - nfs", rb"x\040-\040nfs"),
}


@pytest.mark.parametrize(("name", "written"), NAMES.values(), ids=NAMES)
def test_odd_names_of_mount_points(
    name: str, written: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = f"{tmp_path}/{os.fsdecode(written)}"
    made_mounts([mount(share, "nfs")], tmp_path / "state", monkeypatch)
    with pytest.raises(StateError, match=r"\(nfs\)"):
        check_local(tmp_path / name / "state")
    check_local(tmp_path / "x" / "state")


def test_a_link_into_a_share_is_seen(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_mounts([mount("{}", "nfs")], folder, monkeypatch)
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(StateError, match="nfs"):
        check_local(tmp_path / "link" / "state")


TABLES = {
    "not there": None,
    "empty": b"",
    "no root": os.fsencode(mount("/elsewhere", "nfs") + "\n"),
}


@pytest.mark.parametrize("content", TABLES.values(), ids=TABLES)
def test_a_kernel_that_does_not_say(
    content: bytes | None, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mountinfo"
    if content is not None:
        table.write_bytes(content)
    monkeypatch.setattr(state, "MOUNTS", table)
    check_local(folder)


def test_this_machines_own_mounts_can_be_read() -> None:
    assert state._file_system(Path("/proc/self")) == "proc"
