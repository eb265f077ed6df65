"""The search for a path finds the best one where it is known, and its result is like any model."""

import json

import numpy as np
import pytest
import torch
from commands import gud, write_preset
from exact_noise import SIZE, statistics
from presets import ROOT, tiny_preset

from gud.audit.verify import judge, running
from gud.cli import NamedPreset
from gud.config.preset import load_preset
from gud.config.sections.model import ModelSettings
from gud.config.sections.schedules import PathSearch
from gud.config.sections.validation import validate
from gud.evaluate.search import find_levels, region_of
from gud.model import Model, load
from gud.provenance import read_record

BEST = 1.4
FREE = {"name": "free", "gamma_denoise": -7.0, "gamma_noise": "auto", "time_power": 1.0}
FREE |= {"ranges": {"s": [0, 1]}, "groups": 1, "knots": 4, "a": [0.4, 1.6], "levels": None}
SEARCH = {"steps": 2, "batch_size": 4, "learning_rate": 0.05, "images": 4, "times": 2}


class BestAt(torch.nn.Module):
    """Errs by how far the inverse softness is from `BEST`, at a state of uniform slope."""

    def __init__(self, model):
        super().__init__()
        ordering = -model.representation.log_data_variance
        centred = ordering - ordering.mean()
        self.weights = centred / centred.square().sum()
        signs = torch.arange(3 * SIZE**2).view(3, SIZE, SIZE) % 2
        self.pattern = torch.nn.Parameter(2.0 * signs - 1, requires_grad=False)

    def forward(self, images, gamma):
        # gamma_i = log V_i + a l_i + c, and l_i = -log V_i.
        error = gamma.double() @ self.weights + 1 - BEST
        return (3 * error)[:, None, None, None].to(images) * self.pattern


def preset_with(path=None, **search):
    """The test-sized preset with a free path of its Fourier network."""
    preset = tiny_preset()
    ordering = preset["experiments"]["ordering_scan"]
    preset["experiments"]["free_path"] = {
        **{key: ordering[key] for key in ("basis", "network", "quality")},
        "title": "free",
        "weights_of": "ordering_scan",
        "schedule": FREE | (path or {}),
        "search": SEARCH | search,
        "nll": {"grids": [{"s": [0, 1]}], "settings": ordering["nll"]["settings"]},
    }
    return preset


@pytest.fixture(scope="module")
def demo():
    return load_preset(ROOT / "config/demo.yaml").experiments


@pytest.fixture
def flawed(demo):
    raw = demo["ordering_scan"].model().model_dump(mode="json")
    raw["network"] |= {"width": 8, "multipliers": [1], "gamma_attention": [8]}
    model = Model(validate(ModelSettings, raw, "settings"), statistics())
    model.network = BestAt(model)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("groups", [1, 2])
def test_the_softness_at_which_a_network_is_right_is_found(demo, flawed, groups):
    path = demo["free_path"].schedule.model_copy(update={"groups": groups})
    within = region_of(flawed, path)
    images = torch.randint(256, (40, 3, SIZE, SIZE), dtype=torch.uint8)
    settings = SEARCH | {"steps": 80, "batch_size": 16}
    search = validate(PathSearch, settings, "settings")
    levels = find_levels(flawed, images, within, 5, search, seed=0)
    assert within.outside(levels) is None
    slopes = (levels[:, -1] - levels[:, 0]) / (within.limits[-1] - within.limits[0])
    assert slopes[1:-1].tolist() == pytest.approx([BEST] * 3, abs=0.12)


def test_the_same_seed_finds_the_same_path_and_another_one_another(demo, flawed):
    within = region_of(flawed, demo["free_path"].schedule)
    images = torch.randint(256, (12, 3, SIZE, SIZE), dtype=torch.uint8)
    search = validate(PathSearch, SEARCH, "settings")
    one, again, other = (find_levels(flawed, images, within, 4, search, seed) for seed in (0, 0, 1))
    assert torch.equal(one, again) and not torch.equal(one, other)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Results with a trained network, and the preset's name."""
    root = tmp_path_factory.mktemp("search")
    file, results = write_preset(root / "tiny.yaml", preset_with()), root / "results"
    data, fitted = results / "data/natural16.npz", results / "data/natural16.fourier-mirrored"
    words = ("--preset", file)
    assert gud("dataset", *words, "--name", "natural16", "--out", data) == 0
    fitted = fitted.with_name(f"{fitted.name}.safetensors")
    assert (
        gud("statistics", "--basis", "fourier", "--mirrored", "--data", data, "--out", fitted) == 0
    )
    model = results / "ordering_scan/model.safetensors"
    train = ("--data", data, "--statistics", fitted, "--device", "cpu", "--out", model)
    assert gud("train", *words, "--experiment", "ordering_scan", *train) == 0
    return root


