import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from columns import SIZE, untrained
from every_process import PSLD_SECTION
from presets import made_by

from gud.config.jobs import Evaluation
from gud.config.sections.evaluation import Likelihood
from gud.config.sections.points import parameters_of_point
from gud.errors import InputError
from gud.evaluate.join import join
from gud.evaluate.points import paired_difference, read_likelihood, read_likelihoods
from gud.evaluate.requests.allocation import Contrast, allocate, variances
from gud.evaluate.requests.pilot import plan_request
from gud.evaluate.requests.run import compute_request, run_request
from gud.evaluate.shards import Shards, compute_shards
from gud.evaluate.uncertainty import estimates

SETTINGS = {
    "images": 4096,
    "batch_size": 32,
    "probes": 4,
    "method": "adams",
    "rtol": 1e-3,
    "atol": 1e-3,
    "steps": 8,
    "coordinates": "standardised",
    "start": "data",
    "precision": "float32",
}
IMAGES, START, PROBES, SLOPE, BIAS = 0.09, 0.01, 0.04, 0.05, 2.0
"""Variances of the level, standard deviation of the difference for a unit of a, and the mean bias
of one step, of which 0.3 is an image's own."""


def evaluation(seed=0, **changes):
    points = {name: parameters_of_point(name) for name in ("a=0.5_r=0", "a=1_r=0", "a=1.5_r=0")}
    settings = Likelihood(**SETTINGS | changes)
    return Evaluation("scan", "scan", made_by(), seed, "nll", points, settings, 1)


def estimate(evaluation, draw):
    """Gaussian bits/dim of known variances; their mean is 4 but for the bias of the steps."""
    settings = evaluation.settings

    def evaluate(parameters, numbers):
        rows = []
        for number in numbers.tolist():
            image = np.random.default_rng((evaluation.seed, number)).standard_normal(2)
            random = np.random.default_rng((evaluation.seed, number, draw + 1))
            start, *probes = random.standard_normal(1 + settings.probes)
            level = math.sqrt(IMAGES) * image[0] + math.sqrt(START) * start
            level += SLOPE * (parameters["a"] - 1) * image[1]
            rows.append(4 + level + math.sqrt(PROBES) * np.array(probes))
        own = [[1 + 0.3 * np.random.default_rng((n, 5)).standard_normal()] for n in numbers]
        bias, bits = BIAS * np.array(own), np.stack(rows)
        arrays = {"bits_per_dim": bits + bias / settings.steps**3}
        if settings.finer and numbers[0] < settings.finer.images:
            arrays["finer_bits_per_dim"] = bits + bias / settings.finer.steps**3
        arrays |= {"index": numbers, "region": numbers}
        return arrays | {"evaluations": np.array([settings.steps + 1])}

    return evaluate


def reach(folder, asked, image_cost=1.0, probe_cost=2.0):
    plan = plan_request(asked, estimate, image_cost, probe_cost)
    points = asked.points
    shards = {p: Shards.of(asked, p, folder / f"{p}.npz", ()) for p in points}
    done = compute_request(plan, shards, estimate(plan.evaluation, 0), label="", device="cpu")
    return plan, shards, *done


@pytest.mark.parametrize("ratio", [0.1, 1.0, 40.0])
@pytest.mark.parametrize("spread", [0.01, 1.0, 50.0])
def test_the_cheapest_number_of_probes_is_the_closed_form(spread, ratio):
    contrast = Contrast(stderr=0.1, images=1.0, probes=spread)
    best = math.sqrt(spread * ratio)
    images, probes = allocate([contrast], ratio, 1.0, 100)
    assert max(1, math.floor(best)) <= probes <= max(1, math.ceil(best))
    assert images == pytest.approx((1 + spread / probes) / 0.01)


def test_variances_of_images_and_probes_are_told_apart():
    random = np.random.default_rng(0)
    values = 0.5 * random.standard_normal((20_000, 1)) + 2 * random.standard_normal((20_000, 3))
    assert variances(values) == pytest.approx((0.25, 4.0), abs=0.06)


@pytest.mark.slow
def test_the_error_reached_is_the_one_requested_and_the_one_reported(tmp_path):
    requested, means, reported, images = 0.03, [], [], []
    for seed in range(30):
        asked = evaluation(seed, stderr=requested)
        _, shards, _, errors = reach(tmp_path / str(seed), asked)
        bits = shards["a=1_r=0"].merge()[0]["bits_per_dim"]
        means.append(bits.mean() - 4)
        reported.append(errors["a=1_r=0", "level"].total)
        images.append(len(bits))
        assert max(error.total for error in errors.values()) <= requested
    found = math.sqrt(np.mean(np.square(means)))
    assert 0.65 * requested < found < 1.3 * requested
    assert np.mean(np.abs(means) < 1.96 * np.array(reported)) > 0.85
    needed = (IMAGES + START + PROBES) / requested**2
    assert 0.8 * needed < np.mean(images) < 1.7 * needed, "whole batches, at every point"


