"""The 312 films of the official test folder, which lies beside the checkout or nowhere."""

from __future__ import annotations

from tests.export.films import ROOT

TEST_A = ROOT.parent / "shared" / "data" / "kermany224" / "test_a"
FILMS = 312
