"""What every network is: how it begins, what it depends on, its derivatives, what it refuses."""

import pytest
import torch
from small_networks import SMALL, batch, difference, perturbed, small

from gud.errors import InputError

pytestmark = pytest.mark.parametrize("kind", SMALL)


def test_the_untrained_network_predicts_almost_nothing_but_not_exactly(kind):
    assert 0 < small(kind)(*batch()).abs().max() < 1e-3


def test_the_output_depends_on_every_entry_of_gamma_also_at_a_fixed_mean(kind):
    network, (images, gamma) = perturbed(kind), batch(1)
    gamma.requires_grad_()
    (gradient,) = torch.autograd.grad(network(images, gamma).square().sum(), gamma)
    at_fixed_mean = gradient - gradient.mean()
    assert (gradient != 0).all()
    assert (at_fixed_mean.abs() > 1e-6 * gradient.abs().max()).all()


def test_permuting_the_batch_permutes_the_output_and_other_images_do_not_matter(kind):
    network, (images, gamma) = perturbed(kind), batch()
    order = torch.tensor([2, 0, 3, 1])
    output = network(images, gamma)
    close = dict(rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(network(images[order], gamma[order]), output[order], **close)
    torch.testing.assert_close(network(images[:1], gamma[:1]), output[:1], **close)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_gradients_are_finite_reach_every_weight_and_the_output_is_float32(kind, bfloat16):
    network, (images, gamma) = perturbed(kind), batch()
    images.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        output = network(images, gamma)
    output.square().mean().backward()
    assert output.dtype == images.grad.dtype == torch.float32
    assert images.grad.isfinite().all() and images.grad.abs().max() > 0
    for name, parameter in network.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_derivatives_agree_with_finite_differences_in_float64(kind):
    network = perturbed(kind).double().requires_grad_(False)
    images, gamma = (tensor.double().requires_grad_() for tensor in batch(1))
    assert torch.autograd.gradcheck(network, (images, gamma), fast_mode=True)


def test_bfloat16_autocast_changes_the_output_little(kind):
    network, (images, gamma) = perturbed(kind), batch()
    exact = network(images, gamma)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = network(images, gamma)
    assert 0 < difference(rounded, exact) < 0.1


def test_input_and_output_may_have_different_channels(kind):
    network = perturbed(kind, in_channels=6, out_channels=2)
    assert network(torch.zeros(1, 6, 16, 16), torch.zeros(1, 256)).shape == (1, 2, 16, 16)


def test_an_image_that_cannot_be_halved_is_refused(kind):
    with pytest.raises(InputError, match="image_size is 15; expected a multiple of 2"):
        small(kind, image_size=15)


def test_images_or_gamma_of_the_wrong_shape_are_refused(kind):
    network, (images, gamma) = perturbed(kind), batch()
    with pytest.raises(InputError, match=r"images .* shape \(4, 3, 8, 16\)"):
        network(images[:, :, :8], gamma)
    with pytest.raises(InputError, match=r"gamma .* shape \(4, 255\)"):
        network(images, gamma[:, 1:])
