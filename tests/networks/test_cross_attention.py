"""The cross-attention network of app. A: what it knows of gamma, and that the knowledge helps."""

from __future__ import annotations

import pytest
import torch
from small_networks import batch, difference, perturbed, small

from gud.diffusion.bases import Pixel
from gud.errors import InputError
from gud.networks.cross_attention import CrossAttention, GammaTokens, standardised


def test_untrained_attention_to_gamma_adds_almost_nothing_to_the_features():
    torch.manual_seed(0)
    network, (_, gamma) = small(CrossAttention), batch()
    features = torch.randn(4, 8, 16, 16)
    attended = network.attend["0"](features, network.tokens(gamma)[16])
    torch.testing.assert_close(attended, features * 0.5**0.5, rtol=0, atol=1e-3)


def test_exchanging_the_noising_states_of_two_images_changes_both_predictions():
    network, (images, gamma) = perturbed(CrossAttention).requires_grad_(False), batch(2)
    gamma = gamma - gamma.mean(dim=1, keepdim=True)
    output, exchanged = network(images, gamma), network(images, gamma.flip(0))
    assert all(difference(exchanged[i], output[i]) > 1e-3 for i in (0, 1))


def test_labels_matter_up_to_their_unit_and_origin():
    images, gamma = batch()
    labels = torch.rand(256, generator=torch.Generator().manual_seed(2))
    output = perturbed(CrossAttention, labels=labels)(images, gamma)
    torch.testing.assert_close(
        perturbed(CrossAttention, labels=7 * labels - 3)(images, gamma), output
    )
    assert (
        difference(perturbed(CrossAttention, labels=labels.flip(0))(images, gamma), output) > 1e-3
    )


def test_labels_get_mean_zero_and_range_one_and_equal_labels_vanish():
    labels = standardised(torch.tensor([3.0, 7.0, 3.0, 3.0], dtype=torch.float64))
    torch.testing.assert_close(labels, torch.tensor([-0.25, 0.75, -0.25, -0.25]))
    torch.testing.assert_close(standardised(torch.full((9,), 5.0)), torch.zeros(9))


