"""Guidance and inpainting against conditional laws that are known in closed form."""

import every_process
import numpy as np
import pytest
import torch
from gaussian import Gaussian

from gud.diffusion.noising import NoisingState
from gud.diffusion.samplers import SAMPLERS, Options, ReverseProcess, guided
from gud.diffusion.samplers.conditional import Inpainting
from gud.diffusion.samplers.gaussian import gaussian_denoiser
from gud.diffusion.schedules import SoftConditioning
from gud.randomness import ImageStreams

ORDERING = torch.tensor([0.0, 0.8, 1.5], dtype=torch.float64)
SCHEDULE = SoftConditioning(torch.zeros(3).double(), ORDERING, 0.6, -4.0, 4.0)
PROCESSES = {name: every_process.PROCESSES[name] for name in ("ou", "psld", "cld")}
MEANS = torch.tensor([[1.5, -0.5, 0.3], [-1.0, 0.8, 0.0]], dtype=torch.float64)
SPREAD = torch.tensor([0.3, 0.6, 0.9], dtype=torch.float64)
COUNT = 1000


class Mixture:
    """Two classes of independent Gaussian components of the same variances, equally likely."""

    def __init__(self, process):
        self.process, self.of_noise = process, gaussian_denoiser(process, SPREAD)

    def centred(self, z, state, label):
        mean = self.process.transition(state)[:, :, 0, None] * MEANS[label]
        return z - mean

    def class_denoiser(self, label):
        return lambda z, state: self.of_noise(self.centred(z, state, label), state)

    def log_density(self, z, state, label):
        """log p(z | label) but for a constant; its gradient is the score."""
        z = self.centred(z, state, label)
        score = self.process.score(self.of_noise(z, state), state)
        return (z * score).flatten(1).sum(1) / 2

    def classifier(self, label):
        """log p(label | z)."""

        def log_probability(z, state):
            each = torch.stack([self.log_density(z, state, one) for one in range(2)], 1)
            return torch.log_softmax(each, 1)[:, label]

        return log_probability

    def denoiser(self, z, state):
        """E[eps | z], an average of those of the classes."""
        weights = [self.classifier(one)(z, state).exp() for one in range(2)]
        each = [self.class_denoiser(one)(z, state) for one in range(2)]
        return sum(w[:, None, None, None] * e for w, e in zip(weights, each, strict=True))


@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize("t", [0.05, 0.4, 0.9])
def test_guidance_by_the_exact_classifier_is_the_prediction_of_the_class(name, t):
    process = PROCESSES[name]
    mixture, state = Mixture(process), SCHEDULE(torch.full((8,), t, dtype=torch.float64))
    z = ImageStreams("cpu", 0, "z", range(8)).normal((process.k, 1, 3)).double()
    for label in (0, 1):
        guide = guided(mixture.denoiser, process, mixture.classifier(label))
        expected = mixture.class_denoiser(label)(z, state)
        torch.testing.assert_close(guide(z, state), expected, rtol=1e-9, atol=1e-9)


def drawn(method, denoiser, process, steps, count=COUNT):
    noise = ImageStreams("cpu", 0, "prior", [0]).normal((count, process.k, 1, 3))[0].double()
    fresh = ImageStreams("cpu", 0, "steps", [0])
    reverse = ReverseProcess(denoiser, SCHEDULE, process, SPREAD)
    z, _ = method(
        reverse,
        process.prior_sample(noise),
        lambda z: fresh.normal(z.shape)[0].to(z),
        Options(steps=steps, noise_free_last_step=False),
    )
    return z[:, 0, 0]


