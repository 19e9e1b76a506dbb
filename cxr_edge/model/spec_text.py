"""The texts of a spec, of a classifier's and of a scope gate's alike."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from cxr_edge.model.files import ModelFile, Parity
from cxr_edge.support.strict_json import leave_out_defaults


@dataclass(frozen=True)
class SpecText:
    """Base of specs, which have a field `files`."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `json.loads` gives them."""
        values: dict[str, Any] = json.loads(self._json)
        return values

    @functools.cached_property
    def _json(self) -> str:
        """Made once: a run asks four times, and to walk all fields takes as long as a film."""
        values = asdict(self)
        self._leave_out(values)
        for file in values["files"].values():
            leave_out_defaults(file, ModelFile)
            leave_out_defaults(file["parity"], Parity)
        return json.dumps(values)

    def _leave_out(self, values: dict[str, Any]) -> None:
        """Take away what a spec of before a field was made does not say."""

    def to_json(self) -> str:
        """The text of `<name>.json`."""
        return json.dumps(self.to_dict(), indent=2) + "\n"

    def embedded_json(self) -> str:
        """The spec without `files`, which is embedded in each model file.

        A file cannot hold its own hash.
        """
        values = self.to_dict()
        del values["files"]
        return json.dumps(values, sort_keys=True, separators=(",", ":"))

    def sha256(self) -> str:
        """Hash of the whole spec."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()
