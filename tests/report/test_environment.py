"""The environment of all pages: strict, escaping, and a policy that a browser would compute too."""

from __future__ import annotations

import base64
import hashlib

import jinja2
import pytest

from cxr_edge.report.environment import page_environment, policy, source


def test_values_are_escaped_and_missing_ones_refused() -> None:
    environment = page_environment()
    assert environment.from_string("{{ a }}").render(a="<b>\"'&") == "&lt;b&gt;&#34;&#39;&amp;"
    with pytest.raises(jinja2.UndefinedError):
        environment.from_string("{{ a.b }}").render(a={})


def test_sources_come_as_they_are_in_the_order_asked_for() -> None:
    """What a page's style is hashed over must not go through the template engine."""
    environment = page_environment()
    base, page = (source(environment, name) for name in ("base.css", "triage.css"))
    assert source(environment, "base.css", "triage.css") == base + page
    assert "{" in base


def digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


POLICIES = {
    "style alone": (("a {}",), f"style-src '{digest('a {}')}'"),
    "with a script": (
        ("a {}", "1"),
        f"style-src '{digest('a {}')}'; script-src '{digest('1')}'",
    ),
}


@pytest.mark.parametrize(("texts", "directives"), POLICIES.values(), ids=POLICIES)
def test_the_policy_names_its_own_texts_alone(texts: tuple[str, ...], directives: str) -> None:
    assert policy(*texts) == (
        f"default-src 'none'; img-src data:; {directives}; base-uri 'none'; form-action 'none'"
    )
