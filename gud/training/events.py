"""The course of a training as TensorBoard's event files, which can be followed while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from gud.errors import InputError
from gud.training.curve import COLUMNS


class Events:
    """Rows of `training.csv`, as scalars by step.

    Rows that another run wrote before it was interrupted give way to those of the same steps.

    Args:
        folder: of the event files.

    Raises:
        InputError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise InputError(
                "compute.tensorboard = true needs the package tensorboard, which is not installed: "
                "pip install tensorboard, or set it to false"
            ) from None
        self.open, self.folder = SummaryWriter, folder
        self.writer: Any = None

    def add(self, row: Float[Tensor, " columns"]) -> None:
        step, *values = row.tolist()
        if self.writer is None:
            self.writer = self.open(self.folder, purge_step=int(step))
        for name, value in zip(COLUMNS[1:], values, strict=True):
            self.writer.add_scalar(f"training/{name}", value, int(step))
        self.writer.flush()