def search(root, out="free_path/path.safetensors", preset=None, model="ordering_scan/model"):
    file = write_preset(root / "mine.yaml", preset or preset_with())
    results = root / "results"
    inputs = ("--model", results / f"{model}.safetensors", "--data", results / "data/natural16.npz")
    words = ("--preset", file, "--experiment", "free_path", *inputs, "--device", "cpu")
    return gud("search", *words, "--out", results / out)


def verdict_of(root, file="free_path/path.safetensors"):
    preset = root / "mine.yaml"
    with running(NamedPreset(preset, load_preset(preset)), root / "results") as run:
        return judge(root / "results" / file, run)


def test_what_is_found_is_the_network_with_a_path_and_its_record_says_what_it_is_worth(made):
    assert search(made) == 0
    found = load(made / "results/free_path/path.safetensors")
    network = load(made / "results/ordering_scan/model.safetensors")
    t = torch.linspace(0, 1, 5, dtype=torch.float64)
    standard = network.schedule(a=1.0, r=0.0).gamma(t)
    torch.testing.assert_close(found.schedule(s=0.0).gamma(t), standard, rtol=0, atol=1e-11)
    assert not torch.equal(found.schedule(s=1.0).gamma(t), standard)
    record = read_record(made / "results/free_path/path.safetensors")
    bounds = record["bound_bits_per_dim"]
    assert bounds["difference"] == pytest.approx(bounds["found"] - bounds["standard"])
    assert bounds["images"] == 4 and record["settings"]["search"] == SEARCH
    assert verdict_of(made).status == "pass"


def test_it_is_evaluated_like_any_other(made):
    assert search(made) == 0
    results, name = made / "results", "free_path/path.safetensors"
    words = ("--preset", made / "mine.yaml", "--experiment", "free_path", "--quantity", "nll")
    files = (results / name, results / "data/natural16.npz")
    evaluate = ("--model", files[0], "--data", files[1], "--device", "cpu")
    receipt = results / "free_path/nll/jobs/all.json"
    assert gud("evaluate", *words, "--job", "all", *evaluate, "--out", receipt) == 0
    point = results / "free_path/nll/s=1.npz"
    assert gud("join", *words, "--point", "s=1", "--out", point, *files) == 0
    assert verdict_of(made, "free_path/nll/s=1.npz").status == "pass"


def test_it_reads_no_test_image(made):
    data = made / "results/data/natural16.npz"
    kept = data.read_bytes()
    with np.load(data) as arrays:
        others = {name: array for name, array in arrays.items() if not name.startswith("test")}
    assert search(made, "there/path.safetensors") == 0
    try:
        np.savez(data, **others)
        assert search(made, "without/path.safetensors") == 0
    finally:
        data.write_bytes(kept)
    one, other = (made / f"results/{name}/path.safetensors" for name in ("there", "without"))
    assert one.read_bytes() == other.read_bytes()


def test_levels_that_a_preset_gives_are_taken(made):
    assert search(made) == 0
    levels = load(made / "results/free_path/path.safetensors").settings.schedule.levels
    assert search(made, "given/path.safetensors", preset_with({"levels": levels}, steps=7)) == 0
    given = load(made / "results/given/path.safetensors").settings.schedule
    assert given.levels == levels
    # It is what a preset holds, and is read as one.
    json.dumps(given.model_dump(mode="json"))


def test_a_path_of_other_weights_is_found_by_verification(made):
    from forgeries import rewrite, scaled, seal
    from safetensors import safe_open

    assert search(made) == 0
    path = made / "results/free_path/path.safetensors"
    with safe_open(path, "pt") as file:
        name = next(key for key in file.keys() if key.startswith("network."))  # noqa: SIM118
    rewrite(path, **{name: scaled(1.5)})
    seal(path)
    verdict = verdict_of(made)
    assert verdict.status == "fail" and "weights are those of the network" in str(verdict)


@pytest.mark.parametrize("key", ["images", "batch_size"])
def test_more_images_than_there_are_are_refused(made, capsys, key):
    assert search(made, "new/path.safetensors", preset_with(**{key: 10**6})) == 2
    assert "are more than the" in capsys.readouterr().err
    assert not (made / "results/new").exists()


def test_a_path_is_not_searched_for_what_is_no_network_of_soft_conditioning(made, capsys):
    assert search(made) == 0
    assert search(made, "new/path.safetensors", model="free_path/path") == 2
    assert "has schedule free and k = 1: a path is searched for" in capsys.readouterr().err


def test_an_experiment_of_another_schedule_has_no_search(made, capsys):
    write_preset(made / "mine.yaml", preset_with())
    words = ("--preset", made / "mine.yaml", "--experiment", "ordering_scan")
    files = ("--model", "m.safetensors", "--data", "d.npz", "--out", made / "new.safetensors")
    assert gud("search", *words, *files) == 2
    assert "ordering_scan has schedule soft_conditioning" in capsys.readouterr().err
