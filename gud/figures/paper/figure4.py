"""Figure 4: the forward process of one image under four schedules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from gud.config.figures import FigureSection, Labels
from gud.config.paths import data_file, statistics_file
from gud.config.sections.bases import BasisSettings, HaarBasis, PlainBasis, PrincipalBasis
from gud.config.sections.processes import ProcessSettings
from gud.config.sections.section import Name, NonNegative, Section
from gud.config.sections.validation import Fault
from gud.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8
    from matplotlib.figure import Figure
    from torch import Tensor

    from gud.config.preset import Preset
    from gud.diffusion.processes import Process
    from gud.diffusion.representation import Representation, Statistics
    from gud.diffusion.schedules import Schedule


class Softness(Section):
    a: Annotated[float, Field(ge=0, lt=1)]
    b: Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True)
class Source:
    """A split of a data set, and the statistics of the data set in the three bases."""

    images: UInt8[Tensor, "count 3 height width"]
    pca: Statistics
    pixel: Statistics
    haar: Statistics


class Figure4(FigureSection):
    """The image of a data set that is noised, and the softness of the sequential schedules."""

    data: Name
    split: Literal["train", "test"]
    image: NonNegative
    times: Annotated[int, Field(ge=2, le=12)]
    seed: int
    gamma_denoise: Annotated[float, Field(lt=0)]
    haar: HaarBasis
    columns_b: Annotated[float, Field(ge=0, lt=1)]
    wavelets: Softness
    process: ProcessSettings

    title = "Figure 4: the forward process under four schedules"
    caption = (
        "Forward diffusion of one image: (a) standard, (b) variance-matching noise with the "
        "signal-to-noise ratios of (a), (c) column-wise, (d) Haar wavelets with columns and "
        "variance-matching noise."
    )

    def images(self) -> dict[str, tuple[str, int]]:
        return {"image": (self.split, self.image + 1)}

    def claims(self, preset: Preset) -> Iterator[Fault]:
        try:
            self.haar.check(preset.data[self.data].image_size)
        except InputError as error:
            yield ("haar",), f"does not fit images of data.{self.data}: {error}"

    def bases(self) -> list[BasisSettings]:
        return [PrincipalBasis(name="pca"), PlainBasis(name="pixel"), self.haar]

    def sources(self, preset: Preset) -> list[str]:
        mirrored = any(
            experiment.training.flip
            for experiment in preset.experiments.values()
            if experiment.data == self.data
        )
        fitted = [statistics_file(self.data, basis, mirrored) for basis in self.bases()]
        return [data_file(self.data), *fitted]

    def read(self, paths: Sequence[Path]) -> Source:
        from gud.data import datasets, statistics

        data, *fitted = self.only(paths, 4)
        found = zip(fitted, self.bases(), strict=True)
        return Source(
            datasets.load(data, self.split),
            *(statistics.load(path, basis) for path, basis in found),
        )

    def draw(self, source: Source, labels: Labels) -> Figure:
        """A row of noised images for each schedule, from t = 0 (data) to t = 1 (prior)."""
        import torch
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine

        from gud.diffusion.dequantisation import quantise
        from gud.figures.drawing.style import WIDTH, small_print
        from gud.randomness import Stream

        image = self.shown_image(source)
        check_statistics(source, image)
        process = self.process.build()
        noise = Stream("cpu", self.seed, "figure4").normal((process.k, *image.shape)).double()
        t = torch.linspace(0, 1, self.times, dtype=torch.float64)
        rows = self.rows(source)
        layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0, hspace=0)
        figure = Figure(figsize=(WIDTH, 0.6 + 5.5 / self.times * len(rows)), layout=layout)
        axes = figure.subplots(len(rows), self.times)
        for line, row in zip(axes, rows, strict=True):
            for axis, frame in zip(
                line, quantise(row.frames(process, image, noise, t)), strict=True
            ):
                axis.imshow(frame.permute(1, 2, 0).numpy(), interpolation="nearest")
                axis.set(xticks=[], yticks=[])
                axis.spines[:].set(visible=False)
            line[0].set_ylabel(row.title, rotation=0, ha="right", va="center", labelpad=4)
        for axis, time in zip(axes[0], t.tolist(), strict=True):
            axis.set_title(f"{time:.3g}")
        axes[0, 0].set_title("$t = 0$")
        small_print(
            figure,
            f"Data: {labels.data}, {self.split} image {self.image}. The same white noise at all "
            "times and, rotated into the basis, in all rows. Values are clipped to [-1, 1].",
            labels.stand_in_note,
        )
        return figure

    def shown_image(self, source: Source) -> Float[Tensor, "3 height width"]:
        """The image of the settings, in [-1, 1], each grey level at the middle of its interval."""
        from gud.diffusion.dequantisation import DEQUANTISATION_OFFSET

        if self.image >= len(source.images):
            raise InputError(
                f"image = {self.image} must be less than the {len(source.images)} images of "
                f"{self.split}"
            )
        return source.images[self.image].double() / 128 - 1 + DEQUANTISATION_OFFSET

    def rows(self, source: Source) -> list[Row]:
        """The four schedules of the figure.

        (a) and (b) share gamma_noise: then their signal-to-noise ratios are the same at every t.
        """
        from gud.diffusion.representation import Representation
        from gud.diffusion.schedules import (
            columns,
            gamma_noise_default,
            soft_conditioning,
            wavelet_columns,
        )

        ends = {"gamma_denoise": self.gamma_denoise}
        pca, pixel, haar = self.bases()
        plain = Representation(pca.of(source.pca), source.pca, whitened=False)
        white = Representation(pca.of(source.pca), source.pca, whitened=True)
        pixels = Representation(pixel.of(source.pixel), source.pixel, whitened=False)
        wavelets = Representation(haar.of(source.haar), source.haar, whitened=True)
        same = ends | {"gamma_noise": gamma_noise_default(plain.least_log_variance)}
        a, b = self.wavelets.a, self.wavelets.b
        return [
            Row("(a) standard\ndiffusion", plain, soft_conditioning(plain, a=1.0, r=0.0, **same)),
            Row(
                "(b) variance-matching\nnoise, SNR of (a)",
                white,
                soft_conditioning(white, a=1.0, r=0.0, **same),
            ),
            Row(
                f"(c) column-wise,\n$b = {self.columns_b:g}$",
                pixels,
                columns(pixels, b=self.columns_b, **ends),
            ),
            Row(
                f"(d) wavelets and columns,\n$a = {a:g}$, $b = {b:g}$,\nvariance-matching",
                wavelets,
                wavelet_columns(wavelets, a=a, b=b, **ends),
            ),
        ]


@dataclass(frozen=True)
class Row:
    """One forward process."""

    title: str
    representation: Representation
    schedule: Schedule

    def frames(
        self,
        process: Process,
        image: Float[Tensor, "3 height width"],
        noise: Float[Tensor, "k 3 height width"],
        t: Float[Tensor, " times"],
    ) -> Float[Tensor, "times 3 height width"]:
        """The noised image U^T S chi(t) + mean at each time, equation 13.

        Args:
            process: of its k variables per component the first is chi.
            image: phi in [-1, 1].
            noise: white, the same at all times; its components are U noise.
        """
        start = process.initial(self.representation.encode(image[None]))
        components = self.representation.basis.forward(noise)[None]
        data, grain = (z.expand(len(t), *z.shape[1:]) for z in (start, components))
        noised = process.perturb(data, self.schedule(t), grain)
        return self.representation.decode(noised[:, 0])


def check_statistics(source: Source, image: Float[Tensor, "3 height width"]) -> None:
    """`InputError` unless the statistics are of such images, each in its basis."""
    found = (("PCA", source.pca), ("pixel", source.pixel), ("Haar", source.haar))
    for name, statistics in found:
        if statistics.mean.shape != image.shape:
            raise InputError(
                f"the {name} statistics are of images of shape {tuple(statistics.mean.shape)}, "
                f"the data set's are {tuple(image.shape)}"
            )
        if (statistics.rotation is None) == (name == "PCA"):
            raise InputError(f"the file given for the {name} statistics is of another basis")
