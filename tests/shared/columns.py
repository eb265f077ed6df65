"""A column-wise model of independent pixels: its exact network, and a small untrained one."""

from __future__ import annotations

import numpy as np
import torch
from sections import model_settings

from gud.diffusion.representation import Statistics
from gud.model import Model

SIZE, VARIANCE = 8, 0.04
SETTINGS = {
    "basis": {"name": "pixel"},
    "prior": "isotropic",
    "process": "ou",
    "schedule": {
        "name": "columns",
        "gamma_denoise": -7.0,
        "gamma_noise": "auto",
        "time_power": 1.0,
        "ranges": {"b": [0.5, 0.7]},
    },
    "network_space": "image",
    "preconditioning": "none",
    "network": {
        "name": "ncsnpp",
        "width": 4,
        "multipliers": [1],
        "blocks": 1,
        "attention": [],
        "dropout": 0.0,
        "gamma_width": 4,
        "gamma_blocks": 1,
        "time_scale": 10.0,
    },
}


def images(count=5, seed=0) -> torch.Tensor:
    """Images of noise in 8 bits."""
    levels = np.random.default_rng(seed).integers(0, 256, (count, 3, SIZE, SIZE))
    return torch.from_numpy(levels.astype(np.uint8))


class Exact(torch.nn.Module):
    """E[eps | z] for independent pixels of equal variance."""

    def __init__(self):
        super().__init__()
        self.anchor = torch.nn.Parameter(torch.zeros(()))

    def forward(self, images, gamma):
        gamma = gamma.view(len(images), 1, *images.shape[2:])
        total = VARIANCE * torch.sigmoid(-gamma) + torch.sigmoid(gamma)
        return images * torch.sigmoid(gamma).sqrt() / total


def untrained(**changes) -> Model:
    """A model with a mean image that is not constant."""
    ramp = torch.linspace(-0.3, 0.3, SIZE, dtype=torch.float64)
    mean = (ramp + ramp[:, None] / 2).expand(3, SIZE, SIZE).clone()
    variance = torch.full((SIZE**2,), VARIANCE, dtype=torch.float64)
    torch.manual_seed(0)
    return (
        Model(model_settings(SETTINGS, **changes), Statistics(mean, variance))
        .eval()
        .requires_grad_(False)
    )


def exact() -> Model:
    """Independent pixels around the mean image."""
    model = untrained()
    model.network = Exact().requires_grad_(False)
    return model
