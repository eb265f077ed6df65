"""The course of a training run, and its table `training.csv`."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from gud.checkpoint import Tensors
from gud.provenance import atomic

COLUMNS = ("step", "loss", "images_per_second", "seconds")


class History:
    """The course of a run: rows of `COLUMNS`, and the losses since the last of them."""

    def __init__(self, batch_size: int):
        self.batch_size = batch_size
        self.rows: Float[Tensor, "rows 4"] = torch.zeros(0, len(COLUMNS), dtype=torch.float64)
        self.losses: list[Float[Tensor, ""]] = []
        self.seconds = 0.0

    def row(self, step: int) -> Float[Tensor, "1 4"]:
        """The row that ends at `step`."""
        loss = torch.stack(self.losses).double().mean().item()
        before = self.rows[-1, -1].item() if len(self.rows) else 0.0
        rate = len(self.losses) * self.batch_size / max(self.seconds - before, 1e-9)
        return self.rows.new_tensor([[step, loss, rate, self.seconds]])

    def close_row(self, step: int) -> None:
        self.rows = torch.cat([self.rows, self.row(step)])
        self.losses = []

    def tensors(self) -> Tensors:
        losses = torch.stack(self.losses) if self.losses else torch.zeros(0)
        seconds = torch.tensor(self.seconds, dtype=torch.float64)
        return {"rows": self.rows, "losses": losses, "seconds": seconds}

    def restore(self, tensors: Tensors, device: torch.device) -> None:
        self.rows, self.seconds = tensors["rows"], tensors["seconds"].item()
        self.losses = list(tensors["losses"].to(device))

    def write(self, path: Path, step: int) -> None:
        """Write the table of the run up to `step`, its last row shorter if need be."""
        rows = torch.cat([self.rows, self.row(step)]) if self.losses else self.rows
        lines = [f"{n:.0f},{loss:.6g},{rate:.4g},{s:.3f}" for n, loss, rate, s in rows.tolist()]
        with atomic(path) as temporary:
            temporary.write_text("\n".join([",".join(COLUMNS), *lines]) + "\n")
