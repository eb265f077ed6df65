"""Small networks of both kinds, and what they see."""

import torch
from sections import network

from gud.networks.cross_attention import CrossAttention
from gud.networks.ncsnpp import NCSNpp

SIZES = dict(image_size=16, in_channels=3, out_channels=3, labels=torch.arange(256.0))
BODY = SIZES | dict(width=8, multipliers=(1, 2), blocks=1, attention=(8,))
SMALL = {
    NCSNpp: BODY | dict(dropout=0.1, gamma_width=8, gamma_blocks=1, time_scale=40.0),
    CrossAttention: BODY
    | dict(gamma_attention=(16, 8), dropout=0.0, time_scale=10.0)
    | dict(tokens_width=8, mixer_layers=2, heads=2),
}


def small(kind, seed=0, **changes):
    """A network as it begins its training, in eval mode."""
    torch.manual_seed(seed)
    return kind(**network(**SMALL[kind] | changes)).eval()


def perturbed(kind, seed=0, **changes):
    """A network whose output is not zero, in eval mode."""
    made, generator = small(kind, seed, **changes), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return made


def batch(count=4, size=16, seed=1):
    """Images and gamma."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 3, size, size, generator=generator)
    return images, 4 * torch.randn(count, size * size, generator=generator)


def difference(first, second):
    """The distance of two outputs, relative to their size."""
    return ((first - second).norm() / second.norm()).item()
