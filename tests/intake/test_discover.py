"""Everything under the INPUTs is found once, in a fixed order, whatever it is called."""

from __future__ import annotations

import errno
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.errors import InputError
from cxr_edge.intake import discover as discover_module
from cxr_edge.intake.discover import LeftOut, discover, listed
from cxr_edge.types import Reason, Root, Stamp
from tests.factories import raising, write_tree


def shown(*inputs: Path) -> list[str]:
    """What discovery finds, by the names that reports print."""
    return [file.display for file in discover(inputs)]


def problems(*inputs: Path) -> dict[str, Reason | None]:
    return {file.display: file.problem for file in discover(inputs)}


def tree(root: Path, *names: str) -> Path:
    return write_tree(root, dict.fromkeys(names, b""))


def test_depth_first_by_name(tmp_path: Path) -> None:
    tree(tmp_path, "b.png", "a/2.png", "a/10.png", "a/deep/er/x", "B.png", "c/1", ".part")
    assert shown(tmp_path) == [
        ".part",
        "B.png",
        "a/10.png",
        "a/2.png",
        "a/deep/er/x",
        "b.png",
        "c/1",
    ]


def test_paths_lead_to_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "in/a.png")
    monkeypatch.chdir(tmp_path)
    (file,) = discover([Path("in")])
    assert (file.path, file.display, file.problem) == (tmp_path / "in/a.png", "a.png", None)


INPUTS: dict[str, tuple[list[str], list[str]]] = {
    "two folders": (["x", "y"], ["x/1", "x/s/2", "y/1"]),
    "in the order given": (["y", "x"], ["y/1", "x/1", "x/s/2"]),
    "folder and file": (["y", "x/1"], ["y/1", "1"]),
    "same folder twice": (["x", "x"], ["1", "s/2"]),
    "folder inside another": (["x", "x/s"], ["x/1", "x/s/2"]),
    "folder around another": (["x/s", "x"], ["s/2", "x/1"]),
}


@pytest.mark.parametrize(("inputs", "expected"), INPUTS.values(), ids=INPUTS)
def test_several_inputs(inputs: list[str], expected: list[str], tmp_path: Path) -> None:
    tree(tmp_path, "x/1", "x/s/2", "y/1")
    assert shown(*(tmp_path / name for name in inputs)) == expected


def test_same_last_name(tmp_path: Path) -> None:
    """Then whole paths tell them apart, also from a third INPUT that would look alike."""
    tree(tmp_path, "north/in/1", "south/in/1", "q/north/in/1")
    names = shown(tmp_path / "north/in", tmp_path / "south/in", tmp_path / "q/north")
    assert names == [f"{tmp_path}/{name}" for name in ("north/in/1", "south/in/1", "q/north/in/1")]


def test_missing_input_is_an_error_before_any_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"input does not exist: .*no\\nwhere"):
        next(discover([tree(tmp_path, "a.png"), tmp_path / "no\nwhere"]))


def test_a_relative_input_that_is_missing_says_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        next(discover([Path("films")]))
    assert caught.value.tip.endswith(f"It was looked for in {tmp_path}")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(InputError, match="does not exist"):
        next(discover([Path("films")]))


def test_an_input_that_this_user_may_not_look_at_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "lstat", raising(PermissionError(13, "Permission denied")))
    with pytest.raises(InputError, match="input cannot be looked at, Permission denied: "):
        next(discover([tmp_path]))


SPECIAL: dict[str, tuple[Callable[[Path], Any], Reason]] = {
    "pipe": (os.mkfifo, Reason.NOT_A_FILE),
    "link to a file": (lambda path: path.symlink_to("/etc/hostname"), Reason.SYMLINK),
    "link to nothing": (lambda path: path.symlink_to("nothing"), Reason.SYMLINK),
}


@pytest.mark.parametrize(("make", "reason"), SPECIAL.values(), ids=SPECIAL)
def test_entry_that_is_no_film(make: Callable[[Path], Any], reason: Reason, tmp_path: Path) -> None:
    make(tmp_path / "thing")
    expected = {"thing": reason, "a.png": None}
    assert problems(tree(tmp_path, "a.png")) == expected


ON_ITS_WAY = [
    ".film.jpg.Xy12Zq",
    ".hidden",
    "film.jpg.part",
    "film.Temp",
    "film.dcm.filepart",
]
NOT_ON_ITS_WAY = ["film.partly.png", "tmp", "temp.png", "part", "film.part.jpg", "a.hidden"]


@pytest.mark.parametrize("name", [*ON_ITS_WAY, *NOT_ON_ITS_WAY])
def test_name_of_a_file_on_its_way(name: str, tmp_path: Path) -> None:
    expected = Reason.TEMPORARY_NAME if name in ON_ITS_WAY else None
    (file,) = discover([tree(tmp_path, name)])
    assert (file.display, file.problem) == (name, expected)


