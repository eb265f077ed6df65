"""What a preset can name is what can be built, and is written as it was read."""

from typing import get_args

import pytest
import torch
from sections import model_settings
from training_runs import RUN

from gud.config.sections.networks import NetworkSettings
from gud.config.sections.processes import PROCESSES
from gud.config.sections.schedules import FAMILIES, FreePath
from gud.diffusion import processes, schedules
from gud.diffusion.bases import Fourier, Pixel, Wavelet
from gud.diffusion.representation import Representation, Statistics
from gud.errors import InputError
from gud.networks import NETWORKS


def names(sections) -> set[str]:
    return {name for one in sections for name in get_args(one.model_fields["name"].annotation)}


def test_every_schedule_process_and_network_that_a_preset_can_name_is_registered():
    assert names(FAMILIES) == schedules.FAMILIES.keys()
    assert names(PROCESSES) == processes.PROCESSES.keys()
    assert names(get_args(get_args(NetworkSettings)[0])) == NETWORKS.keys()


def test_a_process_without_constants_is_read_and_written_by_its_name_or_its_section():
    short = model_settings(RUN["model"], process="ou")
    assert short == model_settings(RUN["model"], process={"name": "ou"})
    assert short.model_dump(mode="json")["process"] == "ou"
    assert isinstance(short.process.build(), processes.OrnsteinUhlenbeck)
    with pytest.raises(InputError, match='process = .* "none".* is not allowed'):
        model_settings(RUN["model"], process="none")


OF_WHITE_DATA = [family for family in FAMILIES if family is not FreePath]
"""A free path needs variances that tell its groups apart."""


@pytest.mark.parametrize("family", OF_WHITE_DATA, ids=lambda family: family.__name__)
def test_at_its_standard_parameters_a_family_noises_all_components_alike(family):
    """An isotropic prior on white data, on which standard diffusion has one gamma(t) for all."""
    kinds = {"pixel": Pixel(8), "haar": Wavelet(8, 2), "any": Fourier(8)}
    mean, variance = torch.zeros(3, 8, 8).double(), torch.ones(64).double()
    basis = kinds[(family.bases or ["any"])[0]]
    representation = Representation(basis, Statistics(mean, variance), whitened=False)
    settings = family(
        name=names([family]).pop(),
        gamma_denoise=-3.0,
        gamma_noise="auto",
        time_power=0.5,
        ranges={key: (value, value) for key, value in family.standard.items()},
    )
    gamma = settings.build(representation, dict(family.standard))(torch.linspace(0, 1, 5)).gamma
    torch.testing.assert_close(gamma, gamma[:, :1].expand_as(gamma))
    assert gamma[0, 0] == -3 and gamma[-1, 0] > 3
