"""What is refused without torch is what cannot be built or used, and nothing else."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from gud.config.sections.bases import HaarBasis
from gud.config.sections.evaluation import StripSettings
from gud.config.sections.networks import CrossAttentionSettings, NCSNppSettings
from gud.diffusion.bases.wavelets import Wavelet
from gud.diffusion.schedules.sequential import column_schedule
from gud.diffusion.strips import sliding_window
from gud.errors import InputError
from gud.figures.paper.figure7 import window_fault
from gud.networks import build_network

SIZES = st.sampled_from([8, 9, 12, 16, 24, 32])
UNET = {
    "width": st.sampled_from([2, 4, 6, 8, 12, 20]),
    "multipliers": st.lists(st.integers(1, 3), max_size=5),
    "blocks": st.integers(1, 2),
    "attention": st.lists(st.sampled_from([1, 2, 4, 6, 8, 16]), max_size=2),
    "dropout": st.just(0.0),
    "time_scale": st.just(10.0),
}
NCSNPP = st.builds(
    NCSNppSettings,
    name=st.just("ncsnpp"),
    gamma_width=st.integers(0, 5),
    gamma_blocks=st.integers(1, 2),
    **UNET,
)
CROSS_ATTENTION = st.builds(
    CrossAttentionSettings,
    name=st.just("cross_attention"),
    gamma_attention=st.lists(st.sampled_from([1, 2, 4, 8, 16]), max_size=2),
    tokens_width=st.integers(1, 3),
    mixer_layers=st.integers(0, 1),
    heads=st.integers(1, 4),
    **UNET,
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(SIZES, NCSNPP | CROSS_ATTENTION)
def test_a_network_that_fits_is_built_and_gives_images(size, network):
    def images():
        built = build_network(
            network,
            image_size=size,
            in_channels=3,
            out_channels=3,
            labels=torch.arange(size * size, dtype=torch.float64),
        )
        with FakeTensorMode(allow_non_fake_inputs=True):
            return built(torch.zeros(2, 3, size, size), torch.zeros(2, size**2))

    try:
        network.check(size, size**2)
    except InputError as refused:
        with pytest.raises(InputError) as error:
            images()
        assert str(error.value) == str(refused)
    else:
        assert images().shape == (2, 3, size, size)


@given(st.integers(1, 9), st.integers(8, 64))
def test_wavelets_that_fit_are_built_and_inverted(levels, size):
    try:
        HaarBasis(name="haar", levels=levels).check(size)
    except InputError:
        assert size % 2**levels
        with pytest.raises(InputError):
            Wavelet(size, levels)
    else:
        image = torch.arange(size * size, dtype=torch.float64).reshape(size, size)
        basis = Wavelet(size, levels)
        assert torch.allclose(basis.inverse(basis.forward(image)), image)


@settings(max_examples=300)
@given(
    columns=st.integers(2, 12),
    b=st.sampled_from([0.0, 0.2, 0.4, 0.5, 0.55, 0.7, 0.9]),
    shift=st.integers(1, 12),
    time=st.none() | st.floats(0, 1),
    residual=st.sampled_from([0.0, 0.1]),
    gamma_min=st.floats(-15, -1),
)
def test_windows_are_refused_as_by_the_strips_themselves(
    columns, b, shift, time, residual, gamma_min
):
    strip = StripSettings(
        strips=1,
        batch_size=1,
        windows=2,
        shift=shift,
        time=time,
        residual=residual,
        steps_per_unit=1.0,
    )
    schedule = column_schedule(torch.arange(columns), b, gamma_min, 5.0)
    try:
        sliding_window(schedule, columns, shift, time, residual)
        refused = None
    except InputError as error:
        refused = str(error)
    fault = window_fault(columns, b, strip)
    if residual == 0:
        assert (fault is None) == (refused is None)
    elif fault:
        assert refused and math.isfinite(gamma_min)
