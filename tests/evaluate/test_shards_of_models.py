import hashlib

import numpy as np
import pytest
import torch
from columns import SIZE, untrained
from every_process import PSLD_SECTION
from presets import made_by

from gud.config.jobs import Evaluation
from gud.config.sections.evaluation import Likelihood, Sampling
from gud.config.sections.points import parameters_of_point
from gud.evaluate.join import join
from gud.evaluate.likelihood import image_bits
from gud.evaluate.points import read_likelihood
from gud.evaluate.run import evaluator, run_job
from gud.evaluate.shards import Shards

PROCESSES = {
    "ou": "ou",
    "psld": PSLD_SECTION,
}
SHARED = {"images": 10, "batch_size": 4, "rtol": 0.1, "atol": 0.1, "precision": "float32"}
SAMPLES = Sampling(
    **SHARED,
    method="euler_maruyama",
    grid="uniform",
    steps=2,
    noise_free_last_step=True,
    denoise=False,
)
BITS = Likelihood(
    **SHARED, probes=2, method="tsit5", steps=None, coordinates="components", start="data"
)
TWO_LEVELS = Likelihood(
    **SHARED,
    probes=2,
    method="adams",
    steps=2,
    finer={"steps": 4, "images": 8},
    coordinates="standardised",
    start="data",
    also=["noised"],
)
POINT = "b=0.5"
CUTS = {"one": [(0, 10)], "several": [(4, 8), (8, 10), (0, 4)]}


@pytest.fixture
def files(tmp_path):
    """What stands for a model file, and a data set."""
    model, data = tmp_path / "model.safetensors", tmp_path / "data.npz"
    model.write_bytes(b"weights")
    images = np.random.default_rng(0).integers(0, 256, (12, 3, SIZE, SIZE)).astype(np.uint8)
    np.savez(data, train=images, test=images)
    return [model, data]


def evaluated(folder, settings, process, files, cut):
    """The artefact of a point whose images were computed in jobs, each by a model of its own."""
    points = {POINT: parameters_of_point(POINT)}
    work = Evaluation("scan", "scan", made_by(), 3, "made", points, settings, 1)
    for number, images in enumerate(cut):
        evaluate = evaluator(work, untrained(process=process), files[1])
        out = folder / f"made/jobs/{number}.json"
        run_job(work, {POINT: images}, evaluate, inputs=files, out=out, device="cpu")
    out = folder / f"made/{POINT}.npz"
    join(Shards.of(work, POINT, out, files))
    return out


def test_samples_of_a_model_make_sound_shards(tmp_path, files):
    out = evaluated(tmp_path, SAMPLES, "ou", files, CUTS["one"])
    with np.load(out) as arrays:
        assert arrays["images"].shape == (10, 3, SIZE, SIZE)
        assert arrays["variance_bias"].shape == arrays["evaluations"].shape == (3,)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("process", "settings"),
    [
        *((process, settings) for process in PROCESSES for settings in (SAMPLES, BITS)),
        ("ou", TWO_LEVELS),
    ],
    ids=["ou-samples", "ou-likelihoods", "psld-samples", "psld-likelihoods", "ou-two levels"],
)
def test_jobs_change_no_bit_of_what_a_model_gives(tmp_path, files, process, settings):
    digests = set()
    for name, cut in CUTS.items():
        out = evaluated(tmp_path / name, settings, PROCESSES[process], files, cut)
        digests.add(hashlib.sha256(out.read_bytes()).hexdigest())
    assert len(digests) == 1


@pytest.mark.slow
def test_the_first_images_have_finer_steps_too_which_correct_the_mean_of_all(tmp_path, files):
    def arrays(name, settings):
        return dict(np.load(evaluated(tmp_path / name, settings, "ou", files, CUTS["several"])))

    two = arrays("two", TWO_LEVELS)
    fine = arrays("fine", TWO_LEVELS.model_copy(update={"finer": None, "steps": 4}))
    coarse = arrays("coarse", TWO_LEVELS.model_copy(update={"finer": None}))
    assert not (np.diff(two["index"]) > 0).all(), "the first images must be any"
    place = np.searchsorted(fine["index"], two["index"])
    for name in ("bits_per_dim", "noised_bits_per_dim"):
        np.testing.assert_allclose(two[name], coarse[name][place], rtol=1e-5)
        np.testing.assert_allclose(two[f"finer_{name}"], fine[name][place[:8]], rtol=1e-5)
    point = read_likelihood(tmp_path / f"two/made/{POINT}.npz")
    moved = two["bits_per_dim"].mean(1) + point.bits_per_dim.mean() - two["bits_per_dim"].mean()
    np.testing.assert_allclose(point.one_by_one, moved)
    for found, name in (
        (point.bits_per_dim, "bits_per_dim"),
        (point.others["noised"], "noised_bits_per_dim"),
    ):
        shift = two[f"finer_{name}"] - two[name][:8]
        assert np.abs(shift).min() > 1e-4
        assert found.mean() == pytest.approx(two[name].mean() + shift.mean(), rel=1e-6)


@pytest.mark.slow
def test_renewals_that_a_preset_asks_for_reach_its_likelihoods(tmp_path, files):
    one_batch = {"renewals": 2, "also": [], "finer": None, "batch_size": 10}
    settings = TWO_LEVELS.model_copy(update=one_batch)
    found = dict(np.load(evaluated(tmp_path, settings, "ou", files, CUTS["one"])))
    model, images = untrained(process="ou"), torch.from_numpy(np.load(files[1])["test"])
    asked = settings.model_dump(include={"method", "coordinates", "probes", "steps"})
    asked |= {"rtol": 0.1, "atol": 0.1, "index": found["index"].tolist(), "seed": 3}

    def bits(renewals):
        chosen, schedule = images[found["index"]], model.schedule(b=0.5)
        return image_bits(model, schedule, chosen, renewals=renewals, **asked)[0].numpy()

    assert np.array_equal(found["bits_per_dim"], bits(2))
    assert not np.array_equal(bits(2), bits(0))
