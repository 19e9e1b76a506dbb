"""Templates of links: what is refused, and values that stay values."""

from __future__ import annotations

import pytest

from cxr_edge.errors import InputError
from cxr_edge.support.viewer_url import check_template, viewer_link

GOOD = (
    "https://pacs.example/study/{study_uid}",
    "http://127.0.0.1:8042/ui/{accession_number}?p={patient_id}#{series_uid}",
    "https://[::1]/{instance_uid}/{acquired}",
)
REFUSED = {
    "javascript": "javascript:alert({patient_id})",
    "file": "file:///srv/{patient_id}",
    "data": "data:text/html,{patient_id}",
    "no scheme": "//pacs.example/{patient_id}",
    "no host": "https:///{patient_id}",
    "a field for a host": "https://{patient_id}.example/",
    "a field for a port": "https://pacs.example:{patient_id}/",
    "no port": "https://pacs.example:port/{patient_id}",
    "an unknown field": "https://pacs.example/{patient_name}",
    "an attribute": "https://pacs.example/{patient_id.__class__}",
    "a positional field": "https://pacs.example/{}",
    "a lone brace": "https://pacs.example/{patient_id}/}",
    "no field": "https://pacs.example/",
    "a space": "https://pacs.example/ {patient_id}",
    "a line feed": "https://pacs.example/\n{patient_id}",
    "markup": 'https://pacs.example/"><{patient_id}',
    "empty": "",
}


@pytest.mark.parametrize("template", GOOD)
def test_good_templates(template: str) -> None:
    check_template(template)


@pytest.mark.parametrize("template", REFUSED.values(), ids=REFUSED)
def test_bad_templates_are_refused(template: str) -> None:
    with pytest.raises(InputError, match="--viewer-url") as caught:
        check_template(template)
    assert caught.value.tip


def test_values_are_percent_encoded() -> None:
    link = viewer_link("https://x/{patient_id}?a={patient_id}", {"patient_id": "a/b c&\u00fc%"})
    assert link == "https://x/a%2Fb%20c%26%C3%BC%25?a=a%2Fb%20c%26%C3%BC%25"


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_no_link_without_a_value(value: str) -> None:
    """Browsers take `%2E%2E` for the folder above, too."""
    assert viewer_link("https://x/{patient_id}", {"patient_id": value}) == ""
    assert viewer_link("https://x/{patient_id}", {}) == ""
