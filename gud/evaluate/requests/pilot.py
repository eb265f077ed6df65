"""A pilot for likelihoods with a requested error: it chooses steps, probes and images."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from gud.config.jobs import Evaluation
from gud.config.sections.evaluation import PILOT_IMAGES, Finer, Likelihood
from gud.config.sections.points import point_name
from gud.config.sections.schedules import standard_parameters
from gud.data.arrays import Arrays
from gud.errors import InputError
from gud.evaluate.requests.allocation import Contrast, Errors, allocate, variances
from gud.evaluate.shards import Evaluate
from gud.evaluate.uncertainty import estimates, first_images, standard_error
from gud.progress import progress

log = logging.getLogger(__name__)

REFINED_IMAGES, PILOT_PROBES = 8, 2
DOUBLINGS = 4
"""How often steps may be doubled, or tolerances divided by 8, each time beyond the settings."""
OF_STEPS = 0.2
"""Part of an error's square that is left to what finer steps of some images correct."""

Key = tuple[str, str]
"""A point, and `level` or `difference`."""
Bits = Float[np.ndarray, "_images _probes"]
Found = dict[Key, Errors]
Estimate = Callable[[Evaluation, int], Evaluate]
"""What computes the shards of an evaluation, with the draws of a number; 0 are the usual ones."""


@dataclass(frozen=True)
class Plan:
    """What a pilot found.

    Args:
        evaluation: with the steps and probes to use.
        reference: the point that differences are to.
        start: variance of the level by dequantisation and start, at the reference point.
        images: that the requests of each point are expected to take.
    """

    evaluation: Evaluation
    reference: str
    contrasts: dict[Key, Contrast]
    start: float
    images: dict[str, float]

    def errors(self, computed: dict[str, Arrays]) -> Found:
        """Of every requested number, from the images computed so far at each point."""
        found = {}
        for (point, kind), contrast in self.contrasts.items():
            first = first_images(computed[self.reference], len(computed[point]["index"]))
            region = first["region"]
            both = {self.reference: first, point: computed[point]}
            bits = {name: estimates(arrays, "bits_per_dim") for name, arrays in both.items()}
            values = values_of(bits, point, kind, self.reference)
            n, probes = values.shape
            within = variances(values)[1] if probes > 1 else contrast.probes
            probe, start = within / (n * probes), self.start / n if kind == "level" else 0.0
            images = max(standard_error(values.mean(1), region) ** 2 - probe - start, 0.0)
            found[point, kind] = Errors(
                images=math.sqrt(images),
                probes=math.sqrt(probe),
                start=math.sqrt(start),
                integration=contrast.integration,
            )
        return found


