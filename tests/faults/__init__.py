"""What the disk and the night do to a real run."""

import pytest

pytest.register_assert_rewrite("tests.faults.night", "tests.faults.decoding")
