"""Progress of a training on stderr: a bar on a terminal, one line per epoch everywhere."""

from __future__ import annotations

import keras
from rich.progress import Progress, TaskID

from cxr_training.support.progress import console


class EpochProgress(keras.callbacks.Callback):  # type: ignore[misc]  # keras is untyped
    """One bar per epoch while it runs, one line when it is done."""

    def __init__(self, epochs: int, steps: int, name: str = "epoch") -> None:
        """Show `epochs` epochs of `steps` batches under this `name`."""
        super().__init__()
        self._name = name
        self._epochs = epochs
        self._steps = steps
        self._console = console()
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the bar."""
        if self._console.is_terminal:
            self._bar = Progress(console=self._console, transient=True)
            self._bar.start()
            title = f"{self._name} {epoch + 1}/{self._epochs}"
            self._task = self._bar.add_task(title, total=self._steps)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """One batch further."""
        if self._bar is not None:
            self._bar.advance(self._task)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Replace the bar with its result."""
        if self._bar is not None:
            self._bar.stop()
        figures = "  ".join(f"{key} {value:.4f}" for key, value in (logs or {}).items())
        self._console.print(f"{self._name} {epoch + 1}/{self._epochs}  {figures}", soft_wrap=True)
