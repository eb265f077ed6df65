"""Principal components of the data (App. B)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from gud.diffusion.bases.basis import Basis


class PCA(nn.Module, Basis):
    """Principal components of the colour-averaged data (App. B), by decreasing variance.

    A module, since its rotation must lie where it is used.

    Args:
        rotation: orthogonal, shape (components, pixels), in the precision of the images.
    """

    rotation: Tensor

    def __init__(self, image_size: int, rotation: Float[Tensor, "components pixels"]):
        super().__init__()
        self.image_size = image_size
        self.register_buffer("rotation", rotation, persistent=False)

    def forward(
        self, images: Float[Tensor, "*batch height width"]
    ) -> Float[Tensor, "*batch components"]:
        return images.flatten(-2) @ self.rotation.to(images).T

    def inverse(
        self, components: Float[Tensor, "*batch components"]
    ) -> Float[Tensor, "*batch height width"]:
        return self._grid(components @ self.rotation.to(components))


class ColourPCA(PCA):
    """Principal components of the colour images themselves, by decreasing variance.

    What App. B proposes beside `PCA`: a component is an image of all channels, and has a variance
    and a schedule of its own.

    Args:
        rotation: orthogonal, shape (components, channels pixels).
    """

    def __init__(self, image_size: int, rotation: Float[Tensor, "components values"]):
        super().__init__(image_size, rotation)
        self.mixed = len(rotation) // image_size**2

    def forward(
        self, images: Float[Tensor, "*batch channels height width"]
    ) -> Float[Tensor, "*batch 1 components"]:
        return images.flatten(-3)[..., None, :] @ self.rotation.to(images).T

    def inverse(
        self, components: Float[Tensor, "*batch 1 components"]
    ) -> Float[Tensor, "*batch channels height width"]:
        values = components.squeeze(-2) @ self.rotation.to(components)
        return self._grid(values.unflatten(-1, (self.mixed, -1)))
