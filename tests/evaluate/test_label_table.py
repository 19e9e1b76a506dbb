"""Labels from a table: what is tolerated, and what is named and refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_edge.errors import DataError
from cxr_edge.evaluate.label_table import TableLine, read_table
from cxr_edge.evaluate.labels import LabelledSet, from_csv
from tests.factories import write_tree


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    names = ("a.png", "b.png", "c/d.png", "person7_virus_2.jpeg", ".hidden/x.png")
    return write_tree(tmp_path / "site", dict.fromkeys(names, b"film"))


def table(folder: Path, text: str | bytes) -> Path:
    path = folder.parent / "labels.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def labels(found: LabelledSet) -> dict[str, int]:
    return {film.file.display: film.label for film in found.films}


PLAIN = {"a.png": 0, "c/d.png": 1}


@pytest.mark.parametrize(
    "text",
    [
        "path,label\na.png,NORMAL\nc/d.png,PNEUMONIA\n",
        "path,label\na.png,0\nc/d.png,1\n",
        "path,label\na.png,0\nc/d.png,PNEUMONIA",
        "\ufeffpath,label\r\na.png,NORMAL\r\nc/d.png,PNEUMONIA\r\n",
        "path,label\ra.png,NORMAL\rc/d.png,PNEUMONIA\r",
        "path;label\na.png;NORMAL\nc/d.png;PNEUMONIA\n",
        "\r\n\r\nPath , LABEL\n\na.png, NORMAL \n,\nc/d.png, PNEUMONIA\n,\n",
        '"path","label"\n"a.png","NORMAL"\n"c/d.png","PNEUMONIA"\n',
        "age,label,path\n3,NORMAL,./a.png\n4,PNEUMONIA,c/../c//d.png\n",
    ],
    ids=[
        "plain",
        "digits",
        "mixed, no last line end",
        "mark and CRLF",
        "CR",
        "semicolons",
        "blanks and empty lines",
        "quoted",
        "other columns, other spellings",
    ],
)
def test_tables_that_can_be_read(folder: Path, text: str) -> None:
    found = from_csv(folder, table(folder, text))
    assert labels(found) == PLAIN
    assert found.classes == ("NORMAL", "PNEUMONIA")
    assert found.name == "site (labels.csv)"
    assert found.unlabelled == (".hidden", "b.png", "person7_virus_2.jpeg")


def test_the_table_itself_is_no_unlabelled_film(folder: Path) -> None:
    inside = folder / "labels.csv"
    inside.write_text("path,label\na.png,0\n")
    assert "labels.csv" not in from_csv(folder, inside).unlabelled


def test_negative_films_come_first(folder: Path) -> None:
    found = from_csv(folder, table(folder, "path,label\nb.png,1\nc/d.png,0\na.png,0\n"))
    assert [film.file.display for film in found.films] == ["c/d.png", "a.png", "b.png"]


def test_patients_by_the_table_or_by_name(folder: Path) -> None:
    text = "path,label,patient\na.png,0,P 1\nb.png,0, P 1 \nc/d.png,1,\nperson7_virus_2.jpeg,1,\n"
    found = from_csv(folder, table(folder, text))
    assert {film.file.display: film.patient for film in found.films} == {
        "a.png": "3",
        "b.png": "3",
        "c/d.png": "1",
        "person7_virus_2.jpeg": "2",
    }
    assert found.patients_from == (
        "every film counted as a patient of its own (1), file names (1), the table (2)"
    )


@pytest.mark.parametrize(
    ("text", "positive", "classes"),
    [
        ("path,label\na.png,well\nc/d.png,sick\n", ("sick",), ("well", "sick")),
        ("path,label\na.png,NORMAL\nc/d.png,TB\n", ("TB",), ("NORMAL", "TB")),
        ("path,label\na.png,NORMAL\nb.png,TB\nc/d.png,X\n", ("TB", "X"), ("NORMAL", "TB+X")),
        ("path,label\na.png,1\nc/d.png,0\n", ("0",), ("1", "0")),
    ],
    ids=["named", "beside NORMAL", "two", "digits the other way round"],
)
def test_a_site_names_the_positive_class(
    folder: Path, text: str, positive: tuple[str, ...], classes: tuple[str, str]
) -> None:
    found = from_csv(folder, table(folder, text), positive)
    assert found.classes == classes
    assert {name: found for name, found in labels(found).items() if name != "b.png"} == PLAIN


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no film"),
        ("\n \n", "names no film"),
        ("path,label\n", "names no film"),
        ("a.png,NORMAL\n", "one column path and one column label; its first line is 'a.png,NORMAL"),
        ("path,finding\na.png,0\n", "needs one column label; its first line is 'path,finding'"),
        ("path,label,label\na.png,0,1\n", "needs one column label;"),
        ("path,label,patient,patient\na.png,0,x,y\n", "needs one column patient;"),
        ("path,label\na.png,0,extra\n", "line 2: 3 cells, not 2"),
        ("path;label\na.png,0\n", "line 2: 1 cells, not 2"),
        ("path,label\na.png,\n,0\n", "without a path or a label: line 2 'a.png', line 3 ''"),
        ("path,label\na.png,2\n", "unknown classes: 2"),
        ("path,label\na.png,normal\n", "unknown classes: normal"),
        ("path,label\nx.png,0\na.png,0\ny.png,1\n", "not in .*: line 2 'x.png', line 4 'y.png'$"),
        ("path,label\nc,0\n", "not in .*: line 2 'c'"),
        ("path,label\n.hidden/x.png,0\n", "not in .*: line 2 '.hidden/x.png'"),
        ("path,label\n../site/a.png,0\n", "leave the folder: line 2 '../site/a.png'"),
        ("path,label\nc/../../x.png,0\n", "leave the folder: line 2 '../x.png'"),
        ("path,label\n/etc/hostname,0\n", "leave the folder: line 2 '/etc/hostname'"),
        ("path,label\na.png,0\n./a.png,0\n", "paths named before: line 3 'a.png'"),
        ("path,label\na.png,0\na.png,1\n", "contradictory labels .*: line 3 'a.png'"),
        ('path,label\n"a.png,0\n', "line 2: unexpected end of data"),
        ("path,label\nx\x1b\x00.png,0\n", r"not in .*: line 2 'x\\\\x1b\\\\x00.png'"),
        (b"path,label\n\xe9.png,0\n", "is not UTF-8: byte 11"),
        ("path,label\na.png,0\n".encode("utf-16"), "is not UTF-8: byte 0"),
        (
            "path,label\n" + "".join(f"{n}.png,0\n" for n in range(7)),
            r"line 6 '4.png' and 2 more \(7 in all\)$",
        ),
    ],
)
def test_refused_tables(folder: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        from_csv(folder, table(folder, text))
    assert str(caught.value).isprintable()


def test_a_positive_label_that_no_line_has(folder: Path) -> None:
    path = table(folder, "path,label\na.png,NORMAL\n")
    with pytest.raises(DataError, match=r"no line in .* with the label: TB"):
        from_csv(folder, path, ("TB",))


def test_several_classes_beside_a_named_one(folder: Path) -> None:
    path = table(folder, "path,label\na.png,TB\nb.png,COPD\nc/d.png,well\n")
    with pytest.raises(DataError, match="unknown classes: COPD, well"):
        from_csv(folder, path, ("TB",))


@pytest.mark.parametrize("name", ["missing.csv", "site"])
def test_a_table_that_cannot_be_opened(folder: Path, name: str) -> None:
    with pytest.raises(DataError, match=f"{name} cannot be read: "):
        from_csv(folder, folder.parent / name)


def test_not_a_folder(folder: Path) -> None:
    with pytest.raises(DataError, match="not a folder"):
        from_csv(folder / "a.png", table(folder, "path,label\na.png,0\n"))


def test_line_numbers_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text('\npath,label\n\n"two\nlines.png",0\nb.png,1\n')
    assert read_table(path) == [
        TableLine(5, "two\nlines.png", "0", ""),
        TableLine(6, "b.png", "1", ""),
    ]


@given(st.binary(max_size=80) | st.text(max_size=80).map(lambda text: text.encode("utf-8")))
def test_any_bytes_are_a_table_or_refused(
    tmp_path_factory: pytest.TempPathFactory, b: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    for content in (b, b"path,label\n" + b):
        path.write_bytes(content)
        try:
            lines = read_table(path)
        except DataError as error:
            assert str(error).isprintable()
        else:
            assert lines
            assert all(line.path and line.label.isprintable() for line in lines)
