"""Settings of what is done with a trained model: likelihood, samples, applications."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gud.settings import Fraction, Name, NonNegative, Positive, PositiveFloat, Section

Ranges = dict[str, tuple[NonNegative, Positive]]
"""The images of each point that one job computes, from the first to before the last."""


class Likelihood(Section):
    """Settings of the probability-flow likelihood (App. B)."""

    images: Positive
    batch_size: Positive
    probes: Positive
    method: Literal["tsit5", "dopri5", "rk4"]
    rtol: PositiveFloat
    atol: PositiveFloat
    steps: Positive | None
    coordinates: Literal["components", "standardised"]
    start: Literal["data", "noised"]

    @model_validator(mode="after")
    def _steps_for_fixed_step(self) -> Likelihood:
        if (self.method == "rk4") != (self.steps is not None):
            raise ValueError("steps must be a number for method rk4 and null for adaptive methods")
        return self


class Sampling(Section):
    """Settings of the sampler whose images the sample quality is measured on."""

    images: Positive
    batch_size: Positive
    method: Literal["euler_maruyama", "ancestral", "ode"]
    steps: Positive
    rtol: PositiveFloat
    atol: PositiveFloat
    noise_free_last_step: bool


class Quality(Section):
    extractor: Literal["random", "inception"]
    extractor_seed: int
    reference: Literal["train", "test"]
    reference_images: Positive | None
    weights: Name | None
    stderr_groups: NonNegative
    batch_size: Positive

    @model_validator(mode="after")
    def _inception_has_weights(self) -> Quality:
        if (self.extractor == "inception") != (self.weights is not None):
            raise ValueError("weights must name a download for inception and be null for random")
        return self


class StripSettings(Section):
    """Strips by a sliding window (App. C).

    Args:
        strips: how many.
        windows: positions of the window; a strip is (windows - 1) shift + image size wide.
        shift: k, columns by which the window moves.
        time: t at which it moves, or null for the best.
        residual: largest sigma of a column that is cut off; 0 for the exact procedure.
        steps_per_unit: network evaluations for a unit of time.
    """

    strips: Positive
    batch_size: Positive
    windows: Positive
    shift: Positive
    time: Fraction | None
    residual: Annotated[float, Field(ge=0, lt=1)]
    steps_per_unit: PositiveFloat


class ReconstructionSettings(Section):
    """Reconstruction of partly noised test images (Figure 8).

    Args:
        images: how many test images, drawn by the seed.
        keys: reconstructions of each.
        time: t up to which they are noised.
        steps: network evaluations from t to 0.
    """

    images: Positive
    batch_size: Positive
    keys: Positive
    time: Annotated[float, Field(gt=0, le=1)]
    steps: Positive


class LikelihoodJob(Section):
    """The likelihood of images at points of one experiment."""

    experiment: Name
    prior: str
    seed: int
    likelihood: Likelihood
    points: Ranges


class SamplingJob(Section):
    """Samples at points of one experiment."""

    experiment: Name
    prior: str
    seed: int
    sampling: Sampling
    points: Ranges
