"""Figure 2: the curves of equation 18, against what its panels say."""

import numpy as np
import pytest
import torch
from figure_tables import LABELS, drawn

from gud.config.sections.bases import PrincipalBasis

LOG_VARIANCE = torch.linspace(4.0, -6.0, 64, dtype=torch.float64)
OF_PCA = LABELS.model_copy(update={"basis": PrincipalBasis(name="pca"), "gamma_denoise": -7.0})


def test_figure2_shows_standard_diffusion_and_equal_signal_to_noise_where_it_says_so():
    figure = drawn("figure2", LOG_VARIANCE.exp(), OF_PCA)
    axes = np.reshape(figure.axes[:12], (3, 4))

    def curves(axis):
        return np.array([line.get_ydata() for line in axis.lines if len(line.get_xdata()) == 201])

    sigma, gamma, log_snr = ([curves(axis) for axis in axes_row] for axes_row in axes)
    assert all(len(values) == 8 for values in (*sigma, *gamma, *log_snr))
    for column in (0, 3):
        assert np.ptp(sigma[column], axis=0).max() < 1e-12
    for column in (1, 3):
        assert np.ptp(log_snr[column], axis=0).max() < 1e-12
    np.testing.assert_allclose(log_snr[0], log_snr[2], atol=1e-12)
    np.testing.assert_allclose(sigma[1] ** 2, 1 / (1 + np.exp(-gamma[1])), atol=1e-12)
    # Equation 19 at both ends; the noise reaches sigma = 0.99 in every component.
    for column, panel in enumerate(axes[2]):
        levels = sorted(line.get_ydata()[0] for line in panel.lines if line.get_linestyle() == "--")
        assert levels == pytest.approx([log_snr[column][:, -1].max(), 7.0])
        assert log_snr[column][:, 0].min() == pytest.approx(7.0)
        assert sigma[column][:, -1].min() >= 0.99 - 1e-12


def test_figure2_shows_the_components_of_largest_and_smallest_variance():
    shuffled = LOG_VARIANCE[torch.randperm(64, generator=torch.Generator().manual_seed(0))]
    figure = drawn("figure2", shuffled.exp(), OF_PCA)
    at_start = [line.get_ydata()[0] for line in figure.axes[8].lines[:8]]
    assert max(at_start) - min(at_start) == pytest.approx(10.0)
