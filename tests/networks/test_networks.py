"""The NCSN++ of app. B: its size, its resampling, and what of its choices matters."""

from __future__ import annotations

import pytest
import torch
from sections import network
from small_networks import SMALL, batch, perturbed, small

from gud.errors import InputError
from gud.networks.layers import Resample, position_embedding
from gud.networks.ncsnpp import NCSNpp, UNet

CIFAR10 = dict(
    image_size=32,
    in_channels=3,
    out_channels=3,
    labels=torch.arange(1024.0),
    width=128,
    multipliers=(1, 2, 2, 2),
    blocks=4,
    attention=(16,),
    dropout=0.1,
    gamma_width=0,
    gamma_blocks=2,
    time_scale=40.0,
)


def parameters_of(**changes) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in NCSNpp(**network(**CIFAR10 | changes)).parameters())


def parameters_by_hand() -> int:
    """Song et al.'s CIFAR-10 NCSN++, counted layer by layer from its published hyperparameters."""

    def convolution(inputs: int, outputs: int, size: int) -> int:
        return inputs * outputs * size**2 + outputs

    def block(inputs: int, outputs: int, resampled: bool = False) -> int:
        skip = convolution(inputs, outputs, 1) if inputs != outputs or resampled else 0
        norms, bias = 2 * inputs + 2 * outputs, 512 * outputs + outputs
        main = convolution(inputs, outputs, 3) + convolution(outputs, outputs, 3)
        return norms + bias + main + skip

    attention = 2 * 256 + 4 * (256**2 + 256)
    embedding = 128 * 512 + 512 + 512 * 512 + 512
    ends = convolution(3, 128, 3) + convolution(128, 3, 3) + 2 * 128
    down = 4 * block(128, 128) + block(128, 256) + 11 * block(256, 256) + 4 * attention
    resampling = block(128, 128, True) + 5 * block(256, 256, True)
    pyramid = convolution(3, 128, 3) + convolution(128, 256, 3) + convolution(256, 256, 3)
    bottom = 2 * block(256, 256) + attention
    up = 14 * block(512, 256) + block(384, 256) + block(384, 128) + 4 * block(256, 128) + attention
    return embedding + ends + down + resampling + pyramid + bottom + up


def test_without_gamma_embedding_the_cifar10_network_has_the_published_62_7_million_parameters():
    assert parameters_of() == parameters_by_hand() == 62_693_251


def test_the_gamma_embedding_adds_its_own_layers_and_one_wider_dense_layer_and_nothing_else():
    width = 64
    branch = 1024 * width + width + 2 * 2 * (width**2 + width)
    assert parameters_of(gamma_width=width) - parameters_of() == branch + width * 512


@pytest.mark.parametrize(("mode", "size"), [("down", 8), ("up", 32), ("blur", 17)])
def test_fir_resampling_keeps_constants_inside_and_changes_the_size(mode, size):
    image = Resample(mode)(torch.full((2, 3, 16, 16), 0.7))
    assert image.shape == (2, 3, size, size)
    torch.testing.assert_close(image[..., 3:-3, 3:-3], torch.full((2, 3, size - 6, size - 6), 0.7))


def test_down_and_up_weigh_neighbours_1_3_3_1_in_both_directions():
    impulse = torch.zeros(1, 1, 16, 16)
    impulse[..., 6, 6] = 1.0
    down, up = Resample("down")(impulse)[0, 0], Resample("up")(impulse)[0, 0]
    # Row 6 carries weight 3 in row 3 (rows 5 to 8) and weight 1 in row 2 (rows 3 to 6).
    torch.testing.assert_close(64 * down[2:4, 2:4], torch.tensor([[1.0, 3.0], [3.0, 9.0]]))
    assert down.count_nonzero() == 4
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    torch.testing.assert_close(up[11:15, 11:15], taps.outer(taps))
    assert up.count_nonzero() == 16


def test_down_then_up_damps_a_smooth_wave_by_the_filters_frequency_response_alone():
    frequency = torch.tensor(torch.pi / 31)
    phase = frequency * torch.arange(32)
    image = (phase.sin()[:, None] * phase.cos())[None, None]
    response = (3 * (frequency / 2).cos() + (3 * frequency / 2).cos()) / 4
    restored = Resample("up")(Resample("down")(image))
    inside = (..., slice(4, -4), slice(4, -4))
    assert 0.98 < response**4 < 1  # two passes in two directions: a smooth image survives
    torch.testing.assert_close(restored[inside], response**4 * image[inside], rtol=0, atol=1e-3)


def test_positions_are_embedded_at_frequencies_from_1_to_a_ten_thousandth():
    positions = torch.tensor([0.0, 2.0])
    embedding = position_embedding(positions, 8)
    frequencies = torch.tensor([1.0, 10 ** (-4 / 3), 10 ** (-8 / 3), 1e-4])
    torch.testing.assert_close(embedding[0], torch.tensor([0.0] * 4 + [1.0] * 4))
    torch.testing.assert_close(embedding[1, :4], (2 * frequencies).sin())
    torch.testing.assert_close(embedding[1, 4:], (2 * frequencies).cos())


def test_without_the_gamma_embedding_the_output_knows_only_the_mean_of_gamma():
    network, (images, gamma) = perturbed(NCSNpp, gamma_width=0), batch()
    output = network(images, gamma)
    torch.testing.assert_close(network(images, gamma.flip(1)), output, rtol=1e-3, atol=1e-4)
    assert (network(images, gamma + 1) - output).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("size", "multipliers", "attention"),
    [(16, (1,), ()), (16, (1, 2, 2), (4, 8)), (32, (1, 2), (16,)), (64, (1, 1, 2, 2), (16,))],
)
def test_any_size_that_halves_often_enough_works(size, multipliers, attention):
    network = perturbed(
        NCSNpp,
        image_size=size,
        labels=torch.zeros(size**2),
        multipliers=multipliers,
        attention=attention,
    )
    images, gamma = batch(2, size)
    assert network(images, gamma).shape == images.shape


def test_a_hook_sees_every_place_in_order_and_its_features_reach_the_output():
    torch.manual_seed(0)
    arguments = network(**SMALL[NCSNpp] | {"attention": []})
    del arguments["labels"]
    body = UNet(**arguments, condition=8).eval()
    seen = []

    def double(place, features):
        seen.append((place, (features.shape[1], features.shape[2])))
        return 2 * features

    images, condition = batch(2)[0], torch.randn(2, 8)
    hooked = body(images, condition, double)
    assert seen == list(enumerate(body.places))
    assert not torch.equal(hooked, body(images, condition))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (dict(image_size=18, multipliers=(1, 2, 2)), "image_size is 18; expected a multiple of 4"),
        (dict(attention=(7,)), r"attention sizes are \[7\]"),
        (dict(width=10), "width is 10; expected a multiple of 4"),
        (dict(dropout=1.0), "dropout = 1.0 is not allowed: input should be less than 1"),
        (dict(multipliers=()), "number of multipliers is 0"),
        (dict(blocks=0), "blocks = 0 is not allowed: input should be greater than 0"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused_in_one_sentence(change, sentence):
    with pytest.raises(InputError, match=sentence):
        small(NCSNpp, **change)
