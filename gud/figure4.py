"""Figure 4: the forward process of one image under four schedules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, UInt8
from matplotlib.figure import Figure
from torch import Tensor

from gud import preset
from gud.data import DEQUANTISATION_OFFSET, quantise
from gud.errors import InputError
from gud.families import schedule_from_settings
from gud.figure_style import WIDTH, Labels, small_print, style
from gud.processes import OrnsteinUhlenbeck
from gud.randomness import generator
from gud.representation import Representation, Statistics, basis_from_settings
from gud.schedules import Schedule, gamma_noise_default
from gud.settings import Name

Images = dict[Literal["train", "test"], UInt8[Tensor, "count 3 height width"]]


class Figure4(preset.Figure4, Labels):
    data: Name | None = None


@dataclass(frozen=True)
class Row:
    """One forward process."""

    title: str
    representation: Representation
    schedule: Schedule

    def frames(
        self,
        image: Float[Tensor, "3 height width"],
        noise: Float[Tensor, "3 height width"],
        t: Float[Tensor, " times"],
    ) -> Float[Tensor, "times 3 height width"]:
        """The noised image U^T S chi(t) + mean at each time, equation 13.

        Args:
            image: phi in [-1, 1].
            noise: white, the same at all times; its components are U noise.
        """
        start = self.representation.encode(image[None])
        components = self.representation.basis.forward(noise[None])
        data, grain = (z.expand(len(t), 1, *z.shape[1:]) for z in (start, components))
        noised = OrnsteinUhlenbeck().perturb(data, self.schedule(t), grain)
        return self.representation.decode(noised[:, 0])


def forward_rows(
    pca: Statistics, pixel: Statistics, haar: Statistics, labels: Figure4
) -> list[Row]:
    """The four schedules of the figure.

    (a) and (b) share gamma_noise: then their signal-to-noise ratios are the same at every t.
    """
    size = pca.mean.shape[-1]

    def represent(basis: dict[str, Any], statistics: Statistics, whitened: bool) -> Representation:
        built = basis_from_settings(basis, size, statistics.rotation)
        return Representation(built, statistics, whitened)

    def schedule(name: str, represented: Representation, gamma_noise: Any, **parameters: float):
        settings = {
            "name": name,
            "gamma_denoise": labels.gamma_denoise,
            "gamma_noise": gamma_noise,
            "time_power": 1.0,
        }
        return schedule_from_settings(settings, represented, parameters)

    plain = represent({"name": "pca"}, pca, whitened=False)
    white = represent({"name": "pca"}, pca, whitened=True)
    columns = represent({"name": "pixel"}, pixel, whitened=False)
    wavelets = represent(labels.haar.model_dump(), haar, whitened=True)
    noise = gamma_noise_default(plain.log_variance)
    a, b = labels.wavelets.a, labels.wavelets.b
    return [
        Row(
            "(a) standard\ndiffusion",
            plain,
            schedule("soft_conditioning", plain, noise, a=1.0, r=0.0),
        ),
        Row(
            "(b) variance-matching\nnoise, SNR of (a)",
            white,
            schedule("soft_conditioning", white, noise, a=1.0, r=0.0),
        ),
        Row(
            f"(c) column-wise,\n$b = {labels.columns_b:g}$",
            columns,
            schedule("columns", columns, "auto", b=labels.columns_b),
        ),
        Row(
            f"(d) wavelets and columns,\n$a = {a:g}$, $b = {b:g}$,\nvariance-matching",
            wavelets,
            schedule("wavelet_columns", wavelets, "auto", a=a, b=b),
        ),
    ]


def source_image(images: Images, labels: Figure4) -> Float[Tensor, "3 height width"]:
    """The image of the settings, in [-1, 1], each grey level at the middle of its interval."""
    split = images[labels.split]
    if labels.image >= len(split):
        raise InputError(
            f"image = {labels.image} must be less than the {len(split)} images of {labels.split}"
        )
    return split[labels.image].double() / 128 - 1 + DEQUANTISATION_OFFSET


@style()
def draw_figure4(
    images: Images, pca: Statistics, pixel: Statistics, haar: Statistics, labels: Figure4
) -> Figure:
    """A row of noised images for each schedule, from t = 0 (data) to t = 1 (prior).

    Args:
        images: the data set.
        pca, pixel, haar: its statistics in the three bases.
        labels: settings of the figure.
    """
    image = source_image(images, labels)
    for name, statistics in (("PCA", pca), ("pixel", pixel), ("Haar", haar)):
        if statistics.mean.shape != image.shape:
            raise InputError(
                f"the {name} statistics are of images of shape {tuple(statistics.mean.shape)}, "
                f"the data set's are {tuple(image.shape)}"
            )
        if (statistics.rotation is None) == (name == "PCA"):
            raise InputError(f"the file given for the {name} statistics is of another basis")
    rng = generator("cpu", labels.seed, "figure4")
    noise = torch.randn(image.shape, generator=rng, dtype=torch.float64)
    t = torch.linspace(0, 1, labels.times, dtype=torch.float64)
    rows = forward_rows(pca, pixel, haar, labels)
    figure = Figure(figsize=(WIDTH, 0.6 + 5.5 / labels.times * len(rows)), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0, hspace=0)
    axes = figure.subplots(len(rows), labels.times)
    for line, row in zip(axes, rows, strict=True):
        for axis, frame in zip(line, quantise(row.frames(image, noise, t)), strict=True):
            axis.imshow(frame.permute(1, 2, 0).numpy(), interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set(visible=False)
        line[0].set_ylabel(row.title, rotation=0, ha="right", va="center", labelpad=4)
    for axis, time in zip(axes[0], t.tolist(), strict=True):
        axis.set_title(f"{time:.3g}")
    axes[0, 0].set_title("$t = 0$")
    small_print(
        figure,
        f"Data: {labels.dataset}, {labels.split} image {labels.image}. The same white noise at all "
        "times and, rotated into the basis, in all rows. Values are clipped to [-1, 1].",
        labels.stand_in_note,
    )
    return figure
