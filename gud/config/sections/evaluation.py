"""Settings of what is done with a trained model: likelihood, samples, applications."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, model_serializer, model_validator

from gud.config.sections.model import TrainingSettings
from gud.config.sections.networks import NCSNppSettings
from gud.config.sections.section import (
    Fraction,
    Name,
    NonNegative,
    Positive,
    PositiveFloat,
    Section,
)

Ranges = dict[str, tuple[NonNegative, Positive]]
"""The images of each point that one job computes, from the first to before the last."""

Precision = Literal["float32", "tf32"]
"""In which a GPU multiplies; no less, since bfloat16 moves likelihoods by 0.04 bits/dim."""


SamplerName = Literal[
    "euler_maruyama",
    "ancestral",
    "exponential_ode1",
    "exponential_ode2",
    "exponential_ode3",
    "exponential_sde1",
    "exponential_sde2",
    "exponential_sde3",
    "exponential_mixed2",
    "corrected_ode3",
    "sscs",
    "sscs2",
    "ode",
]
"""Of `gud.diffusion.samplers.SAMPLERS`."""
GridName = Literal["uniform", "quadratic", "active"]
"""Of `gud.diffusion.samplers.GRIDS`: where the steps lie."""

BOUND_REPLICATES = 2
"""Independent estimates of the variational bound, whose scatter is its error by times and noise."""


PILOT_IMAGES = 16
"""From which the variances behind a requested error are first estimated."""


class Finer(Section):
    """More steps for the first images, whose mean effect corrects the mean of all.

    Two levels (Giles 2015): steps change all images alike, so that a few tell by how much.
    """

    steps: Positive
    images: Positive


class Likelihood(Section):
    """Settings of the probability-flow likelihood (App. B).

    Args:
        renewals: how often a probe takes new signs along the path, at most once a step of `adams`.
        steps: equal ones of `rk4` (on each piece of a schedule) or `adams`; null for adaptive ones.
        finer: corrects the means; see `gud.evaluate.uncertainty.corrected`.
        also: estimates beside that of the ODE: `noised`, from the ODE started with the noise of
            t = 0, and `bound`, the variational bound.
        bound_times: network evaluations for each of the `BOUND_REPLICATES` of the bound.
        stderr: requested of every level, in bits/dim; images and probes are then the most that may
            be taken, and steps and tolerances the coarsest; see `gud.evaluate.requests.run`.
        stderr_of_difference: requested of the differences to standard diffusion, or to the first
            point where that is none; each then takes images of its own number, if no `stderr` is
            requested.
    """

    images: Positive
    batch_size: Positive
    probes: Positive
    renewals: NonNegative = 0
    method: Literal["tsit5", "dopri5", "rk4", "adams"]
    rtol: PositiveFloat
    atol: PositiveFloat
    steps: Positive | None
    finer: Finer | None = None
    coordinates: Literal["components", "standardised"]
    start: Literal["data", "noised"]
    precision: Precision
    also: list[Literal["noised", "bound"]] = []
    bound_times: Positive = 16
    stderr: PositiveFloat | None = None
    stderr_of_difference: PositiveFloat | None = None

    @property
    def requested(self) -> bool:
        """Whether errors are requested, and not numbers of images."""
        return self.stderr is not None or self.stderr_of_difference is not None

    @property
    def shuffled(self) -> bool:
        """Whether the first images must be as random as all."""
        return self.requested or self.finer is not None

    @model_serializer(mode="wrap")
    def _without_options_that_are_none(self, dump: Any) -> dict[str, Any]:
        usual = {"finer": None, "stderr": None, "stderr_of_difference": None, "renewals": 0}
        return {k: v for k, v in dump(self).items() if k not in usual or v != usual[k]}

    @model_validator(mode="after")
    def _images_to_judge_errors_by(self) -> Likelihood:
        if self.requested and min(self.images, self.batch_size) < PILOT_IMAGES:
            raise ValueError(
                f"a requested error needs images and batch_size of {PILOT_IMAGES} or more"
            )
        return self

    @model_validator(mode="after")
    def _finer_steps_of_fewer_images(self) -> Likelihood:
        if self.finer is None:
            return self
        if self.requested:
            raise ValueError("finer goes with no requested error, which finds its own steps")
        if self.finer.steps <= (self.steps or math.inf):
            raise ValueError(
                f"finer.steps = {self.finer.steps} must be more than steps, which are {self.steps}"
            )
        if self.finer.images % self.batch_size or self.finer.images >= self.images:
            raise ValueError(
                f"finer.images = {self.finer.images} must be a multiple of batch_size = "
                f"{self.batch_size} below images = {self.images}"
            )
        return self

    @model_validator(mode="after")
    def _another_start(self) -> Likelihood:
        if self.start == "noised" and "noised" in self.also:
            raise ValueError("also: noised says nothing more where start is noised")
        return self

    @model_validator(mode="after")
    def _steps_for_fixed_step(self) -> Likelihood:
        if self.method != "adams" and (self.method == "rk4") != (self.steps is not None):
            steps = "null" if self.steps is None else self.steps
            raise ValueError(
                f"steps = {steps} does not go with method {self.method}; expected a number for rk4 "
                "and null for adaptive methods"
            )
        if self.method == "adams" and self.coordinates != "standardised":
            raise ValueError("method adams needs coordinates: standardised")
        return self

    @model_validator(mode="after")
    def _renewals_between_steps(self) -> Likelihood:
        most = self.steps or 0 if self.method == "adams" else 0
        if self.renewals > most:
            raise ValueError(
                f"renewals = {self.renewals} must be at most {most}, the steps of method adams"
            )
        return self


class Sampling(Section):
    """Settings of the sampler whose images the sample quality is measured on.

    Args:
        steps: network evaluations, but for the method `ode`, which has tolerances instead.
        noise_free_last_step: leave the noise out of the last step.
        denoise: evaluate last at t = 0 and step from there to data without noise.
        start: from the `prior`, or from the state at t = 1 of `gaussian` data with the variances
            of the training set.
    """

    images: Positive
    batch_size: Positive
    method: SamplerName
    grid: GridName
    steps: Positive
    rtol: PositiveFloat
    atol: PositiveFloat
    noise_free_last_step: bool
    denoise: bool
    start: Literal["prior", "gaussian"] = "prior"
    precision: Precision

    @model_serializer(mode="wrap")
    def _without_the_usual_start(self, dump: Any) -> dict[str, Any]:
        return {k: v for k, v in dump(self).items() if (k, v) != ("start", "prior")}


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


class ClassifierSettings(Section):
    """A classifier of the noised states of an experiment: the downward half of a network."""

    network: NCSNppSettings
    training: TrainingSettings


class Guidance(Section):
    """Samples of each class that a classifier guides to.

    Args:
        scale: factor of the classifier's gradient; with 1 and exact networks, the law of the class.
        sampling: its `images` are of each class.
    """

    scale: PositiveFloat
    sampling: Sampling


class ConditionalSettings(Section):
    """Class-conditional samples, and the classifiers that guide them and that judge them."""

    classifier: ClassifierSettings
    guidance: Guidance


class InpaintingSettings(Section):
    """Test images of which a part is given, completed by a network that knows of no parts.

    Args:
        known: the part that is given: the `left` or the `upper` half, or the `frame` around the
            middle half of height and width.
        keys: completions of each.
        sampling: of each of them; its `images` are test images, drawn by the seed.
    """

    known: Literal["left", "upper", "frame"]
    keys: Positive
    sampling: Sampling


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
