"""The course of a training run, and its table `training.csv`."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from gud.provenance import write_text
from gud.training.checkpoint import Tensors

COLUMNS = ("step", "loss", "images_per_second", "seconds", "learning_rate", "gradient_norm")
"""The loss is the mean over the steps of a row, the last two are those of its last step."""


class History:
    """The course of a run: rows of `COLUMNS`, and what happened since the last of them.

    Attributes:
        learning_rate: of the last step.
        gradient_norm: of the last step that was asked for it, before clipping.
    """

    def __init__(self, batch_size: int):
        self.batch_size = batch_size
        self.rows: Float[Tensor, "rows 6"] = torch.zeros(0, len(COLUMNS), dtype=torch.float64)
        self.losses: list[Float[Tensor, ""]] = []
        self.seconds = 0.0
        self.learning_rate = 0.0
        self.gradient_norm = torch.tensor(0.0)

    def row(self, step: int) -> Float[Tensor, "1 6"]:
        """The row that ends at `step`."""
        loss = torch.stack(self.losses).double().mean().item()
        before = self.rows[-1, COLUMNS.index("seconds")].item() if len(self.rows) else 0.0
        rate = len(self.losses) * self.batch_size / max(self.seconds - before, 1e-9)
        last = self.learning_rate, self.gradient_norm.item()
        return self.rows.new_tensor([[step, loss, rate, self.seconds, *last]])

    def close_row(self, step: int) -> None:
        self.rows = torch.cat([self.rows, self.row(step)])
        self.losses = []

    def tensors(self) -> Tensors:
        losses = torch.stack(self.losses) if self.losses else torch.zeros(0)
        seconds, rate = torch.tensor([self.seconds, self.learning_rate], dtype=torch.float64)
        last = {"learning_rate": rate, "gradient_norm": self.gradient_norm}
        return {"rows": self.rows, "losses": losses, "seconds": seconds, **last}

    def restore(self, tensors: Tensors, device: torch.device) -> None:
        """Take up what `tensors` told; what an earlier version did not keep is NaN."""
        unknown = len(COLUMNS) - tensors["rows"].shape[1]
        self.rows = torch.nn.functional.pad(tensors["rows"], (0, unknown), value=torch.nan)
        self.losses = list(tensors["losses"].to(device))
        self.seconds = tensors["seconds"].item()
        nothing = torch.tensor(torch.nan)
        self.learning_rate = tensors.get("learning_rate", nothing).item()
        self.gradient_norm = tensors.get("gradient_norm", nothing)

    def write(self, path: Path, step: int) -> None:
        """Write the table of the run up to `step`, its last row shorter if need be."""
        rows = torch.cat([self.rows, self.row(step)]) if self.losses else self.rows
        form = "{:.0f},{:.6g},{:.4g},{:.3f},{:.6g},{:.6g}"
        lines = [form.format(*row) for row in rows.tolist()]
        write_text(path, "\n".join([",".join(COLUMNS), *lines]) + "\n")