def test_the_order_of_the_components_is_no_more_than_an_order_of_the_weights():
    images, gamma = batch()
    order = torch.randperm(256, generator=torch.Generator().manual_seed(3))
    labels = torch.rand(256, generator=torch.Generator().manual_seed(2))
    network, reordered = (
        perturbed(CrossAttention, labels=labels),
        perturbed(CrossAttention, labels=labels[order]),
    )
    output = network(images, gamma)
    # The mixer's dense layers over the components tell them apart by index, not by label alone.
    assert difference(reordered(images, gamma[:, order]), output) > 1e-3
    with torch.no_grad():
        for layer in reordered.tokens.mixer:
            into, _, back = layer.across
            into.weight.copy_(into.weight[:, order])
            back.weight.copy_(back.weight[order])
            back.bias.copy_(back.bias[order])
        reduce = reordered.tokens.reduce["8"]
        reduce.weight.copy_(reduce.weight[:, order])
    torch.testing.assert_close(reordered(images, gamma[:, order]), output, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("components", [256, 100])
def test_each_level_gets_as_many_tokens_as_its_features_have_pixels(components):
    tokens = GammaTokens(torch.arange(float(components)), 6, 1, (16, 8))(torch.zeros(3, components))
    assert {size: value.shape for size, value in tokens.items()} == {
        16: (3, 256, 6),
        8: (3, 64, 6),
    }


@pytest.mark.parametrize("bfloat16", [False, True])
def test_states_that_bfloat16_would_merge_stay_apart(bfloat16):
    tokens = GammaTokens(torch.arange(256.0), 8, 1, (16,))
    gamma = torch.full((1, 256), 8.0)
    assert (gamma + 0.01).bfloat16().equal(gamma.bfloat16())
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        assert not torch.equal(tokens(gamma)[16], tokens(gamma + 0.01)[16])


@pytest.mark.parametrize(
    ("size", "multipliers", "attention", "gamma_attention"),
    [(8, (1,), (), (8,)), (16, (1, 2, 2), (4,), (16, 4)), (32, (1, 1, 2), (), (8,))],
)
def test_any_size_that_halves_often_enough_works(size, multipliers, attention, gamma_attention):
    network = perturbed(
        CrossAttention,
        image_size=size,
        labels=torch.zeros(size**2),
        multipliers=multipliers,
        attention=attention,
        gamma_attention=gamma_attention,
    )
    images, gamma = batch(2, size)
    assert network(images, gamma).shape == images.shape


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (dict(gamma_attention=()), r"gamma_attention sizes are \[\]; expected one or more"),
        (dict(gamma_attention=(4,)), r"gamma_attention sizes are \[4\]; .* \[16, 8\]"),
        (dict(heads=3), "heads are 3; expected a divisor of the 8 channels"),
        (dict(heads=0), "heads = 0 is not allowed: input should be greater than 0"),
        (dict(tokens_width=0), "tokens_width = 0 is not allowed: input should be greater than 0"),
        (dict(labels=torch.zeros(65536)), "65536 components; expected at most 4096.*ncsnpp"),
        (dict(labels=torch.zeros(0)), "number of components is 0"),
        (dict(labels=torch.tensor([0.0, torch.inf])), "labels .* component 1 is inf"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused_in_one_sentence(change, sentence):
    with pytest.raises(InputError, match=sentence):
        small(CrossAttention, **change)


class Columns:
    """White Gaussian images whose columns are noised to levels drawn for each image.

    A noised image is then standard normal at any level and tells nothing of gamma; the best
    prediction is sigma_i z_i, at a loss of alpha_i^2.
    """

    size = 8

    def __init__(self, count: int, generator: torch.Generator) -> None:
        shape = (count, 1, self.size, self.size)
        levels = 12 * torch.rand(count, 1, self.size, generator=generator) - 6
        self.gamma = levels.expand(-1, self.size, -1).flatten(1)
        self.noise = torch.randn(shape, generator=generator)
        alpha, sigma = (torch.sigmoid(s * self.gamma).sqrt().view(shape) for s in (-1, 1))
        self.noised = alpha * torch.randn(shape, generator=generator) + sigma * self.noise

    def losses(self, network: CrossAttention, withheld: bool) -> torch.Tensor:
        """The denoising loss of each image; with gamma withheld, the network sees its mean."""
        mean = self.gamma.mean(dim=1, keepdim=True).expand_as(self.gamma)
        noise = network(self.noised, mean if withheld else self.gamma)
        return (noise - self.noise).square().mean(dim=(1, 2, 3))

    @classmethod
    @torch.enable_grad()
    def trained(cls, withheld: bool) -> CrossAttention:
        changes = dict(image_size=cls.size, in_channels=1, out_channels=1, attention=())
        changes |= dict(labels=Pixel(cls.size).labels, gamma_attention=(8, 4), mixer_layers=1)
        network = small(CrossAttention, **changes, tokens_width=16).train()
        steps, rate, generator = 100, 3e-3, torch.Generator().manual_seed(1)
        optimizer = torch.optim.Adam(network.parameters())
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
        for _ in range(steps):
            optimizer.zero_grad()
            cls(64, generator).losses(network, withheld).mean().backward()
            optimizer.step()
            schedule.step()
        return network.eval()


@pytest.mark.slow
@torch.no_grad()
def test_trained_with_all_of_gamma_the_network_denoises_better_than_with_its_mean_alone():
    held_out = Columns(1024, torch.Generator().manual_seed(2))
    seen = held_out.losses(Columns.trained(withheld=False), withheld=False)
    withheld = held_out.losses(Columns.trained(withheld=True), withheld=True)
    gain = withheld - seen
    assert gain.mean() > 5 * gain.std() / len(gain) ** 0.5
    sigma = torch.sigmoid(held_out.gamma).sqrt().view_as(held_out.noised)
    best = (sigma * held_out.noised - held_out.noise).square().mean()
    assert best < seen.mean() < best + 0.75 * (withheld.mean() - best)