def test_hidden_folder_is_one_row_and_stays_closed(tmp_path: Path) -> None:
    assert problems(tree(tmp_path, ".~tmp~/1.png", ".~tmp~/2.png", "a.png")) == {
        ".~tmp~": Reason.TEMPORARY_NAME,
        "a.png": None,
    }


def test_only_files_end_in_a_temporary_name(tmp_path: Path) -> None:
    """A study may be called so for good, and its films must have rows."""
    assert problems(tree(tmp_path, "incoming.part/1.png")) == {"incoming.part/1.png": None}


def test_link_and_back_is_where_the_system_goes(tmp_path: Path) -> None:
    tree(tmp_path, "wrong/films/w.png", "right/films/r.png", "right/inner/x.png")
    (tmp_path / "wrong/link").symlink_to(tmp_path / "right/inner")
    assert problems(tmp_path / "wrong/link/../films") == {"r.png": None}


def test_input_that_is_a_link_to_a_film_was_named_on_purpose(tmp_path: Path) -> None:
    tree(tmp_path, "a.png")
    (tmp_path / "latest.png").symlink_to("a.png")
    assert problems(tmp_path / "latest.png") == {"latest.png": None}


def test_folder_named_twice_has_each_film_once(tmp_path: Path) -> None:
    tree(tmp_path, "in/a.png")
    (tmp_path / "link").symlink_to("in")
    inputs = [tmp_path / "in", tmp_path / "in/../in", tmp_path / "link"]
    assert [file.display for file in discover(inputs)] == ["a.png"]


def test_a_name_on_its_way_is_not_even_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "a.part")
    monkeypatch.setattr(os, "stat", denied(os.stat, "a.part", errno.EIO))
    assert problems(tmp_path) == {"a.part": Reason.TEMPORARY_NAME}


def test_input_with_a_hidden_name_was_named_on_purpose(tmp_path: Path) -> None:
    assert problems(tree(tmp_path, ".in/a.png") / ".in") == {"a.png": None}


@pytest.mark.parametrize("way", ["walked", "listed"])
def test_stamp_is_what_the_file_looked_like(way: str, tmp_path: Path) -> None:
    film = tree(tmp_path, "a.png") / "a.png"
    (file,) = discover([tmp_path]) if way == "walked" else listed([str(film)])
    assert file.stamp == Stamp.of(film.lstat())