def test_the_parts_of_the_error_are_those_of_the_known_variances(tmp_path):
    _, shards, _, errors = reach(tmp_path, evaluation(stderr=0.02, steps=16))
    n, probes = shards["a=1_r=0"].merge()[0]["bits_per_dim"].shape
    found = errors["a=1_r=0", "level"]
    assert found.probes == pytest.approx(math.sqrt(PROBES / probes / n), rel=0.3)
    assert found.images**2 + found.start**2 == pytest.approx((IMAGES + START) / n, rel=0.3)
    assert found.start < found.images
    assert found.integration == pytest.approx(BIAS / 16**3, rel=0.2)


def test_steps_are_doubled_until_they_leave_room_for_the_rest_but_for_few_images(tmp_path):
    plan, shards, _, errors = reach(tmp_path, evaluation(stderr=0.02, steps=2))
    settings = plan.evaluation.settings
    assert (settings.steps, settings.finer.steps) == (2, 8)
    arrays = shards["a=1_r=0"].merge()[0]
    assert len(arrays["finer_bits_per_dim"]) == settings.finer.images < len(arrays["index"]) / 2
    found = estimates(arrays, "bits_per_dim").mean()
    assert abs(found - 4) < 3 * errors["a=1_r=0", "level"].total <= 0.06
    assert arrays["bits_per_dim"].mean() - 4 > 0.2
    with pytest.raises(InputError, match="leave .* bits/dim where an error of 1e-06 is requested"):
        plan_request(evaluation(stderr=1e-6, steps=2), estimate, 1.0, 2.0)


def test_a_difference_takes_few_images_where_its_level_would_take_many(tmp_path):
    plan, shards, work, errors = reach(tmp_path, evaluation(stderr_of_difference=0.005))
    n = len(work) / len(shards) * SETTINGS["batch_size"]
    assert plan.reference == "a=1_r=0"
    assert set(errors) == {("a=0.5_r=0", "difference"), ("a=1.5_r=0", "difference")}
    needed = (SLOPE / 2 / 0.005) ** 2
    assert 0.6 * needed < n < 2.5 * needed < IMAGES / 0.005**2


SCALES = {"a=0.5_r=0": 1.0, "a=1.5_r=0": 0.2}
"""Of the spread of the differences to a = 1."""


def unequal(evaluation, draw):
    """`estimate` with unequal spreads of the two differences, and a bias of the steps in them."""
    settings, plain = evaluation.settings, estimate(evaluation, draw)

    def evaluate(parameters, numbers):
        away = parameters["a"] - 1
        scale = SCALES.get(f"a={parameters['a']:g}_r=0", 1.0)
        arrays = plain(parameters | {"a": 1 + scale * away}, numbers)
        own = [[1 + 0.05 * np.random.default_rng((n, 6)).standard_normal()] for n in numbers]
        arrays["bits_per_dim"] += away * np.array(own) / settings.steps**3
        if "finer_bits_per_dim" in arrays:
            arrays["finer_bits_per_dim"] += away * np.array(own) / settings.finer.steps**3
        return arrays

    return evaluate


def reach_unequal(folder, seed, stderr, steps):
    asked = evaluation(seed, stderr_of_difference=stderr, steps=steps, batch_size=16)
    plan = plan_request(asked, unequal, 1.0, 2.0)
    shards = {p: Shards.of(asked, p, folder / f"{p}.npz", ()) for p in asked.points}
    evaluate = unequal(plan.evaluation, 0)
    _, errors = compute_request(plan, shards, evaluate, label="", device="cpu")
    for one in shards.values():
        join(one)
    return plan, errors, {p: path.out for p, path in shards.items()}


def test_a_point_takes_the_images_of_its_own_difference_and_the_reference_those_of_any(tmp_path):
    _, errors, files = reach_unequal(tmp_path, 0, 0.003, 32)
    many, reference, few = (read_likelihood(file).images for file in files.values())
    assert few <= many / 3 and reference == many
    assert max(error.total for error in errors.values()) <= 0.003


