"""Classifiers of noised states: shapes, what they see, their files, and what they learn."""

import json

import pytest
import torch
from columns import untrained
from every_process import PSLD_SECTION
from sections import model_settings, network
from training_runs import RUN

from gud.classifier import StateClassifier, load_classifier
from gud.diffusion.processes import State
from gud.errors import InputError
from gud.model import load
from gud.networks.classifier import Classifier

CLASSES = ("dark", "light", "striped")


def classifier(**changes) -> StateClassifier:
    """Of the states of the model `untrained`."""
    model = untrained(**changes)
    torch.manual_seed(1)
    found = StateClassifier(model.settings, model.representation.statistics, CLASSES)
    for weight in found.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    return found.eval().requires_grad_(False)


def states(found: StateClassifier, count: int = 4) -> State:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, *found.state_shape, generator=generator)


@pytest.mark.parametrize("multipliers, attention", [([1], []), ([1, 2], [4]), ([1, 2, 2], [2, 8])])
def test_logits_have_a_row_for_each_image_and_a_column_for_each_class(multipliers, attention):
    settings = RUN["model"]["network"] | {"multipliers": multipliers, "attention": attention}
    made = Classifier(**network(**settings), image_size=8, in_channels=6, components=64, classes=3)
    logits = made(torch.randn(5, 6, 8, 8), torch.randn(5, 64))
    assert logits.shape == (5, 3) and logits.dtype == torch.float32


def test_a_classifier_of_one_class_is_refused():
    settings = network(**RUN["model"]["network"])
    with pytest.raises(InputError, match="of 1 classes was asked for; expected 2"):
        Classifier(**settings, image_size=8, in_channels=3, components=64, classes=1)


@pytest.mark.parametrize("preconditioning", ["none", "gaussian"])
@pytest.mark.parametrize("process", ["ou", PSLD_SECTION], ids=["ou", "psld"])
def test_probabilities_add_up_and_know_the_noising_state(process, preconditioning):
    found = classifier(process=process, preconditioning=preconditioning)
    z, schedule = states(found), found.schedule(b=0.6)
    early, late = (
        found.log_probabilities(z, schedule(torch.full((4,), t, dtype=torch.float64)))
        for t in (0.1, 0.9)
    )
    torch.testing.assert_close(early.exp().sum(1), torch.ones(4))
    assert (early - late).abs().max() > 1e-4


def test_the_log_likelihood_of_a_class_is_its_column_and_has_a_gradient_in_every_number():
    found = classifier(process=PSLD_SECTION, preconditioning="gaussian")
    z = states(found).requires_grad_()
    state = found.schedule(b=0.6)(torch.full((4,), 0.5, dtype=torch.float64))
    wanted = torch.tensor([2, 0, 1, 1])
    chosen = found.of_classes(wanted)(z, state)
    each = found.log_probabilities(z, state)
    assert torch.equal(chosen, each[torch.arange(4), wanted])
    (gradient,) = torch.autograd.grad(chosen.sum(), z)
    assert gradient.shape == z.shape and (gradient.abs().amax((0, 2, 3)) > 0).all()


def test_a_file_gives_the_classifier_back_and_is_no_model(tmp_path):
    found = classifier()
    found.save(tmp_path / "c.safetensors")
    again = load_classifier(tmp_path / "c.safetensors")
    z, state = states(found), found.schedule(b=0.6)(torch.full((4,), 0.5, dtype=torch.float64))
    assert again.classes == CLASSES
    assert torch.equal(again.log_probabilities(z, state), found.log_probabilities(z, state))
    with pytest.raises(InputError, match="do not belong to the network"):
        load(tmp_path / "c.safetensors")


@pytest.mark.parametrize("named", [None, "three", [1, 2], ["one"]])
def test_a_file_that_names_no_classes_is_refused(tmp_path, named):
    found = classifier()
    found.metadata = {} if named is None else {"classes": json.dumps(named)}
    found.save(tmp_path / "c.safetensors")
    with pytest.raises(InputError, match="classes"):
        load_classifier(tmp_path / "c.safetensors")


def test_a_network_without_a_steering_vector_is_refused():
    crossed = RUN["model"]["network"] | {"name": "cross_attention", "gamma_attention": [8]}
    crossed |= {"tokens_width": 4, "mixer_layers": 1, "heads": 1}
    crossed = {key: crossed[key] for key in crossed if key not in ("gamma_width", "gamma_blocks")}
    statistics = untrained().representation.statistics
    with pytest.raises(InputError, match="cross_attention; expected ncsnpp"):
        StateClassifier(model_settings(untrained().settings, network=crossed), statistics, CLASSES)
