"""The library's own calls: the names, their defaults, and a training without files."""

import ast
import copy
import inspect
from pathlib import Path

import pytest
import torch
import yaml
from presets import ROOT
from training_runs import RUN

import gud
from gud.config.jobs import TrainingJob
from gud.config.sections.validation import validate
from gud.data.statistics import fit
from gud.training.step import Training

TINY = {"width": 8, "multipliers": (1,), "blocks": 1, "attention": (), "gamma_width": 8}


def defaults(function) -> dict:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def plain(value):
    """Tuples as the lists that YAML has."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, tuple | list) else value


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randint(0, 256, (64, 3, 2, 2), generator=generator, dtype=torch.uint8)
    return coarse.repeat_interleave(4, 2).repeat_interleave(4, 3)


@pytest.fixture(scope="module")
def model(images):
    network = gud.ncsnpp(**TINY, gamma_blocks=1)
    return gud.build_model(images, basis="fourier", network=network)


def test_every_name_of_the_package_is_found_and_known_to_type_checkers():
    tree = ast.parse((ROOT / "gud/__init__.py").read_text())
    (branch,) = (node for node in tree.body if isinstance(node, ast.If))
    told = {alias.asname or alias.name for line in branch.body for alias in line.names}
    assert told == set(gud.__all__) == {name for names in gud._HOMES.values() for name in names}
    for name in gud.__all__:
        assert getattr(gud, name) is not None
        assert name in dir(gud)
    modules = {path.stem for path in Path(gud.__file__).parent.glob("*")}
    assert not modules & set(gud.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = gud.nothing


def test_the_defaults_are_those_of_the_papers_preset():
    preset = yaml.safe_load((ROOT / "config/paper.yaml").read_text())
    paper = preset["defaults"]
    built = defaults(gud.build_model)
    schedule = paper["schedule"]
    assert plain(dict(built["ranges"])) == schedule["ranges"]
    assert built["schedule"] == schedule["name"]
    assert built["basis"] == paper["basis"]["name"]
    for key in ("gamma_denoise", "gamma_noise", "time_power"):
        assert built[key] == schedule[key]
    for key in ("prior", "process", "network_space", "preconditioning"):
        assert built[key] == paper[key]
    assert built["flip"] == paper["training"]["flip"]
    network = gud.ncsnpp().model_dump(mode="json")
    assert network == paper["network"]
    network = gud.cross_attention().model_dump(mode="json")
    assert network == preset["experiments"]["ordering_scan"]["network"]
    own = {"seed", "label"}
    files = {"checkpoint_every", "log_every"}
    trained = {key: value for key, value in defaults(gud.train).items() if key not in own}
    assert trained == {key: paper["training"][key] for key in paper["training"].keys() - files}
    for function, section, name in (
        (gud.image_bits, paper["nll"]["settings"], "nll"),
        (gud.draw_images, paper["quality"]["sampling"], "sampling"),
    ):
        given = defaults(function)
        for key in given.keys() & section.keys():
            assert given[key] == section[key], f"{name}: {key}"
        assert len(given.keys() & section.keys()) >= 5


def test_a_training_by_the_library_is_that_of_the_workflow(images):
    """The same steps, to the same bits, as the job of a preset."""
    settings = RUN["training"] | {"steps": 4, "precision": "float32"}
    job = validate(TrainingJob, RUN | {"training": settings}, "job")
    statistics = fit(images, "fourier", mirrored=True)
    there = Training(job, images, statistics, torch.device("cpu"))
    for step in range(4):
        there.update(step)
    schedule = dict(RUN["model"]["schedule"])
    family = {"schedule": schedule.pop("name"), **schedule}
    network = {key: value for key, value in RUN["model"]["network"].items() if key != "name"}
    model = gud.build_model(
        images, basis="fourier", network=gud.ncsnpp(**network), seed=RUN["seed"], **family
    )
    own = {key: value for key, value in settings.items() if not key.endswith("_every")}
    trained, losses = gud.train(model, images, seed=RUN["seed"], **own)
    assert losses.tolist() == [loss.item() for loss in there.history.losses]
    for one, other in zip(
        trained.network.parameters(), there.averaged_model().network.parameters(), strict=True
    ):
        assert torch.equal(one, other)


def test_training_goes_on_from_the_models_weights_and_leaves_them_alone(images, model):
    def weights(of):
        return torch.cat([weight.flatten() for weight in of.network.parameters()])

    before = weights(model).clone()
    options = {"steps": 2, "batch_size": 8, "warmup_steps": 0, "ema": 0.0}
    once, _ = gud.train(model, images, **options)
    still, _ = gud.train(once, images, learning_rate=1e-12, **options)
    assert torch.equal(weights(model), before)
    assert (weights(once) - before).abs().max() > 1e-4
    torch.testing.assert_close(weights(still), weights(once), rtol=0, atol=1e-8)
    assert not weights(once).requires_grad


def test_samples_start_from_the_prior_or_from_gaussian_data_and_from_nothing_else(images):
    network = gud.ncsnpp(**TINY, gamma_blocks=1)
    model = gud.build_model(images, basis="fourier", network=network, gamma_noise=0.5)
    schedule = model.schedule(a=1.0, r=0.0)
    options = {"method": "exponential_ode1", "grid": "active", "steps": 8, "denoise": True}
    plain, prior, gaussian = (
        gud.draw_images(model, schedule, range(8), **options, **start)[0]
        for start in ({}, {"start": "prior"}, {"start": "gaussian"})
    )
    assert torch.equal(prior, plain)
    assert not torch.equal(prior, gaussian)
    with pytest.raises(gud.InputError, match="start = 'data' must be prior or gaussian"):
        gud.draw_images(model, schedule, [0], steps=2, start="data")


def test_a_diverged_training_and_images_of_another_kind_are_refused(images, model):
    with pytest.raises(gud.InputError, match="loss is not finite"):
        gud.train(model, images, steps=60, batch_size=4, learning_rate=1e30, gradient_clip=None)
    with pytest.raises(gud.InputError, match="shape"):
        gud.train(model, images[..., :4], steps=1)
    with pytest.raises(gud.InputError, match="train: steps = 0"):
        gud.train(model, images, steps=0)
    with pytest.raises(gud.InputError, match="flip = False, but the model was built with flip"):
        gud.train(model, images, steps=1, flip=False)
    with pytest.raises(gud.InputError, match="columns takes b"):
        gud.build_model(images, basis="pixel", schedule="columns")


def test_the_forward_process_begins_with_the_image_and_ends_with_the_prior(images, model):
    frames = gud.noised(model, model.schedule(a=1.0, r=0.0), images[:8], (0.0, 0.5, 1.0), seed=1)
    assert frames.shape == (3, 8, *images.shape[1:])
    shown, middle, end = frames.double()
    difference = [(frame - images[:8]).square().mean() for frame in (shown, middle, end)]
    assert difference[0] < difference[1] < difference[2]
    again = gud.noised(model, model.schedule(a=1.0, r=0.0), images[:8], (0.5,), seed=1)
    assert torch.equal(again[0], frames[1])
    other = gud.noised(model, model.schedule(a=0.5, r=0.0), images[:8], (1.0,), seed=1)
    # sigma(1) is 0.99 or more in every component, whatever the schedule.
    assert (other[0].double() - end).abs().mean() < 8


@pytest.mark.parametrize(("preconditioning", "nodes"), [("none", 2), ("gaussian", 4)])
def test_a_likelihood_is_predicted_through_as_many_rates_as_the_network_bears(
    images, preconditioning, nodes
):
    network = gud.ncsnpp(**TINY, gamma_blocks=1)
    choices = {"basis": "fourier", "network": network, "preconditioning": preconditioning}
    model = gud.build_model(images, **choices).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for weight in model.network.parameters():
        weight += 0.1 * torch.randn(weight.shape, generator=generator)
    how = {"method": "adams", "steps": 8, "coordinates": "standardised", "probes": 1}
    found, _ = gud.image_bits(model, model.schedule(a=1.0, r=0.0), images[:2], **how)
    for number in (2, 4):
        model.preconditioning.nodes = number
        again, _ = gud.image_bits(model, model.schedule(a=1.0, r=0.0), images[:2], **how)
        assert torch.equal(again, found) == (number == nodes)


def test_photographs_are_the_patches_of_the_demo():
    train, test = gud.photographs(size=16, stride=24)
    assert train.dtype == test.dtype == torch.uint8
    assert train.shape[1:] == test.shape[1:] == (3, 16, 16)
    assert len(train) > len(test) > 20


@pytest.mark.parametrize("basis", ["pca", "fourier", "haar2", "pixel"])
def test_decoded_components_are_the_image_but_for_the_rounding_of_few_pixels(images, basis):
    model = gud.build_model(images, basis=basis, network=gud.ncsnpp(**TINY, gamma_blocks=1))
    generator = torch.Generator().manual_seed(0)
    other = torch.randint(0, 256, (300, *images.shape[1:]), generator=generator, dtype=torch.uint8)
    difference = (model.decode(model.encode(other)).int() - other).abs()
    assert difference.max() <= 1
    assert (difference > 0).double().mean() < 1e-4


def test_a_model_trained_in_bfloat16_computes_in_float32_and_as_its_file_does(
    images, model, tmp_path
):
    before = torch.random.get_rng_state()
    trained, _ = gud.train(model, images, steps=1, batch_size=8, precision="bfloat16")
    assert torch.equal(torch.random.get_rng_state(), before), "the caller's generator is his own"
    trained.save(tmp_path / "model.safetensors")
    z = torch.randn(2, *trained.state_shape)
    state = trained.schedule(a=1.0, r=0.0)(torch.tensor([0.2, 0.7]))
    alike = gud.load(tmp_path / "model.safetensors").eps(z, state)
    assert torch.equal(trained.eps(z, state), alike)
    assert torch.equal(copy.deepcopy(trained).eps(z, state), alike)
