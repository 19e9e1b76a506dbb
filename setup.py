"""Everything declarative is in setup.cfg; this only carries two data folders into the wheel."""

from __future__ import annotations

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

# (folder in the checkout, folder in the wheel, what goes along). `models` and `recipes` stand at
# the top of the checkout because people read and replace them; the ResNet and the `.keras`
# sources stay there, so that the wheel stays small.
DATA = (
    ("models", "cxr_edge/models", ("cnn*.onnx", "cnn*.tflite", "cnn*.json", "cnn*.md")),
    ("training/recipes", "cxr_training/recipes", ("*.toml",)),
)


class BuildWithData(build_py):
    """Copy models and recipes into the packages that look for them there."""

    def run(self) -> None:
        """Build as usual, then add the data; an editable install reads the checkout instead."""
        super().run()
        if not self.editable_mode:
            for source, target in self._data_files():
                self.mkpath(str(target.parent))
                self.copy_file(str(source), str(target), preserve_mode=False)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """What `run` writes."""
        outputs: list[str] = super().get_outputs(include_bytecode)
        return outputs + [str(target) for _, target in self._data_files()]

    def _data_files(self) -> list[tuple[Path, Path]]:
        return [
            (source, Path(self.build_lib, inside, source.name))
            for folder, inside, patterns in DATA
            for pattern in patterns
            for source in sorted(Path(folder).glob(pattern))
        ]


setup(cmdclass={"build_py": BuildWithData})