def test_what_is_no_file_has_no_stamp(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    (file,) = discover([tmp_path])
    assert file.stamp is None


def test_folders_are_walked_as_files_are_taken(tmp_path: Path) -> None:
    found = discover([tree(tmp_path, "a/1", "b/1")])
    assert next(found).display == "a/1"
    tree(tmp_path, "b/2")
    assert [file.display for file in found] == ["b/1", "b/2"]


def test_a_flat_folder_costs_its_names_in_memory(tmp_path: Path) -> None:
    count = 3000
    tree(tmp_path, *(f"IM-{number:08}-0001.jpeg" for number in range(count)))
    tracemalloc.start()
    try:
        walk = discover([tmp_path])
        next(walk)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held / count < 120


def test_a_folder_swapped_for_a_link_is_not_walked_into(tmp_path: Path) -> None:
    """Neither at once nor from a folder that was listed before."""
    found = discover([tree(tmp_path, "in/a/1", "in/b/c/2", "in/b/d/3", "out/c/4", "out/5") / "in"])
    assert next(found).display == "a/1"
    (tmp_path / "in/b").rename(tmp_path / "was")
    (tmp_path / "in/b").symlink_to(tmp_path / "out")
    assert {file.display: file.problem for file in found} == {"b": Reason.SYMLINK}


def test_a_film_whose_folder_became_a_link_is_not_read_through_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the moments when its path is followed and when its folder is opened."""
    film = tree(tmp_path / "in", "a.png") / "a.png"
    tree(tmp_path / "outside", "a.png")
    opened = discover_module._opened

    def swap(given: Path) -> Any:
        (tmp_path / "in").rename(tmp_path / "was")
        (tmp_path / "in").symlink_to("outside")
        return opened(given)

    monkeypatch.setattr(discover_module, "_opened", swap)
    (found,) = discover([film])
    assert (found.problem, found.stamp) == (Reason.MISSING, None)


def test_a_folder_swapped_after_it_was_listed(tmp_path: Path) -> None:
    found = discover([tree(tmp_path, "in/a/1", "in/a/b/2", "out/b/3") / "in"])
    assert next(found).display == "a/1"
    (tmp_path / "in/a").rename(tmp_path / "was")
    (tmp_path / "in/a").symlink_to(tmp_path / "out")
    assert {file.display: file.problem for file in found} == {"a/b": Reason.UNREADABLE_FOLDER}


@pytest.mark.parametrize("way", ["walked", "listed", "named"])
def test_films_lie_below_the_folder_that_was_named(way: str, tmp_path: Path) -> None:
    film = tree(tmp_path, "a.png") / "a.png"
    ways = {
        "walked": discover([tmp_path]),
        "listed": listed([str(film)]),
        "named": discover([film]),
    }
    (file,) = ways[way]
    facts = tmp_path.stat()
    assert file.root == Root(tmp_path, facts.st_dev, facts.st_ino)
    assert file.size == 0


def test_input_that_is_a_link_to_a_folder_was_named_on_purpose(tmp_path: Path) -> None:
    tree(tmp_path, "real/a.png")
    (tmp_path / "link").symlink_to("real")
    assert problems(tmp_path / "link") == {"a.png": None}


def test_input_that_is_a_link_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nothing")
    assert problems(tmp_path / "link") == {"link": Reason.MISSING}


def denied(real: Callable[..., Any], name: str, code: int = errno.EACCES) -> Callable[..., Any]:
    """A system call that fails on everything below `name`."""

    def call(path: Any, *more: Any, **options: Any) -> Any:
        if name in str(path):
            raise OSError(code, os.strerror(code))
        return real(path, *more, **options)

    return call


def test_unreadable_folder_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "closed/1", "open/1")
    monkeypatch.setattr(discover_module, "_names", denied(discover_module._names, "closed"))
    assert problems(tmp_path) == {"closed": Reason.UNREADABLE_FOLDER, "open/1": None}


@pytest.mark.parametrize(
    ("code", "reason"),
    [(errno.EACCES, Reason.PERMISSION), (errno.EIO, Reason.IO_ERROR)],
    ids=["permission", "disk"],
)
def test_entry_that_cannot_be_looked_at_is_a_row(
    code: int, reason: Reason, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that may be listed but not entered; a share that went away."""
    tree(tmp_path, "closed.png", "open.png")
    monkeypatch.setattr(os, "stat", denied(os.stat, "closed", code))
    assert problems(tmp_path) == {"closed.png": reason, "open.png": None}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_really_unreadable_folder(tmp_path: Path) -> None:
    (tree(tmp_path, "closed/1") / "closed").chmod(0)
    assert problems(tmp_path) == {"closed": Reason.UNREADABLE_FOLDER}


HOSTILE = {
    "newline": (b"a\nb.png", r"a\nb.png"),
    "not UTF-8": (b"a\xffb.png", r"a\udcffb.png"),
    "255 bytes": (b"n" * 255, "n" * 255),
    "backslash": (rb"C:\film.png", r"C:\\film.png"),
}


@pytest.mark.parametrize(("name", "display"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_name(name: bytes, display: str, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    path.write_bytes(b"")
    (file,) = discover([tmp_path])
    assert (file.path, file.display, file.problem) == (path, display, None)


def test_listed_files_are_shown_as_they_were_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "a.png", "s/b.png")
    monkeypatch.chdir(tmp_path)
    names = ["s/b.png", str(tmp_path / "a.png"), "s/b.png", "./a.png", "s/../a.png", "s//b.png"]
    found = [(file.path, file.display, file.problem) for file in listed(names)]
    assert found == [(tmp_path / name, name, None) for name in names[:2]]


LISTED = {
    "missing": ("nothing.png", Reason.MISSING),
    "folder": ("s", Reason.NOT_A_FILE),
    "link": ("link", Reason.SYMLINK),
    "too long": ("n" * 5000, Reason.IO_ERROR),
    "null bytes, as find -print0 writes": ("a.png\0s/b.png\0", Reason.MISSING),
}


@pytest.mark.parametrize(("name", "reason"), LISTED.values(), ids=LISTED)
def test_listed_name_that_is_no_film(
    name: str, reason: Reason, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "a.png", "s/b.png")
    (tmp_path / "link").symlink_to("a.png")
    monkeypatch.chdir(tmp_path)
    (file,) = listed([name])
    assert file.problem is reason


SYSTEM = (
    *("@eaDir", "#recycle", "$RECYCLE.BIN", "@Recycle", "#snapshot", "System Volume Information"),
    *(".@__thumb", ".Trash-1000", ".Trashes", "__MACOSX", "lost+found", "$Recycle.Bin"),
)


@pytest.mark.parametrize("folder", SYSTEM)
def test_system_folder_is_left_out_and_counted(folder: str, tmp_path: Path) -> None:
    tree(tmp_path, "a.png", f"{folder}/a.png/SYNOPHOTO_THUMB_XL.jpg", f"{folder}/b.jpg", "z/b.png")
    left_out = LeftOut()
    assert [file.display for file in discover([tmp_path], left_out)] == ["a.png", "z/b.png"]
    assert left_out.files == 2


def test_system_folder_that_is_an_input_was_named_on_purpose(tmp_path: Path) -> None:
    assert problems(tree(tmp_path, "#recycle/a.png") / "#recycle") == {"a.png": None}


def test_list_that_a_program_wrote_leaves_them_out_as_well(tmp_path: Path) -> None:
    left_out = LeftOut()
    names = [str(tmp_path / name) for name in ("a.png", "@eaDir/a.png", "b/#recycle/c.png")]
    tree(tmp_path, "a.png", "@eaDir/a.png", "b/#recycle/c.png")
    assert [file.display for file in listed(names, left_out)] == names[:1]
    assert left_out.files == 2
