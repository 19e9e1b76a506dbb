"""Everything declarative is in setup.cfg; this carries into the wheel what lies elsewhere.

That is two data folders, the report's templates as the Python that Jinja makes of them, and the
README as the description.
"""

from __future__ import annotations

import functools
import re
import runpy
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

# (folder in the checkout, folder in the wheel, what goes along). `models` and `recipes` stand at
# the top of the checkout because people read and replace them; ResNet50V2 and the `.keras`
# sources stay there, so that the wheel stays small.
SMALL_MODELS = tuple(
    f"{net}.{kind}" for net in ("cnn*", "resnet18*") for kind in ("onnx", "tflite", "json", "md")
)
DATA = (
    ("models", "cxr_edge/models", SMALL_MODELS),
    ("training/recipes", "cxr_training/recipes", ("*.toml",)),
)
COMPILED = "cxr_edge/report/compiled"


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

    @functools.cached_property
    def _templates(self) -> dict[Path, str]:
        # By its path: the package itself would want the runtime's dependencies.
        pages = runpy.run_path("cxr_edge/report/environment.py")
        modules = pages["compiled_templates"]()
        return {Path(self.build_lib, COMPILED, name): text for name, text in modules.items()}

    def _data_files(self) -> list[tuple[Path, Path]]:
        return [
            (source, Path(self.build_lib, inside, source.name))
            for folder, inside, patterns in DATA
            for pattern in patterns
            for source in sorted(Path(folder).glob(pattern))
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
