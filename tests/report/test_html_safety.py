"""`triage.html` is closed: nothing leaves it, nothing gets in, and every value is text."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from dataclasses import replace

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_edge.report import Report, html
from cxr_edge.report.environment import page_environment
from cxr_edge.support.text import display_name
from tests.factories import ANY_TEXT, html_of, report, result
from tests.report.page import Page, page
from tests.report.pictures import pictured
from tests.tiny import tiny_spec

MIXED = report(
    result("broken.jpg", None),
    result("ill.png", 0.9, width=64, height=48, format="PNG", sha256="ab" * 32),
    result("well.png", 0.1),
)


# Nothing that loads, links out or sends.
TAGS = (
    "html head meta title style script noscript template body main header footer nav section div "
    "p span strong h1 h2 ul ol li dl dt dd table thead tbody tr th td details summary figure "
    "figcaption code time dialog fieldset legend label input select option button output "
    "a svg g path rect text defs pattern use image"
)
FOREIGN = re.compile(rb"https?:|//[a-z]|\burl\((?!#)|@import|javascript:|\bon[a-z]+=|style=")


@pytest.mark.parametrize("made", [MIXED, pictured(MIXED)], ids=["bare", "with films"])
def test_nothing_refers_to_anything_outside(made: Report) -> None:
    source = html_of(made)
    found = page(made)
    assert {tag.lstrip("/") for tag, _ in found.tags} <= set(TAGS.split())
    targets = [v for _, attributes in found.tags for k, v in attributes if k in ("href", "src")]
    assert targets
    assert all(target and target.startswith(("#", "data:image/jpeg;")) for target in targets)
    assert FOREIGN.search(re.sub(rb"data:image/jpeg;base64,[^\"]*", b"", source)) is None


def test_every_name_inside_the_page_leads_somewhere() -> None:
    """Targets are there once; headings skip no level."""
    found = page(pictured(MIXED))
    values = [dict(attributes) for _, attributes in found.tags]
    targets = [each["id"] for each in values if "id" in each]
    assert len(targets) == len(set(targets))
    named = {str(each[key]) for each in values for key in ("for", "aria-labelledby") if key in each}
    linked = {str(each["href"])[1:] for each in values if str(each.get("href")).startswith("#")}
    assert named | linked <= set(targets)
    levels = [int(tag[1]) for tag, _ in found.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_policy_allows_the_page_its_own_style_and_script_alone() -> None:
    made = page(MIXED)
    (policy,) = (
        dict(attributes)["content"]
        for tag, attributes in made.tags
        if dict(attributes).get("http-equiv") == "Content-Security-Policy"
    )
    digests = {
        kind: base64.b64encode(hashlib.sha256("".join(texts).encode()).digest()).decode()
        for kind, texts in made.raw.items()
    }
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digests['style']}'; "
        f"script-src 'sha256-{digests['script']}'; base-uri 'none'; form-action 'none'"
    )


HOSTILE = [
    "<script>alert(1)</script>",
    "</td></tr></table></section>",
    "<!-- ",
    "\"' onmouseover=alert(1)",
    "{{ 7 * 7 }} {% raw %}",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_name_is_text(name: str) -> None:
    def named(text: str) -> Page:
        odd = result(text, duplicate_of=text, identity={"AccessionNumber": text})
        return page(report(odd, identity_fields=("AccessionNumber",), command=(text,)))

    made = named(name)
    assert made.tags == named("name").tags
    (row,) = made.bands["flagged"]
    assert row.texts["tag"] == f"AccessionNumber {name}Same content as {name}"
    assert row.texts["who"] == row.texts["path"] == row.texts["twin"] == name


@settings(max_examples=20)
@given(st.lists(ANY_TEXT | st.text("<>&;\"'=/!-{}%# a"), unique=True, min_size=20, max_size=40))
def test_any_name_is_text(raw: list[str]) -> None:
    """Many names a page: a page takes longer than a name."""
    names = [display_name(name) for name in raw]
    made = page(report(*map(result, names)))
    assert made.tags == page(report(*(result(str(n)) for n in range(len(names))))).tags
    shown = [row.texts.get("who", "") for row in made.bands["flagged"]]
    assert sorted(shown) == sorted(names)


def test_hostile_spec_is_text() -> None:
    spec = replace(tiny_spec(), name="<b>", version="</title>")
    made = page(report(result(), spec=spec, model_file="<i>.onnx"))
    assert made.tags == page(report(result())).tags
    assert "<b> </title> (<i>.onnx" in made.text


def test_a_variable_that_the_template_misses_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"base.css": "", "triage.css": "", "triage.js": ""}
    loader = jinja2.DictLoader({**texts, "triage.html.j2": "{{ context.radiologist }}"})
    environment = page_environment().overlay(loader=loader)
    monkeypatch.setattr(html, "page_environment", lambda: environment)
    with pytest.raises(jinja2.UndefinedError, match="radiologist"):
        html_of(MIXED)
