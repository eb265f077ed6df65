"""Labels of components, by which a network tells them apart."""

from __future__ import annotations

import torch
from sections import model_settings

from gud.diffusion.bases import PCA, Fourier, Pixel
from gud.diffusion.bases.wavelets import Wavelet
from gud.diffusion.representation import Representation, Statistics
from gud.model import Model
from gud.networks.cross_attention import standardised


def representation(basis) -> Representation:
    variance = torch.linspace(9, 1, 64, dtype=torch.float64)
    return Representation(basis, Statistics(torch.zeros(3, 8, 8).double(), variance), whitened=True)


def test_labels_are_frequencies_columns_groups_or_logarithms_of_the_variance():
    fourier, pixel, haar, pca = (
        representation(basis).labels.unflatten(0, (8, 8))
        for basis in (Fourier(8), Pixel(8), Wavelet(8, 2), PCA(8, torch.eye(64)))
    )
    assert fourier[0].tolist() == [0, 1, 2, 3, 4, 3, 2, 1]
    assert fourier[3, 4] == 5
    assert pixel.tolist() == [[0, 1, 2, 3, 4, 5, 6, 7]] * 8
    coarse, middle, fine = [0, 1, 2, 3, 4, 5, 6, 7], [2, 3] * 2 + [4, 5, 6, 7], [4, 5, 6, 7] * 2
    assert haar.tolist() == [coarse] * 2 + [middle] * 2 + [fine] * 4
    torch.testing.assert_close(pca.flatten(), -torch.linspace(9, 1, 64).double().log())


def test_a_model_gives_the_network_the_labels_of_its_basis():
    network = {
        "name": "cross_attention",
        "width": 8,
        "multipliers": [1, 2],
        "blocks": 1,
        "attention": [8],
        "gamma_attention": [16, 8],
        "dropout": 0.0,
        "tokens_width": 8,
        "mixer_layers": 2,
        "heads": 2,
        "time_scale": 10.0,
    }
    settings = {
        "basis": {"name": "fourier"},
        "prior": "isotropic",
        "process": "ou",
        "schedule": {
            "name": "soft_conditioning",
            "gamma_denoise": -3.0,
            "gamma_noise": "auto",
            "time_power": 0.5,
            "ranges": {"a": [0.4, 1.6], "r": [0, 0]},
        },
        "network_space": "image",
        "preconditioning": "none",
        "network": network,
    }
    variance = torch.linspace(2, 1, 256, dtype=torch.float64)
    model = Model(model_settings(settings), Statistics(torch.zeros(3, 16, 16).double(), variance))
    labels = model.network.tokens.labels
    torch.testing.assert_close(labels, standardised(Fourier(16).frequency))