@pytest.mark.slow
@pytest.mark.parametrize("steps", [32, 2], ids=["one level", "two levels"])
def test_differences_of_unequal_images_have_the_errors_that_tables_state(tmp_path, steps):
    """Every pair of points, on tables of 30 requests whose truth is known."""
    errors = []
    for seed in range(30):
        plan, _, files = reach_unequal(tmp_path / str(seed), seed, 0.002, steps)
        assert (plan.evaluation.settings.finer is None) == (steps == 32)
        points = {point.path.stem: point for point in read_likelihoods(files.values())}
        assert len({len(point.per_image) for point in points.values()}) == 1
        for one, other in itertools.combinations(points.values(), 2):
            mean, error = paired_difference(one, other)
            settings = plan.evaluation.settings
            finest = settings.finer.steps if settings.finer else settings.steps
            apart = [p.record["settings"]["parameters"]["a"] for p in (one, other)]
            errors.append((mean - (apart[0] - apart[1]) / finest**3) / error)
    found = np.reshape(errors, (30, -1))
    assert np.all(np.abs(found.mean(0)) < 0.6)
    assert np.all((found.std(0) > 0.7) & (found.std(0) < 1.4))


def test_work_goes_on_where_it_stopped_and_its_points_are_of_what_it_took(tmp_path):
    asked = evaluation(stderr=0.05)
    _, shards, work, _ = reach(tmp_path, asked)
    times = {start: one.path(start).stat().st_mtime_ns for one, start in work[:1]}
    _, _, again, _ = reach(tmp_path, asked)
    assert [start for _, start in again] == [start for _, start in work]
    one, start = work[0]
    assert one.path(start).stat().st_mtime_ns == times[start]
    join(one)
    with np.load(one.out) as arrays:
        assert len(arrays["bits_per_dim"]) == len(work) / 3 * 32


def test_too_few_images_are_all_taken_and_a_warning_says_so(tmp_path, caplog):
    _, _, work, errors = reach(tmp_path, evaluation(stderr=0.001, images=64))
    assert len(work) == 3 * 2
    assert min(error.total for error in errors.values()) > 0.001
    assert "the 64 images of nll.settings.images leave a larger error" in caplog.text


def test_a_request_is_one_job_and_settings_without_one_are_as_they_were():
    asked = evaluation(stderr=0.1)
    assert list(asked.jobs().values()) == [{point: (0, 4096) for point in asked.points}]
    plain = evaluation()
    assert len(replace(plain, batches=64).jobs()) == 6
    assert set(plain.settings.model_dump()) == {*SETTINGS, "also", "bound_times"}
    assert replace(plain, settings=asked.settings).record("a=1_r=0") == asked.record("a=1_r=0")


def test_what_an_earlier_choice_of_the_pilot_left_is_computed_again_and_never_joined(tmp_path):
    asked = evaluation(stderr=0.05)
    chosen = {"steps": 8}

    def compute(steps, images):
        shards = replace(
            Shards.of(asked, "a=1_r=0", tmp_path / "a=1_r=0.npz", ()), chosen={"steps": steps}
        )
        changed = replace(asked, settings=asked.settings.model_copy(update={"steps": steps}))
        work = [(shards, start) for start in range(0, images, 32)]
        return compute_shards(work, estimate(changed, 0), label="", device="cpu")

    assert compute(4, 96) == 3
    assert compute(8, 64) == 2
    assert compute(8, 64) == 0
    joined = Shards.of(asked, "a=1_r=0", tmp_path / "a=1_r=0.npz", ())
    arrays, made = joined.merge()
    assert len(arrays["index"]) == 64 and all(one["chosen"] == chosen for one in made)


@pytest.mark.slow
@pytest.mark.parametrize("process", ["ou", PSLD_SECTION], ids=["ou", "psld"])
def test_a_request_counts_what_the_network_sees_of_any_process(tmp_path, process):
    model, data = tmp_path / "model.safetensors", tmp_path / "data.npz"
    model.write_bytes(b"weights")
    images = np.random.default_rng(0).integers(0, 256, (16, 3, SIZE, SIZE)).astype(np.uint8)
    np.savez(data, train=images, test=images)
    network = untrained(process=process, preconditioning="none")
    changes = {"method": "rk4", "coordinates": "components", "steps": 1, "probes": 1}
    asked = evaluation(images=16, batch_size=16, stderr=10.0, **changes)
    asked = replace(asked, points={"b=0.5": parameters_of_point("b=0.5")})
    plan, _ = run_request(asked, network, model, data, tmp_path / "made/jobs/requested.json")
    assert plan.reference == "b=0.5"
