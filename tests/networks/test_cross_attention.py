"""The cross-attention network of app. A: what it knows of gamma, and that the knowledge helps."""

from __future__ import annotations

import pytest
import torch
from sections import network as arguments

from gud.diffusion.bases import Pixel
from gud.errors import InputError
from gud.networks.cross_attention import CrossAttention, GammaTokens, standardised

SMALL = dict(
    image_size=16,
    in_channels=3,
    out_channels=3,
    labels=torch.arange(256.0),
    width=8,
    multipliers=(1, 2),
    blocks=1,
    attention=(8,),
    gamma_attention=(16, 8),
    dropout=0.0,
    tokens_width=8,
    mixer_layers=2,
    heads=2,
    time_scale=10.0,
)


def perturbed(seed: int = 0, **changes) -> CrossAttention:
    """A small network whose output is not zero, in eval mode."""
    torch.manual_seed(seed)
    made = CrossAttention(**arguments(**SMALL | changes))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return made.eval()


def batch(count: int = 4, size: int = 16, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 3, size, size, generator=generator)
    return images, 4 * torch.randn(count, size * size, generator=generator)


def difference(first: torch.Tensor, second: torch.Tensor) -> float:
    """The distance of two outputs, relative to their size."""
    return ((first - second).norm() / second.norm()).item()


def test_the_untrained_network_predicts_almost_nothing_but_not_exactly():
    torch.manual_seed(0)
    output = CrossAttention(**arguments(**SMALL)).eval()(*batch())
    assert 0 < output.abs().max() < 1e-3


def test_untrained_attention_to_gamma_adds_almost_nothing_to_the_features():
    torch.manual_seed(0)
    network, (_, gamma) = CrossAttention(**arguments(**SMALL)), batch()
    features = torch.randn(4, 8, 16, 16)
    attended = network.attend["0"](features, network.tokens(gamma)[16])
    torch.testing.assert_close(attended, features * 0.5**0.5, rtol=0, atol=1e-3)


def test_the_output_depends_on_every_entry_of_gamma_also_at_a_fixed_mean():
    network, (images, gamma) = perturbed(), batch(1)
    gamma.requires_grad_()
    (gradient,) = torch.autograd.grad(network(images, gamma).square().sum(), gamma)
    at_fixed_mean = gradient - gradient.mean()
    assert (gradient != 0).all()
    assert (at_fixed_mean.abs() > 1e-6 * gradient.abs().max()).all()


def test_exchanging_the_noising_states_of_two_images_changes_both_predictions():
    network, (images, gamma) = perturbed().requires_grad_(False), batch(2)
    gamma = gamma - gamma.mean(dim=1, keepdim=True)
    output, exchanged = network(images, gamma), network(images, gamma.flip(0))
    assert all(difference(exchanged[i], output[i]) > 1e-3 for i in (0, 1))


def test_labels_matter_up_to_their_unit_and_origin():
    images, gamma = batch()
    labels = torch.rand(256, generator=torch.Generator().manual_seed(2))
    output = perturbed(labels=labels)(images, gamma)
    torch.testing.assert_close(perturbed(labels=7 * labels - 3)(images, gamma), output)
    assert difference(perturbed(labels=labels.flip(0))(images, gamma), output) > 1e-3


def test_labels_get_mean_zero_and_range_one_and_equal_labels_vanish():
    labels = standardised(torch.tensor([3.0, 7.0, 3.0, 3.0], dtype=torch.float64))
    torch.testing.assert_close(labels, torch.tensor([-0.25, 0.75, -0.25, -0.25]))
    torch.testing.assert_close(standardised(torch.full((9,), 5.0)), torch.zeros(9))


def test_the_order_of_the_components_is_no_more_than_an_order_of_the_weights():
    images, gamma = batch()
    order = torch.randperm(256, generator=torch.Generator().manual_seed(3))
    labels = torch.rand(256, generator=torch.Generator().manual_seed(2))
    network, reordered = perturbed(labels=labels), perturbed(labels=labels[order])
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


def test_permuting_the_batch_permutes_the_output_and_other_images_do_not_matter():
    network, (images, gamma) = perturbed(), batch()
    order = torch.tensor([2, 0, 3, 1])
    output = network(images, gamma)
    close = dict(rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(network(images[order], gamma[order]), output[order], **close)
    torch.testing.assert_close(network(images[:1], gamma[:1]), output[:1], **close)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_gradients_are_finite_reach_every_weight_and_the_output_is_float32(bfloat16):
    network, (images, gamma) = perturbed(), batch()
    images.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        output = network(images, gamma)
    output.square().mean().backward()
    assert output.dtype == images.grad.dtype == torch.float32
    assert images.grad.isfinite().all() and images.grad.abs().max() > 0
    for name, parameter in network.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_derivatives_agree_with_finite_differences_in_float64():
    network = perturbed().double().requires_grad_(False)
    images, gamma = (tensor.double().requires_grad_() for tensor in batch(1))
    assert torch.autograd.gradcheck(network, (images, gamma), fast_mode=True)


def test_bfloat16_autocast_changes_the_output_little():
    network, (images, gamma) = perturbed(), batch()
    exact = network(images, gamma)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = network(images, gamma)
    assert 0 < difference(rounded, exact) < 0.1


@pytest.mark.parametrize(
    ("size", "multipliers", "attention", "gamma_attention"),
    [(8, (1,), (), (8,)), (16, (1, 2, 2), (4,), (16, 4)), (32, (1, 1, 2), (), (8,))],
)
def test_any_size_that_halves_often_enough_works(size, multipliers, attention, gamma_attention):
    network = perturbed(
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
        (dict(image_size=15), "image_size is 15; expected a multiple of 2"),
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
        CrossAttention(**arguments(**SMALL | change))


def test_images_or_gamma_of_the_wrong_shape_are_refused():
    network, (images, gamma) = perturbed(), batch()
    with pytest.raises(InputError, match=r"images .* shape \(4, 3, 8, 16\)"):
        network(images[:, :, :8], gamma)
    with pytest.raises(InputError, match=r"gamma .* shape \(4, 255\)"):
        network(images, gamma[:, 1:])


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
        torch.manual_seed(0)
        changes = dict(image_size=cls.size, in_channels=1, out_channels=1, attention=())
        changes |= dict(labels=Pixel(cls.size).labels, gamma_attention=(8, 4), mixer_layers=1)
        network = CrossAttention(**arguments(**SMALL | changes | dict(tokens_width=16)))
        steps, rate, generator = 200, 3e-3, torch.Generator().manual_seed(1)
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
