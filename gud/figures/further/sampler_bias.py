"""What samplers themselves do to the variances of Gaussian data, against network evaluations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from gud.config.figures import Labels
from gud.config.sections.processes import ProcessSettings
from gud.config.sections.section import Positive, PositiveFloat
from gud.figures.drawing.sections import VarianceSection

if TYPE_CHECKING:
    from jaxtyping import Float
    from matplotlib.figure import Figure
    from torch import Tensor


CURVES = {
    "Euler-Maruyama": ("euler_maruyama", "uniform", False),
    "Euler-Maruyama, active grid": ("euler_maruyama", "active", False),
    "ancestral": ("ancestral", "uniform", False),
    "exponential, ODE or SDE": ("exponential_sde2", "active", True),
}
"""Method, grid and `denoise` of each curve."""
WANTED = 0.01


class SamplerBias(VarianceSection):
    """The schedules are those of equations 18-20 with the range of both priors.

    Args:
        a: of each column of panels.
        steps: network evaluations.
        time_power: p of s(t).
        process: of the samplers.
    """

    a: Annotated[list[float], Field(min_length=1)]
    steps: Annotated[list[Positive], Field(min_length=2)]
    time_power: PositiveFloat
    process: ProcessSettings

    title = "What samplers themselves do to variances"
    caption = (
        "Relative error (rms over the components) of the variances that samplers give to Gaussian "
        "data with the exact score, against the number of network evaluations; the exponential "
        "integrators are exact up to the difference between the prior and the noised data at t = 1."
    )
    family = "soft_conditioning"

    def draw(self, source: Float[Tensor, " components"], labels: Labels) -> Figure:
        """A row of panels for each prior, a column for each a.

        Args:
            source: Sigma_i of every component of the basis.
        """
        from matplotlib.figure import Figure

        from gud.figures.drawing.style import A_LABEL, GREY, WIDTH, small_print

        figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
        axes = figure.subplots(2, len(self.a), sharex=True, sharey=True, squeeze=False)
        for row, whitened in zip(axes, (False, True), strict=True):
            for axis, a in zip(row, self.a, strict=True):
                for name in CURVES:
                    found = self.errors(source, labels, name, a, whitened)
                    axis.plot(self.steps, found, marker="o", markersize=2.5, label=name)
                axis.axhline(WANTED, color=GREY, linestyle="--", linewidth=0.9)
                axis.set(xscale="log", yscale="log")
            row[0].set_ylabel(f"{'variance-matching' if whitened else 'isotropic'} prior")
        for axis, a in zip(axes[0], self.a, strict=True):
            axis.set_title(f"{A_LABEL} $= {a:g}$")
        for axis in axes[1]:
            axis.set_xlabel("network evaluations")
        axes[0, 0].legend()
        small_print(
            figure,
            f"Root mean square over the {len(source)} {labels.basis_note} components of the "
            "relative error of their variance, if the data were Gaussian with the variances of "
            f"{labels.data} and the noise were predicted exactly. Dashed: 1 %.",
            labels.stand_in_note,
        )
        return figure

    def errors(
        self,
        variance: Float[Tensor, " components"],
        labels: Labels,
        name: str,
        a: float,
        whitened: bool,
    ) -> list[float]:
        """The error of a curve at each number of steps."""
        import torch

        from gud.diffusion.samplers import GRIDS, SAMPLERS, Options
        from gud.diffusion.samplers.bias import sampled_variance
        from gud.diffusion.schedules import Reparametrised, SoftConditioning, gamma_noise_default

        assert labels.gamma_denoise is not None
        log_sigma = variance.log()
        diffused = torch.zeros_like(log_sigma) if whitened else log_sigma
        noise = gamma_noise_default(min(float(log_sigma.min()), 0.0))
        path = SoftConditioning(diffused, -log_sigma, a, labels.gamma_denoise, noise)
        schedule = Reparametrised(path, self.time_power)
        method, grid, denoise = CURVES[name]
        found = []
        for steps in self.steps:
            options = Options(steps, GRIDS[grid], denoise=denoise)
            sampled = sampled_variance(
                SAMPLERS[method], schedule, self.process.build(), diffused.exp(), options
            )
            found.append(float((sampled / diffused.exp() - 1).square().mean().sqrt()))
        return found
