"""The exploration page: its numbers, and that nothing in a folder can become markup."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import stat
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxr_edge.errors import DataError, InputError, ReportError
from cxr_training.explore import page as explore_module
from cxr_training.explore import pictures
from cxr_training.explore.page import explore
from tests.training.helpers import command_line, fresh_python, write_labelled_folder

HOSTILE = "<script>alert(1)<&>\"'.png"
HOSTILE_SET = "$x^$ <b>"  # would be a broken formula in a chart, and bold on a page
EXTERNAL = re.compile(r"""(?:https?:)?//|\burl\(|@import|javascript:""")


class Page(HTMLParser):
    """Tags, attributes, table rows, and the text under each heading."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.rows: list[list[str]] = []
        self.text: list[str] = []
        self._in_cell = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self._in_cell:
            self.rows[-1][-1] += data

    def attributes(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def row(self, *start: str) -> list[str]:
        """The rest of the one row that starts so."""
        found = [row[len(start) :] for row in self.rows if tuple(row[: len(start)]) == start]
        assert len(found) == 1, (start, found)
        return found[0]


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sets: a duplicate, a leak between sets, a wrong label, broken files, hostile names."""
    root = tmp_path_factory.mktemp("explore") / "hospital <i>"
    train = write_labelled_folder(root / "train", 20)
    test = write_labelled_folder(root / HOSTILE_SET, 8)
    # Both sets hold the first 8 films of each class under the same names: make one set unique.
    for number, path in enumerate(sorted(test.rglob("*.*"))):
        name = f"scan{number}.png"
        pixels = np.full((40 + number, 60), 3 * number, np.uint8)
        Image.fromarray(pixels).save(path.with_name(name))
        path.unlink()
    normal, pneumonia = train / "NORMAL", train / "PNEUMONIA"
    shutil.copy(normal / "IM-0003-0007.jpeg", normal / "IM-0003-0099.jpeg")
    shutil.copy(normal / "IM-0004-0008.jpeg", test / "NORMAL" / "IM-0004-0008.jpeg")
    shutil.copy(normal / "IM-0005-0010.jpeg", pneumonia / HOSTILE)
    Image.new("RGB", (500, 250)).save(normal / "wide.png")
    (normal / f"broken {HOSTILE}").write_bytes(b"\x89PNG\r\n\x1a\n")
    (pneumonia / os.fsdecode(b"bad\xff.jpeg")).write_bytes(b"")
    return root


@pytest.fixture(scope="module")
def page(sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    out = tmp_path_factory.mktemp("page") / "new" / "exploration.html"
    explore(sets, out)
    return Page(out.read_text(encoding="utf-8"))


def test_totals(page: Page) -> None:
    assert page.html.startswith("<!doctype html>")
    assert page.html.endswith("</html>")
    tiles = "".join(page.text).split("This page shows")[0].split("\n")
    assert [tile for tile in tiles if tile[:1].isdigit()] == [
        "62files found",
        "60films readable",
        "38patients",
        "3groups of equal files",
        "2unreadable files",
    ]


def test_counts_per_set_and_class(page: Page) -> None:
    # files, unreadable, films, share of the set, patients
    assert page.row("train", "NORMAL", "23") == ["1", "22", "51.2%", "11"]
    assert page.row("train", "PNEUMONIA", "22") == ["1", "21", "48.8%", "11"]
    assert page.row(HOSTILE_SET, "NORMAL", "9") == ["0", "9", "52.9%", "9"]
    assert page.row(HOSTILE_SET, "PNEUMONIA", "8") == ["0", "8", "47.1%", "8"]


def test_checks(page: Page) -> None:
    start = next(i for i, row in enumerate(page.rows) if row[0] == "check")
    assert {title: count for title, count, _ in page.rows[start + 1 : start + 10]} == {
        "unreadable files": "2",
        "films with doubts": "45",
        "films of unknown patients": "18",
        "equal files in both classes": "1",
        "equal files in several sets": "1",
        "equal files of several patients": "1",
        "equal files of one patient": "1",
        "patients in several sets": "1",
        "patients in both classes": "0",
    }


def test_sizes(page: Page) -> None:
    film, wide = ["72", "64", "1.12"], ["500", "250", "2.00"]
    least, median, largest = film, film, wide
    expected = [triple[i] for i in range(3) for triple in (least, median, largest)]
    assert page.row("train", "NORMAL", "72") == expected[1:]
    assert "60" in page.row(HOSTILE_SET, "PNEUMONIA", "60")


def test_formats_and_modes(page: Page) -> None:
    assert page.row("PNG", "RGB") == ["8-bit colour", "0", "1"]
    assert page.row("PNG", "L", "8-bit grey") == ["16", "14"]
    assert page.row("JPEG", "L", "8-bit grey") == ["1", "28"]


def test_duplicates_are_listed_worst_first(page: Page) -> None:
    start = next(i for i, row in enumerate(page.rows) if row[:2] == ["where", "files"])
    conflict, leak, repeat = page.rows[start + 1 : start + 4]
    assert conflict[0] == "in both classes, of several patients"
    assert conflict[2] == f"train/NORMAL/IM-0005-0010.jpegtrain/PNEUMONIA/{HOSTILE}"
    assert leak[0] == "in several sets"
    assert repeat[0] == "of one patient"
    assert repeat[2] == "train/NORMAL/IM-0003-0007.jpegtrain/NORMAL/IM-0003-0099.jpeg"


def test_patients(page: Page) -> None:
    # films, patients, with one film, median, most
    assert page.row("train", "43", "22") == ["2", "2", "3"]
    assert page.row(HOSTILE_SET, "17", "17") == ["17", "1", "1"]
    rows = [row for row in page.rows if row[:2] == ["IM-0004", "3"]]
    assert rows == [["IM-0004", "3", f"{HOSTILE_SET} 1, train 2", "NORMAL 3"]] * 2


def test_unreadable_files_are_listed_with_the_reason(page: Page) -> None:
    assert page.row(f"train/NORMAL/broken {HOSTILE}")[0].startswith("truncated")
    assert page.row("train/PNEUMONIA/bad\\udcff.jpeg") == ["empty"]


def test_samples_are_shown_with_their_names(page: Page) -> None:
    # All of the small set, twelve of each class of the large one.
    films = [one for one in page.attributes("img") if one.get("class") != "chart"]
    assert len(films) == 12 + 12 + 9 + 8
    assert all(one["src"].startswith("data:image/jpeg;base64,") for one in films)
    assert all(max(int(one["width"]), int(one["height"])) <= 176 for one in films)
    assert sum(text.startswith("scan") for text in page.text) >= 16


def test_charts_open_as_images(page: Page) -> None:
    charts = [one for one in page.attributes("img") if one.get("class") == "chart"]
    assert len(charts) == 3
    for chart in charts:
        assert chart["alt"]
        kind, _, data = chart["src"].partition(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(data, validate=True).startswith(b"\x89PNG")


def test_nothing_in_a_name_becomes_markup(page: Page) -> None:
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "i", "b", "iframe", "object", "link", "form"}
    assert "".join(page.text).count(HOSTILE) >= 2
    assert all(not key.startswith("on") for _, attrs in page.tags for key in attrs)


def test_nothing_is_fetched(page: Page) -> None:
    for tag, attributes in page.tags:
        for key in ("src", "href", "action", "srcset"):
            value = attributes.get(key, "#")
            assert value.startswith(("data:image/", "#")), (tag, key, value[:60])
    without_images = re.sub(r"data:image/[a-z]+;base64,[A-Za-z0-9+/=]+", "", page.html)
    assert not EXTERNAL.search(without_images)


def test_the_policy_allows_this_style_and_nothing_else(page: Page) -> None:
    first = page.attributes("meta")[1]
    assert first["http-equiv"] == "Content-Security-Policy"
    style = re.findall(r"<style>(.*?)</style>", page.html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style[0].encode()).digest()).decode()
    assert first["content"] == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    assert len(style) == 1
    assert not [attributes for _, attributes in page.tags if "style" in attributes]


