"""Figure 2: the component-wise schedules of section 5.1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from gud.config.figures import Labels
from gud.config.sections.validation import Fault
from gud.figures.drawing.sections import VarianceSection

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float, Int
    from matplotlib.figure import Figure
    from torch import Tensor

    from gud.config.preset import Preset


class Figure2(VarianceSection):
    components: Annotated[int, Field(ge=2)]

    title = "Figure 2: component-wise noising schedules"
    caption = (
        "Noise level, noising path and signal-to-noise ratio of eight PCA components for (a) "
        "standard diffusion, (b) equal signal-to-noise ratios, (c) whitened data with the "
        "signal-to-noise ratios of (a), (d) whitened data with equal ones. Dashed: the minimal "
        "noising and reconstruction levels."
    )
    family = "soft_conditioning"

    def claims(self, preset: Preset) -> Iterator[Fault]:
        most = preset.data[preset.experiments[self.experiment].data].image_size ** 2
        if self.components > most:
            yield ("components",), f"= {self.components}, but there are {most}"

    def draw(self, source: Float[Tensor, " components"], labels: Labels) -> Figure:
        """sigma_i(t), gamma_i(t) and log SNR_i(t) of equation 18 for four choices of a and prior.

        Args:
            source: Sigma_i of every component of the basis.
        """
        import numpy as np
        import torch
        from matplotlib import colormaps
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import ListedColormap, Normalize
        from matplotlib.figure import Figure

        from gud.diffusion.schedules import SoftConditioning, gamma_noise_default
        from gud.figures.drawing.style import BLUE, WIDTH, small_print

        assert labels.gamma_denoise is not None
        gamma_denoise = labels.gamma_denoise
        log_sigma = source.log().sort(descending=True).values
        white = torch.zeros_like(log_sigma)
        noise, noise_white = (gamma_noise_default(float(v.min())) for v in (log_sigma, white))
        columns = (
            ("(a) standard diffusion\nunwhitened, $a = 1$", log_sigma, 1.0, noise),
            ("(b) hierarchy-less\nunwhitened, $a = 0$", log_sigma, 0.0, noise),
            ("(c) SNR of (a)\nwhitened, $a = 1$", white, 1.0, noise),
            ("(d) hierarchy-less\nwhitened, $a = 0$", white, 0.0, noise_white),
        )
        ranks = component_ranks(len(source), self.components)
        # Cut short of the map's black and pale yellow.
        colors = ListedColormap(colormaps["inferno"](np.linspace(0.08, 0.88, 256)))
        norm = Normalize(float(log_sigma.min()), float(log_sigma.max()))
        t = torch.linspace(0, 1, 201, dtype=torch.float64)
        figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
        axes = figure.subplots(3, 4, sharex=True, sharey="row")
        for column, (title, log_variance, a, gamma_noise) in zip(axes.T, columns, strict=True):
            schedule = SoftConditioning(log_variance, -log_sigma, a, gamma_denoise, gamma_noise)
            state = schedule(t)
            paths = (state.sigma, state.gamma, state.log_snr(log_variance))
            for axis, values in zip(column, paths, strict=True):
                for rank in ranks:
                    color = colors(norm(float(log_sigma[rank])))
                    axis.plot(t.numpy(), values[:, rank].numpy(), color=color)
            for level in (-gamma_denoise, -gamma_noise):
                column[2].axhline(level, color=BLUE, linestyle="--", linewidth=0.9)
            column[0].set_title(title)
            column[2].set_xlabel("diffusion time $t$")
            column[2].set_xticks([0, 0.5, 1])
        for axis, label in zip(
            axes[:, 0], (r"\sigma_i", r"\gamma_i", r"\log\,\mathrm{SNR}_i"), strict=True
        ):
            axis.set_ylabel(f"${label}(t)$")
        bar = figure.colorbar(ScalarMappable(norm, colors), ax=axes, aspect=45, pad=0.015)
        bar.set_label(r"log variance of the data, $\log\,\Sigma_i$")
        bar.ax.hlines(log_sigma[ranks].numpy(), 0, 1, color="white", linewidth=0.8)
        small_print(
            figure,
            f"{len(ranks)} of the {len(source)} {labels.basis_note} components of "
            f"{labels.data} (white marks on the colour bar). Blue dashed: the levels of "
            r"reconstruction $-\tilde\gamma_\mathrm{denoise}$ and of noising "
            r"$-\tilde\gamma_\mathrm{noise}$. Where one line shows, all coincide.",
            labels.stand_in_note,
        )
        return figure


def component_ranks(components: int, shown: int) -> Int[np.ndarray, " shown"]:
    """Ranks by variance, in geometric steps from the first to the last component.

    The spectra of images fall like powers of the rank, so that the steps in log variance are even.
    """
    import numpy as np

    return np.unique(np.geomspace(1, components, shown).round().astype(int)) - 1