def plan_request(
    evaluation: Evaluation, estimate: Estimate, image_cost: float, probe_cost: float
) -> Plan:
    """Steps, probes and images for a request, from a few images at every point.

    Args:
        image_cost, probe_cost: of an evaluation for an image, and of the derivative for a probe.
    """
    settings = evaluation.settings
    assert isinstance(settings, Likelihood)
    names = list(evaluation.points)
    standard = point_name(standard_parameters(evaluation.points[names[0]]) or {})
    reference = standard if standard in names else names[0]
    numbers = np.arange(PILOT_IMAGES)

    def bits(asked: Likelihood, point: str, images: int, draw: int = 0) -> Bits:
        evaluate = estimate(replace(evaluation, settings=asked), draw)
        return evaluate(evaluation.points[point], numbers[:images])["bits_per_dim"]

    asked = settings.model_copy(update={"probes": PILOT_PROBES, "also": []})
    first: dict[str, Bits] = {}
    for _ in range(DOUBLINGS + 1):
        finer = _finer(asked)
        found: dict[str, Bits] = {}
        refined: dict[str, Bits] = {}
        for point in progress(names, unit="point", label=f"pilot of {evaluation.experiment}"):
            found[point] = bits(asked, point, PILOT_IMAGES)
            refined[point] = bits(finer, point, REFINED_IMAGES)
        first = first or found
        contrasts = dict(_contrasts(settings, found, refined, reference))
        if all(contrast.integrated for contrast in contrasts.values()):
            break
        asked = finer
    else:
        worst = max(contrasts.values(), key=lambda contrast: contrast.integration / contrast.stderr)
        raise InputError(
            f"the steps of {evaluation.experiment} leave {worst.integration:.2g} bits/dim where "
            f"an error of {worst.stderr:g} is requested: use another method, or request less"
        )
    again = bits(asked, reference, PILOT_IMAGES, draw=1)
    within = (variances(found[reference])[1] + variances(again)[1]) / 2
    start = (found[reference] - again).mean(1).var(ddof=1) / 2 - within / PILOT_PROBES
    most, probes = allocate([*contrasts.values()], image_cost, probe_cost, settings.probes)
    chosen = {key: getattr(asked, key) for key in ("steps", "rtol", "atol")} | {"probes": probes}
    shifts = {
        key: (values_of(found, *key, reference) - values_of(first, *key, reference)).mean(1)
        for key in contrasts
    }
    images = dict.fromkeys(names, most)
    if settings.stderr is None:  # The reference is in every difference.
        images |= {p: one.images_needed(probes) for (p, _), one in contrasts.items()}
    least = 0.0
    if asked.steps and (levels := _two_levels(settings, asked.steps, images, contrasts, shifts)):
        chosen |= {"steps": settings.steps, "finer": levels}
        images = {point: n / (1 - OF_STEPS) for point, n in images.items()}
        least = levels.images + 1.0
    images = {point: max(n, least) for point, n in images.items()}
    log.info("%s: %s images to begin with, %s", evaluation.experiment, _rounded(images), chosen)
    planned = replace(evaluation, settings=settings.model_copy(update=chosen))
    return Plan(planned, reference, contrasts, max(float(start), 0.0), images)


def _rounded(images: dict[str, float]) -> str:
    return " to ".join(f"{n:.0f}" for n in sorted({min(images.values()), max(images.values())}))


def _two_levels(
    settings: Likelihood,
    steps: int,
    images: dict[str, float],
    contrasts: dict[Key, Contrast],
    shifts: dict[Key, Float[np.ndarray, " images"]],
) -> Finer | None:
    """Finer steps that correct those of the settings in some images, if that costs less.

    Args:
        steps: the finer ones, and
        images: as many as it would take in these at each point.
        shifts: what they change in the images of the pilot.
    """
    most = max(one.images_corrected(shifts[key], OF_STEPS) for key, one in contrasts.items())
    corrected = settings.batch_size * math.ceil(max(most, 1.0) / settings.batch_size)
    coarse = settings.steps or steps
    each = [max(n / (1 - OF_STEPS), corrected + 1.0) for n in images.values()]
    if sum(n * coarse + corrected * steps for n in each) >= sum(images.values()) * steps:
        return None
    return Finer(steps=steps, images=corrected)


def _contrasts(
    settings: Likelihood, found: dict[str, Bits], refined: dict[str, Bits], reference: str
) -> Iterator[tuple[Key, Contrast]]:
    for kind, stderr in (
        ("level", settings.stderr),
        ("difference", settings.stderr_of_difference),
    ):
        for point in found:
            if stderr is None or (kind == "difference" and point == reference):
                continue
            values = values_of(found, point, kind, reference)
            fine = values_of(refined, point, kind, reference)
            shift = (values[: len(fine)] - fine).mean(1)
            bias = abs(float(shift.mean())) + standard_error(shift)
            yield (point, kind), Contrast(stderr, *variances(values), integration=bias)


def values_of(bits: dict[str, Bits], point: str, kind: str, reference: str) -> Bits:
    return bits[point] - bits[reference] if kind == "difference" else bits[point]


def _finer(settings: Likelihood) -> Likelihood:
    """Twice the steps, or an eighth of the tolerances: of third order, half the step."""
    if settings.steps:
        return settings.model_copy(update={"steps": 2 * settings.steps})
    finer = {"rtol": settings.rtol / 8, "atol": settings.atol / 8}
    return settings.model_copy(update=finer)
