"""Texts of the page: one catalogue a language, `languages/<code>.toml`."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cxr_edge.types import DEFAULT_LANGUAGE, NOTES, InputWarning, Reason, Result

CATALOGUES = Path(__file__).parent / "languages"
_SCRIPT = "js_"  # keys of texts that the script of the page needs


@dataclass(frozen=True)
class Explanation:
    """A reason or a warning, for somebody who has the film before them, and no manual.

    Attributes:
        name: a few words for the row.
        meaning: a sentence or two.
        advice: what to do about it.
    """

    name: str
    meaning: str
    advice: str


@dataclass(frozen=True)
class Texts:
    """All texts in one language.

    Attributes:
        language: code for the page's `lang`.
        page: sentences and labels by key; `{name}` is filled in.
        reasons: by code.
        warnings: by code.
    """

    language: str
    page: Mapping[str, str]
    reasons: Mapping[str, Explanation]
    warnings: Mapping[str, Explanation]

    def __call__(self, key: str, **values: object) -> str:
        """One text of the page."""
        return self.page[key].format_map(values)

    def for_script(self) -> dict[str, str]:
        """Texts that the script fills in, by key without its prefix."""
        return {k.removeprefix(_SCRIPT): v for k, v in self.page.items() if k.startswith(_SCRIPT)}

    def remark(self, code: str) -> Explanation:
        """The words of a reason or a warning; where it can be both, it is a warning."""
        return self.warnings.get(code) or self.reasons[code]

    def explanations(self, result: Result) -> list[tuple[str, str, Explanation]]:
        """Reasons and warnings of a row: code, kind (`reason`, `warning` or `note`) and words."""
        reason = [result.reason] if result.reason else []
        return [
            *((each.value, "reason", self.reasons[each]) for each in reason),
            *((each.value, kind_of(each), self.warnings[each]) for each in result.warnings),
        ]


@functools.cache
def texts(language: str = DEFAULT_LANGUAGE) -> Texts:
    """The catalogue of a language of `types.LANGUAGES`."""
    values = tomllib.loads((CATALOGUES / f"{language}.toml").read_text(encoding="utf-8"))
    advice = values["advice"]
    reasons, warnings = (
        {code: Explanation(name, means, advice[do]) for code, (name, means, do) in part.items()}
        for part in (values["reasons"], values["warnings"])
    )
    return Texts(language, values["page"], reasons, warnings)


def in_words(code: str) -> str:
    """`still_changing` as people say it."""
    return code.replace("_", " ")


def remarks_of(result: Result) -> list[Reason | InputWarning]:
    """A row's reason and warnings."""
    return [*([result.reason] if result.reason else []), *result.warnings]


def kind_of(warning: InputWarning) -> str:
    """`note` for what changes nothing, else `warning`."""
    return "note" if warning in NOTES else "warning"
