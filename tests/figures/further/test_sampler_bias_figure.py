"""The figure of the samplers' own bias, against what is known of each of them."""

import numpy as np
import pytest
import torch
from figure_tables import LABELS, drawn, texts

from gud.config.sections.bases import PrincipalBasis

VARIANCE = torch.linspace(3.0, -5.0, 16, dtype=torch.float64).exp()
OF_PCA = LABELS.model_copy(update={"basis": PrincipalBasis(name="pca"), "gamma_denoise": -7.0})
SETTINGS = {
    "experiment": "white",
    "a": [0.4, 1.6],
    "steps": [8, 16],
    "time_power": 1.0,
    "process": "ou",
}


@pytest.mark.slow
def test_exponential_integrators_alone_are_below_one_percent_at_any_number_of_evaluations():
    figure = drawn("sampler_bias", VARIANCE, OF_PCA, **SETTINGS)
    panels = figure.axes
    assert len(panels) == 4
    for panel in panels:
        curves = {line.get_label(): np.array(line.get_ydata()) for line in panel.lines[:4]}
        exact = curves.pop("exponential, ODE or SDE")
        assert (exact < 0.01).all()
        for biased in curves.values():
            assert (biased > 0.01).all() and biased[0] > biased[-1]
    assert "16 PCA components" in texts(figure)