def test_the_page_says_that_films_are_shown(page: Page) -> None:
    assert "This page shows films and file names." in "".join(page.text)


def test_one_labelled_folder_of_one_size(labelled: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    explore(labelled, out)
    page = Page(out.read_text(encoding="utf-8"))
    assert page.row("labelled", "NORMAL", "30") == ["0", "30", "50.0%", "15"]
    assert "Every film has 72 \u00d7 64 pixels." in "".join(page.text)
    assert len([one for one in page.attributes("img") if one.get("class") == "chart"]) == 2
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_a_page_is_never_overwritten(labelled: Path, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("precious")
    with pytest.raises(InputError, match="already exists"):
        explore(labelled, tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text() == "precious"


def test_long_lists_are_cut_and_say_so(
    labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "set"
    shutil.copytree(labelled, folder)
    for number in range(7):
        (folder / "NORMAL" / f"empty{number}.png").touch()
        shutil.copy(folder / "NORMAL" / "IM-0000-0000.png", folder / "NORMAL" / f"c{number}.png")
    monkeypatch.setattr(explore_module, "ROWS_SHOWN", 4)
    monkeypatch.setattr(explore_module, "FILES_SHOWN", 3)
    explore(folder, tmp_path / "page.html")
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert sum("/empty" in row[0] for row in page.rows) == 4
    assert "and 3 more" in page.text
    assert "and 5 more" in page.text


def test_a_film_that_goes_away_is_left_out(
    labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "set"
    shutil.copytree(labelled, folder)

    def draw(films: object) -> pictures.Pictures:
        shutil.rmtree(folder)
        return real(films)  # type: ignore[arg-type]

    real = pictures.draw
    monkeypatch.setattr(pictures, "draw", draw)
    explore(folder, tmp_path / "page.html")
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert {one.get("class") for one in page.attributes("img")} == {"chart"}


@pytest.mark.parametrize("content", ["nothing", "broken"])
def test_a_folder_without_films_is_refused(tmp_path: Path, content: str) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    if content == "broken":
        for name in ("NORMAL", "PNEUMONIA"):
            (folder / name).mkdir()
            (folder / name / "x.png").touch()
    with pytest.raises(DataError):
        explore(folder, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_a_page_that_cannot_be_written(labelled: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ReportError, match="the page cannot be written"):
        explore(labelled, tmp_path / "file" / "page.html")


def test_exploring_needs_no_network_library() -> None:
    """Keras and its backend take seconds to import, and have nothing to do here."""
    code = "import sys, cxr_training.explore.page; sys.exit('keras' in sys.modules)"
    with fresh_python(code) as child:
        output, _ = child.communicate(timeout=60)
    assert child.returncode == 0, output


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["films", "--out", "a/b.html"], 0, "exploration written: a/b.html"),
        (["empty"], 2, "error: empty has no folders NORMAL and PNEUMONIA"),
    ],
    ids=["out", "empty"],
)
def test_the_command_line(
    labelled: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    says: str,
) -> None:
    (tmp_path / "films").symlink_to(labelled)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    assert command_line(monkeypatch, "explore", *arguments) == code
    seen = capsys.readouterr()
    assert says in seen.err
    assert seen.out == ""
