"""The samplers' own bias in closed form, against samples and against limits that are known."""

import pytest
import torch
from gaussian import image_covariance, representation, soft_conditioning
from presets import ROOT
from sections import model_settings

from gud.api import photographs
from gud.config.preset import load_preset
from gud.data.statistics import fit
from gud.diffusion.processes import OrnsteinUhlenbeck, PhaseSpaceLangevin, apply
from gud.diffusion.samplers import (
    GRIDS,
    SAMPLERS,
    Options,
    ReverseProcess,
    noise_of,
)
from gud.diffusion.samplers.bias import sampled_variance
from gud.diffusion.samplers.gaussian import gaussian_denoiser, start_of
from gud.diffusion.samplers.stepwise import Stretch
from gud.diffusion.schedules import Reparametrised, SoftConditioning
from gud.diffusion.schedules.sequential import column_schedule
from gud.evaluate.samples import variance_error
from gud.model import Model
from gud.randomness import ImageStreams

PROCESS = OrnsteinUhlenbeck()
BIASED = ["euler_maruyama", "ancestral"]


def setting(whitened, a=1.3):
    components = representation("haar", image_covariance(1, seed=0), whitened)
    return components.log_variance.exp(), soft_conditioning(components, a, gamma_denoise=-3.0)


def samples(method, schedule, variance, options):
    """Variances of the components of 8000 independent channels, and their standard errors."""
    noise = ImageStreams("cpu", 0, "prior", range(4)).normal((1, 2000, len(variance))).double()
    reverse = ReverseProcess(gaussian_denoiser(PROCESS, variance), schedule, PROCESS, variance)
    steps = noise_of(ImageStreams("cpu", 0, "steps", range(4)))
    z, _ = SAMPLERS[method](reverse, PROCESS.prior_sample(noise), steps, options)
    found = z.flatten(0, 2).var(0)
    return found, found * (2 / 8000) ** 0.5


@pytest.mark.parametrize("whitened", [False, True], ids=["isotropic", "variance_matching"])
@pytest.mark.parametrize("noise_free", [False, True])
@pytest.mark.parametrize("method", BIASED)
def test_it_is_the_variance_of_the_samples_of_the_sde(method, noise_free, whitened):
    variance, schedule = setting(whitened)
    schedule = Reparametrised(schedule, 0.5)
    options = Options(12, noise_free_last_step=noise_free)
    found, error = samples(method, schedule, variance, options)
    exact = sampled_variance(SAMPLERS[method], schedule, PROCESS, variance, options)
    assert (abs(found - exact) / error).max() < 4
    # Twelve steps are too few: the bias that is told is far beyond the error of the samples.
    assert (abs(exact - variance) / error).max() > 10


@pytest.mark.parametrize("whitened", [False, True], ids=["isotropic", "variance_matching"])
def test_it_is_the_variance_of_the_samples_of_the_ode(whitened):
    variance, schedule = setting(whitened)
    options = Options(rtol=1e-3, atol=1e-3)
    found, error = samples("ode", schedule, variance, options)
    exact = sampled_variance(SAMPLERS["ode"], schedule, PROCESS, variance, options)
    assert (abs(found - exact) / (error + 0.01 * exact)).max() < 4


@pytest.mark.parametrize("time", [0.0, 0.3])
@pytest.mark.parametrize("whitened", [False, True], ids=["isotropic", "variance_matching"])
def test_the_flow_keeps_the_standardised_components(whitened, time):
    """z_i / s_i is constant along the flow, so that the ODE's variance is s_i(t)^2 / s_i(1)^2."""
    variance, schedule = setting(whitened)
    schedule = Reparametrised(schedule, 0.5)
    start, end = (schedule(torch.tensor([t])).variance(variance)[0] for t in (time, 1.0))
    options = Options(rtol=1e-8, atol=1e-8, end=time)
    exact = sampled_variance(SAMPLERS["ode"], schedule, PROCESS, variance, options)
    torch.testing.assert_close(exact, start / end, rtol=1e-6, atol=0.0)


@pytest.mark.slow
@pytest.mark.parametrize("method", BIASED)
def test_with_many_steps_it_tends_to_the_noised_data_in_first_order(method):
    variance, schedule = setting(whitened=False)
    first, second, third = (
        sampled_variance(
            SAMPLERS[method],
            schedule,
            PROCESS,
            variance,
            Options(steps, noise_free_last_step=False),
        )
        for steps in (100, 200, 400)
    )
    assert (first - second).norm() / (second - third).norm() == pytest.approx(2, rel=0.1)
    target = schedule(torch.zeros(1)).variance(variance)[0]
    torch.testing.assert_close(2 * third - second, target, rtol=0.01, atol=0)


@pytest.mark.parametrize("method", BIASED)
@pytest.mark.parametrize("power, gamma_denoise, steps", [(0.5, -3.0, 1000), (1.0, -7.0, 1000)])
def test_of_the_noise_at_t_0_a_noise_free_last_step_leaves_exp_of_minus_its_length(
    method, power, gamma_denoise, steps
):
    """For data that are known, as `docs/interpretations.md` says; not zero, as one might think."""
    schedule = Reparametrised(
        soft_conditioning(representation("haar", image_covariance(1, 0), True), 1.0, gamma_denoise),
        power,
    )
    times = torch.tensor([1 / steps, 0.0], dtype=torch.float64)
    now, after = (schedule(times[i : i + 1]) for i in (0, 1))
    noise = now.sigma[:, None, None]
    reverse = ReverseProcess(
        lambda z, _: torch.ones_like(z), schedule, PROCESS, torch.ones(16).double()
    )
    mean, _ = SAMPLERS[method].step(Stretch(reverse, times, 0), noise, None, ())
    left = (mean[0, 0, 0] / after.sigma[0]) ** 2
    torch.testing.assert_close(left, (after.gamma - now.gamma)[0].exp(), rtol=0.01, atol=0)
    assert left.min() > 0.5 if power == 0.5 else left.min() > 0.97


