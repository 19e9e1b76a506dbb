"""`evaluation.html` uses itself alone, names in it stay text, and it is small."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace

import pytest

from cxr_edge.evaluate.page import render_page
from cxr_edge.evaluate.results import EvaluatedFilm, Evaluation
from tests.evaluate.made import evaluation, film, profile
from tests.evaluate.parsed import page, pictures_of


@pytest.mark.usefixtures("undrawn")
def test_policy_lets_the_page_use_itself_alone() -> None:
    made = evaluation(profile=profile(), models=2)
    parsed, content = page(made, pictures_of(made)), render_page(made, pictures_of(made))
    (style,) = re.findall(rb"<style>(.*?)</style>", content, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style).digest()).decode()
    (policy,) = [
        dict(pairs)["content"]
        for _, pairs in parsed.tags
        if dict(pairs).get("http-equiv") == "Content-Security-Policy"
    ]
    assert set(str(policy).split("; ")) == {
        "default-src 'none'",
        f"style-src 'sha256-{digest}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    }
    assert not {tag for tag, _ in parsed.tags} & {"script", "link", "iframe", "object", "form"}
    names = {name for _, pairs in parsed.tags for name, _ in pairs}
    assert not {name for name in names if name.startswith("on")} | (names & {"style"})
    outside = [
        value
        for _, pairs in parsed.tags
        for name, value in pairs
        if name in ("src", "href") and not str(value).startswith(("data:image/", "#"))
    ]
    assert outside == []
    text = re.sub(rb"data:image/[^\"]*", b"", content)
    assert not re.search(rb"https?:|url\((?!#)|@import|javascript:", text, re.IGNORECASE)


@pytest.mark.usefixtures("undrawn")
def test_links_lead_to_sections() -> None:
    made = evaluation(profile=profile(), models=2)
    parsed = page(made, pictures_of(made))
    targets = {str(dict(pairs)["href"])[1:] for tag, pairs in parsed.tags if tag == "a"}
    identifiers = [dict(pairs)["id"] for _, pairs in parsed.tags if "id" in dict(pairs)]
    assert targets <= set(identifiers)
    assert len(identifiers) == len(set(identifiers))


HOSTILE = [
    "<script>alert(1)</script>",
    "\"' onmouseover=alert(1)",
    "{{ 7 * 7 }} {% raw %}",
]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text(name: str) -> None:
    def named(text: str) -> Evaluation:
        odd: EvaluatedFilm = film(1, 1, 0.1, path=text)
        unread = film(2, 1, None, path=text)
        made = evaluation(command=(text,), versions={text: text})
        (model,) = made.models
        spec = replace(model.spec, name=text, version=text)
        changed = replace(
            model,
            spec=spec,
            model_file=text,
            device=text,
            missed=(replace(odd, patient=text),),
            not_scored=(unread,),
        )
        films = replace(made.films, name=text, unlabelled=(text,))
        return replace(made, films=films, models=(changed,))

    parsed = page(named(name))
    assert parsed.shape == page(named("name")).shape
    assert f"0.100000 {' '.join(name.split())} patient {' '.join(name.split())}" in parsed.text()


def test_size_with_its_pictures() -> None:
    content = render_page(evaluation(models=2), {})
    assert len(content) < 1_500_000
    assert content.count(b"data:image/png;base64,iVBOR") == 2 + 4 * 2