@pytest.mark.parametrize(("name", "method"), [("psld", "sscs2"), ("ou", "exponential_sde2")])
def test_guided_samples_have_the_law_of_the_class(name, method):
    process = PROCESSES[name]
    mixture = Mixture(process)
    guide = guided(mixture.denoiser, process, mixture.classifier(1))
    samples = drawn(SAMPLERS[method], guide, process, 40)
    start = SCHEDULE(torch.zeros(1, dtype=torch.float64))
    mean, factor = process.transition(start)[0, 0, 0], process.factor(start)[0, 0, 0]
    variance = mean**2 * SPREAD + factor**2
    error = (variance / COUNT).sqrt()
    assert ((samples.mean(0) - mean * MEANS[1]).abs() < 4 * error + 0.01).all()
    assert ((samples.var(0) / variance - 1).abs() < 4 * (2 / COUNT) ** 0.5 + 0.02).all()


def inpainted(covariance, steps):
    """Samples of PSLD whose first component is known to be 1, with its noise at t = 0."""
    process = PROCESSES["psld"]
    known = torch.zeros(COUNT, 2, 1, 3).double()
    known[:, 0] = 1.0
    first = torch.tensor([1.0, 0.0, 0.0]).double()
    method = Inpainting(SAMPLERS["sscs2"], known, lambda z: z * first)
    denoiser = Gaussian(covariance, channels=1).denoiser(process)
    return drawn(method, denoiser, process, steps)


def test_inpainting_of_independent_parts_is_exact():
    covariance = np.diag([0.8, 0.5, 1.2])
    samples = inpainted(covariance, 40)
    start = SCHEDULE(torch.zeros(1, dtype=torch.float64))
    process = PROCESSES["psld"]
    mean, factor = process.transition(start)[0, 0, 0], process.factor(start)[0, 0, 0]
    variance = mean**2 * torch.tensor([0.8, 0.5, 1.2]).double() + factor**2
    assert samples[:, 0].mean() == pytest.approx(float(mean[0]), abs=0.01)
    assert (samples[:, 1:].mean(0).abs() < 4 * (variance[1:] / COUNT).sqrt()).all()
    assert ((samples.var(0) / variance - 1)[1:].abs() < 4 * (2 / COUNT) ** 0.5 + 0.02).all()


@pytest.mark.slow
def test_inpainting_falls_short_of_the_conditional_mean_which_guidance_reaches():
    """Data 0.8 correlated, first component 1: the exact mean of the second is 0.8.

    Inpainting gives about 0.55, with any number of steps.
    """
    covariance = np.array([[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 1.0]])
    process, gaussian = PROCESSES["psld"], Gaussian(covariance, channels=1)
    data = torch.from_numpy(covariance)

    def log_likelihood(z: torch.Tensor, state: NoisingState) -> torch.Tensor:
        """log N(1; E[chi_0 | z], Var[chi_0 | z]), for states of one time."""
        column, factor = process.transition(state)[0, :, 0], process.factor(state)[0]
        cross = torch.einsum("in,n->in", column, data[0]).flatten()
        full = torch.einsum("in,nm,jm->injm", column, data, column)
        full = full + torch.einsum("ikn,jkn,nm->injm", factor, factor, torch.eye(3).double())
        weights = torch.linalg.solve(full.flatten(2).flatten(0, 1), cross)
        rest = (1 - z.flatten(1) @ weights).square()
        return -rest / (2 * (data[0, 0] - weights @ cross))

    guide = guided(gaussian.denoiser(process), process, log_likelihood)
    samples = drawn(SAMPLERS["sscs2"], guide, process, 80)[:, 1]
    start = SCHEDULE(torch.zeros(1, dtype=torch.float64))
    mean, factor = (float(m(start)[0, 0, 0, 1]) for m in (process.transition, process.factor))
    variance = mean**2 * 0.36 + factor**2
    assert float(samples.mean()) == pytest.approx(
        0.8 * mean, abs=4 * (variance / COUNT) ** 0.5 + 0.02
    )
    assert float(samples.var()) / variance == pytest.approx(1, abs=4 * (2 / COUNT) ** 0.5 + 0.03)
    few, many = (inpainted(covariance, steps)[:, 1].mean() / mean for steps in (30, 60))
    assert 0.45 < few < 0.65 and 0.45 < many < 0.65