@pytest.mark.parametrize("prior", ["isotropic", "variance_matching"])
def test_the_demos_sampler_hardly_biases_the_variances_of_its_data(prior):
    """With the demo's settings, on Gaussian data with variances like the demo's."""
    experiment = load_preset(ROOT / "config/demo.yaml").experiments["a_scan_isotropic"]
    statistics = fit(photographs(16, 24)[0], "pca")
    model = Model(model_settings(experiment.model(), prior=prior), statistics)
    for a in (0.4, 1.0, 1.6):
        error = variance_error(model, model.schedule(a=a, r=0.0), experiment.quality.sampling)
        assert abs(error.mean()) < 0.001
        assert error.square().mean().sqrt() < 0.001


def test_what_a_preset_says_of_the_start_is_what_samples_are_told_to_be_biased_by():
    preset = load_preset(ROOT / "config/demo.yaml")
    experiment = preset.experiments["columns_b05"]
    model = Model(model_settings(experiment.model()), fit(photographs(16, 24)[0], "pixel"))
    prior = experiment.quality.sampling
    gaussian = prior.model_copy(update={"start": "gaussian"})
    assert "start" not in prior.model_dump() and gaussian.model_dump()["start"] == "gaussian"
    biased, exact = (variance_error(model, model.schedule(b=0.5), s) for s in (prior, gaussian))
    assert abs(exact).max() < 1e-9 < 1e-5 < abs(biased).max()


@pytest.mark.parametrize("whitened", [False, True], ids=["isotropic", "variance_matching"])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize(
    "method", [name for name in SAMPLERS if name.startswith(("exponential", "corrected"))]
)
def test_exponential_integrators_sample_a_gaussian_by_any_number_of_steps(method, grid, whitened):
    """Up to the prior, which is not quite the noised data at t = 1: u stays what it is there."""
    variance, schedule = setting(whitened)
    start, end = (schedule(torch.tensor([t])).variance(variance)[0] for t in (1.0, 0.0))
    for steps, denoise in [(1, True), (4, True), (4, False)]:
        options = Options(steps, GRIDS[grid], denoise=denoise)
        found = sampled_variance(SAMPLERS[method], schedule, PROCESS, variance, options)
        target = variance if denoise else end
        ratio = found / target
        if "ode" in method or steps == 1:
            torch.testing.assert_close(ratio, 1 / start, rtol=1e-12, atol=0)
        else:
            assert ((ratio - 1).abs() < (1 / start - 1).abs() + 1e-12).all()


@pytest.mark.slow
@pytest.mark.parametrize("noise_free", [False, True])
@pytest.mark.parametrize("method", ["ode", "exponential_sde2", "exponential_ode3"])
def test_samples_that_end_without_noise_have_the_variance_of_the_data(method, noise_free):
    variance, schedule = setting(whitened=False)

    def error(denoise):
        options = Options(200, GRIDS["active"], noise_free, denoise, rtol=1e-6, atol=1e-6)
        exact = sampled_variance(SAMPLERS[method], schedule, PROCESS, variance, options)
        return (exact / variance - 1).abs().max()

    assert error(denoise=True) < 0.01 < 0.02 < error(denoise=False)


@pytest.mark.parametrize("method", ["exponential_ode3", "exponential_sde2", "corrected_ode3"])
def test_from_gaussian_data_at_t_1_25_evaluations_give_gaussian_data_exactly(method):
    """Of columns at b = 0.5 the last still shows at t = 1, where the prior shows nothing."""
    variance = torch.linspace(2, 0.3, 16, dtype=torch.float64)
    schedule = column_schedule(torch.arange(16), 0.5, -7.0, 3.0)
    options = Options(25, GRIDS["active"], denoise=True)
    prior, gaussian = (
        sampled_variance(SAMPLERS[method], schedule, PROCESS, variance, options, start) / variance
        - 1
        for start in ("prior", "gaussian")
    )
    assert abs(gaussian).max() < 1e-9
    assert abs(prior).max() > 1e-4


def test_of_several_variables_the_start_at_gaussian_data_is_the_state_that_these_reach():
    """Moments of 40,000 states: data diffused up to t = 1, and the start drawn at once."""
    process = PhaseSpaceLangevin(0.01, 4.01, 0.04)
    variance = torch.tensor([2.0, 0.1], dtype=torch.float64)
    schedule = SoftConditioning(variance.log(), -variance.log(), 1.0, -3.0, 1.0)
    streams = ImageStreams("cpu", 0, "prior", range(4))
    x, noise, fresh = (streams.normal((k, 10000, 2)).double() for k in (1, 2, 2))
    state = schedule(torch.ones(4, dtype=torch.float64))
    diffused = process.transition(state)[:, :, 0, None] * (variance.sqrt() * x)
    diffused = diffused + apply(process.factor(state), noise)
    drawn = start_of("gaussian", schedule, process, variance, fresh)
    for component in range(2):
        found, expected = (
            z[..., component].transpose(0, 1).flatten(1).cov() for z in (drawn, diffused)
        )
        torch.testing.assert_close(found, expected, rtol=0.05, atol=0.02 * float(expected.max()))
