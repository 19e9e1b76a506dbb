"""Everything declarative is in setup.cfg; this carries into the wheel what lies elsewhere.

That is two data folders, the report's templates as the Python that Jinja makes of them, and the
README as the description.
"""

from __future__ import annotations

import functools
import json
import re
import runpy
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

# `models` and `recipes` stand at the top of the checkout because people read and replace them. A
# model with a larger file than this stays there, as the `.keras` sources do: the wheel is to be
# small. `.ci/check_wheel.py` reads this line.
LARGEST_MODEL_FILE = 5_000_000
COMPILED = "cxr_edge/report/compiled"


def small_models() -> list[Path]:
    """Spec, card and model files of each model that ships."""
    shipped = []
    for spec in sorted(Path("models").glob("*.json")):
        listed = json.loads(spec.read_text(encoding="utf-8"))["files"].values()
        files = [spec.with_name(file["name"]) for file in listed]
        if max(file.stat().st_size for file in files) <= LARGEST_MODEL_FILE:
            shipped += [spec, spec.with_suffix(".md"), *files]
    return shipped


class BuildWithData(build_py):
    """Copy models and recipes, and write templates, to where the packages look for them."""

    def run(self) -> None:
        """Build as usual, then add the data; an editable install reads the checkout instead."""
        super().run()
        if not self.editable_mode:
            for source, target in self._data_files():
                self.mkpath(str(target.parent))
                self.copy_file(str(source), str(target), preserve_mode=False)
            for target, text in self._templates.items():
                self.mkpath(str(target.parent))
                target.write_text(text, encoding="utf-8")

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """What `run` writes."""
        outputs: list[str] = super().get_outputs(include_bytecode)
        data = [target for _, target in self._data_files()]
        return outputs + [str(target) for target in (*data, *self._templates)]

    def get_source_files(self) -> list[str]:
        """The files that an sdist has to hold."""
        sources: list[str] = super().get_source_files()
        return sources + [str(source) for source, _ in self._data_files()]

    @functools.cached_property
    def _templates(self) -> dict[Path, str]:
        # By its path: the package itself would want the runtime's dependencies.
        pages = runpy.run_path("cxr_edge/report/environment.py")
        modules = pages["compiled_templates"]()
        return {Path(self.build_lib, COMPILED, name): text for name, text in modules.items()}

    def _data_files(self) -> list[tuple[Path, Path]]:
        """Each file in the checkout and its place in the wheel."""
        places = {
            "cxr_edge/models": small_models(),
            "cxr_training/recipes": sorted(Path("training/recipes").glob("*.toml")),
        }
        return [
            (source, Path(self.build_lib, folder, source.name))
            for folder, sources in places.items()
            for source in sources
        ]


def description() -> str:
    """README without the picture and the links into the checkout, which an index does not have."""
    text = Path("README.md").read_text(encoding="utf-8")
    text = re.sub(r"!\[[^]]*\]\([^)]*\)\n\n\*.*?\*\n\n", "", text, flags=re.S)
    return re.sub(r"\[([^]]+)\]\((?!https?:)[^)]+\)", r"\1", text)


setup(
    cmdclass={"build_py": BuildWithData},
    long_description=description(),
)
