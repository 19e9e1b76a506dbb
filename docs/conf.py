"""Settings of the manual's site; `make docs` builds it, every warning an error.

The sources are the repository itself, so that links between the manual, the models' cards and the
other pages are the same on disk, on a code host and in the site.
"""

project = "cxr-edge"
html_title = "cxr-edge"
root_doc = "docs/index"
source_suffix = {".md": "markdown"}
include_patterns = [
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/**",
    "examples/README.md",
    "models/*.md",
    "tests/data/README.md",
]
exclude_patterns = [".*", "build", "env", "reports", "runs"]  # not walked: they may be large
extensions = ["myst_parser"]
myst_heading_anchors = 3
nitpicky = True
# Furo brings its styles, scripts and icons, and uses the system's fonts: nothing is loaded from
# elsewhere, and search works from disk.
html_theme = "furo"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
