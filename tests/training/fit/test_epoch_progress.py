"""Epochs on stderr: a bar on a terminal, one line for each everywhere."""

from __future__ import annotations

import pytest

from cxr_training.fit.epoch_progress import EpochProgress


def test_epochs_of_another_kind_are_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    EpochProgress(2, 10, "pre-training epoch").on_epoch_end(0, {"loss": 0.25})
    assert capsys.readouterr().err == "pre-training epoch 1/2  loss 0.2500\n"


def test_one_line_for_every_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    progress = EpochProgress(2, 10)
    for epoch in range(2):
        progress.on_epoch_begin(epoch)
        progress.on_train_batch_end(0)
        progress.on_epoch_end(epoch, {"loss": 0.25, "val_auc": 0.9})
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.splitlines() == [
        "epoch 1/2  loss 0.2500  val_auc 0.9000",
        "epoch 2/2  loss 0.2500  val_auc 0.9000",
    ]
