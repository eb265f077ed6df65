"""Random streams that the seed of a run determines, whatever the batch size or workers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor


def derive(seed: int, *labels: object) -> int:
    """A 63-bit seed for the stream named by `labels`, independent of every other stream."""
    text = "/".join(str(label) for label in (seed, *labels))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(device: torch.device | str, seed: int, *labels: object) -> torch.Generator:
    """A generator on `device` for the stream named by `labels`."""
    return torch.Generator(device).manual_seed(derive(seed, *labels))


class ImageStreams:
    """One generator an image, so that its draws do not depend on which images share its batch."""

    def __init__(self, device: torch.device | str, seed: int, name: str, images: Iterable[int]):
        self.generators = [generator(device, seed, name, image) for image in images]
        self.device = device

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Standard normal noise, shape (images, *shape)."""
        return torch.stack(
            [torch.randn(*shape, generator=g, device=self.device) for g in self.generators]
        )

    def rademacher(self, shape: Sequence[int]) -> Tensor:
        """Independent signs +1 and -1, shape (images, *shape)."""
        return torch.stack(
            [
                torch.randint(0, 2, tuple(shape), generator=g, device=self.device).float() * 2 - 1
                for g in self.generators
            ]
        )

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """Uniform numbers in [0, 1), shape (images, *shape)."""
        return torch.stack(
            [torch.rand(*shape, generator=g, device=self.device) for g in self.generators]
        )
