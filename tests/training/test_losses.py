import pytest
import torch
from exact_noise import SIZE, ExactNoise, statistics
from scipy.special import expit
from sections import model_settings
from training_runs import RUN

from gud.diffusion.processes import OrnsteinUhlenbeck, PhaseSpaceLangevin
from gud.model import Model
from gud.training.loss import denoising_loss


@pytest.mark.parametrize("prior", ["isotropic", "variance_matching"])
def test_the_loss_of_exact_noise_on_gaussian_data_is_its_closed_form(prior):
    model = Model(model_settings(RUN["model"], prior=prior), statistics())
    model.network = ExactNoise(model)
    count = 4000
    generator = torch.Generator().manual_seed(0)
    variance = model.representation.log_variance.exp()
    shape = (count, *model.state_shape)
    components = torch.randn(count, *shape[2:], generator=generator).double() * variance.sqrt()
    images = model.representation.decode(components)
    noise = torch.randn(shape, generator=generator).double()
    schedule = model.schedule(a=0.8, r=0.3)
    for t in (0.0, 0.3, 1.0):
        gamma = schedule(torch.tensor([t])).gamma[0].numpy()
        signal = expit(-gamma) * variance.numpy()
        expected = (signal / (signal + expit(gamma))).mean()
        times = torch.full((count,), t, dtype=torch.float64)
        loss = denoising_loss(model, images, schedule, times, noise).item()
        # The squared error of an entry is chi-squared with variance 2 mean^2 <= 2.
        assert loss == pytest.approx(expected, abs=5 * (2 / noise.numel()) ** 0.5)


def test_the_loss_and_its_gradient_are_finite_where_the_rate_is_infinite():
    model = Model(model_settings(RUN["model"]), statistics())
    images = torch.zeros(2, 3, SIZE, SIZE)
    noise = torch.randn(2, *model.state_shape, generator=torch.Generator().manual_seed(0))
    schedule = model.schedule(a=1.0, r=0.0)
    t = torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert schedule(t).d_gamma_dt.isinf().all()
    loss = denoising_loss(model, images, schedule, t, noise)
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_further_numbers_of_the_initial_state_are_zero():
    components = torch.arange(24.0).view(2, 3, 4)
    assert torch.equal(OrnsteinUhlenbeck().initial(components), components[:, None])
    state = PhaseSpaceLangevin(Gamma=0.25, nu=4.25, kappa=0.04).initial(components)
    assert torch.equal(state[:, 0], components)
    assert torch.equal(state[:, 1], torch.zeros(2, 3, 4))
