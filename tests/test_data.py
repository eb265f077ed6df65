"""Data sets: patches from disjoint regions, the CIFAR-10 archive, dequantisation, batches."""

import gzip
import io
import json
import tarfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import kstest

from gud import data
from gud.errors import InputError
from gud.provenance import read_record, sha256

NAMES = [f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6)]
NAMES.append("cifar-10-batches-bin/test_batch.bin")


def numbered_photograph(path, height, width):
    """An image in which every pixel has its own colour, so that a colour says where it lies."""
    number = np.arange(height * width).reshape(height, width)
    pixels = np.stack([number // 256, number % 256, number % 7 * 30], axis=-1).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def positions(patches):
    """Numbers of the pixels of patches of a numbered photograph, shape (count, size, size)."""
    return patches[:, 0].astype(int) * 256 + patches[:, 1]


def cifar_records(count, seed=0, label=None):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 10, (count, 1)) if label is None else np.full((count, 1), label)
    pixels = random.integers(0, 256, (count, 3072))
    return np.concatenate([labels, pixels], axis=1).astype(np.uint8)


def add_file(tar, name, content):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def cifar_archive(path, contents, *extra):
    """A tar.gz laid out like the real one; `extra` members come first."""
    with tarfile.open(path, "w:gz") as tar:
        for member in extra:
            tar.addfile(member)
        folder = tarfile.TarInfo("cifar-10-batches-bin")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        add_file(tar, "cifar-10-batches-bin/readme.html", b"<html>")
        for name, content in contents.items():
            add_file(tar, name, content)
    return path


@pytest.fixture
def cifar_contents():
    return {name: cifar_records(2 + i, seed=i).tobytes() for i, name in enumerate(NAMES)}


@given(
    size=st.integers(4, 20),
    stride=st.integers(1, 9),
    height=st.integers(20, 40),
    width=st.integers(40, 90),
)
def test_no_pixel_lies_in_a_train_and_in_a_test_patch(
    tmp_path_factory, size, stride, height, width
):
    path = tmp_path_factory.mktemp("photograph") / "photograph.png"
    numbered_photograph(path, height, width)
    made = data.cut_patches([path], size, stride)
    assert len(made.train) and len(made.test)
    assert not np.intersect1d(positions(made.train), positions(made.test)).size


def test_patches_are_those_of_the_grid_with_colour_channels_first(tmp_path):
    pixels = numbered_photograph(tmp_path / "photograph.png", 40, 100)
    made = data.cut_patches([tmp_path / "photograph.png"], size=16, stride=6)
    corners = [divmod(int(patch[0, 0]), 100) for patch in positions(made.train)]
    grid = [(y, x) for y in range(0, 40 - 15, 6) for x in range(0, 80 - 15, 6)]
    assert sorted(corners) == grid
    for patch, (y, x) in zip(made.train, corners, strict=True):
        assert np.array_equal(patch, pixels[y : y + 16, x : x + 16].transpose(2, 0, 1))


def test_flat_patches_are_left_out(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 80, 3), dtype=np.uint8)
    pixels[:, :32] = 255
    Image.fromarray(pixels).save(tmp_path / "photograph.png")
    made = data.cut_patches([tmp_path / "photograph.png"], size=16, stride=16)
    assert len(made.train) == 2
    assert made.train.std(axis=(1, 2, 3)).min() > 10


def test_a_reduced_photograph_is_the_mean_over_squares(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photograph.png")
    made = data.cut_patches([tmp_path / "photograph.png"], size=16, stride=16, reduction=2)
    means = pixels.reshape(16, 2, 32, 2, 3).mean(axis=(1, 3)).transpose(2, 0, 1)
    assert np.abs(made.train[0] - means[:, :, :16]).max() <= 0.5
    assert np.abs(made.test[0] - means[:, :, 16:]).max() <= 0.5


def test_a_photograph_too_small_for_both_splits_is_refused(tmp_path):
    numbered_photograph(tmp_path / "small.png", 16, 31)
    with pytest.raises(InputError, match="small.png has 16 x 31 pixels"):
        data.cut_patches([tmp_path / "small.png"], size=16, stride=1)


@pytest.mark.parametrize("size", [16, 32, 64])
@pytest.mark.parametrize("source", ["natural_patches", "tissue_patches"])
def test_embedded_sources_give_patches_of_every_size(source, size):
    made = data.SOURCES[source]({"source": source, "size": size, "stride": 16}, None)
    assert made.train.shape[1:] == made.test.shape[1:] == (3, size, size)
    assert len(made.train) > len(made.test) > 0


def test_the_first_patches_of_a_split_come_from_several_photographs():
    whole = data.natural_patches({"source": "natural_patches", "size": 16, "stride": 16})
    single = data.cut_patches(whole.inputs[:1], 16, 16)
    of_first = {patch.tobytes() for patch in single.test}
    share = np.mean([patch.tobytes() in of_first for patch in whole.test[:60]])
    assert 0 < share < 0.5


def test_the_same_settings_give_the_same_file_and_a_record_of_its_photographs(tmp_path):
    settings = {"source": "natural_patches", "size": 16, "stride": 24}
    for name in "ab":
        out = tmp_path / f"{name}.npz"
        # As the workflow calls it: an option without a value where nothing is downloaded.
        argv = ["--settings", json.dumps(settings), "--archive", "--out", str(out)]
        assert data.main(argv) == 0
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    record = read_record(tmp_path / "a.npz")
    assert record["settings"] == settings
    assert len(record["inputs"]) == 6
    for name, digest in record["inputs"].items():
        assert sha256(tmp_path / name) == digest
    for split, count in record["images"].items():
        assert len(data.load(tmp_path / "a.npz", split)) == count


@pytest.mark.parametrize(
    "settings", [{"source": "imagenet"}, {}, [1], {"source": ["cifar10"]}, {"source": None}]
)
def test_an_unknown_source_is_refused_and_leaves_no_file(tmp_path, capsys, settings):
    out = tmp_path / "x.npz"
    assert data.main(["--settings", json.dumps(settings), "--out", str(out)]) == 2
    assert "must be one of ['cifar10', 'natural_patches', 'tissue_patches']" in (
        capsys.readouterr().err
    )
    assert list(tmp_path.iterdir()) == []


def test_cifar_records_become_images_in_the_order_of_the_files(tmp_path, cifar_contents):
    # The order inside the archive is not that of the batches.
    shuffled = dict(reversed(cifar_contents.items()))
    archive = cifar_archive(tmp_path / "cifar.tar.gz", shuffled)
    out = tmp_path / "cifar10.npz"
    settings = json.dumps({"source": "cifar10", "archive": "cifar10"})
    assert data.main(["--settings", settings, "--archive", str(archive), "--out", str(out)]) == 0
    train = data.load(out, "train")
    assert train.shape == (2 + 3 + 4 + 5 + 6, 3, 32, 32)
    assert data.load(out, "test").shape == (7, 3, 32, 32)
    third = cifar_contents[NAMES[1]]
    channel, row, column = 2, 5, 11
    assert train[2, channel, row, column] == third[1 + channel * 1024 + row * 32 + column]
    assert read_record(out)["inputs"] == {"cifar.tar.gz": sha256(archive)}


@pytest.mark.parametrize("name", ["/etc/cifar", "../cifar", "cifar-10-batches-bin/../../cifar"])
def test_a_member_outside_the_archive_is_refused(tmp_path, cifar_contents, name):
    archive = cifar_archive(tmp_path / "a.tar.gz", cifar_contents, tarfile.TarInfo(name))
    with pytest.raises(InputError, match="member outside its folder"):
        data.cifar10({}, archive)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_member_that_is_no_plain_file_is_refused(tmp_path, cifar_contents, kind):
    link = tarfile.TarInfo(NAMES[0])
    link.type, link.linkname = kind, "/etc/passwd"
    archive = cifar_archive(tmp_path / "a.tar.gz", cifar_contents, link)
    with pytest.raises(InputError, match="no plain file"):
        data.cifar10({}, archive)


@pytest.mark.parametrize("size", [0, 3072, 3074])
def test_a_member_of_broken_records_is_refused(tmp_path, cifar_contents, size):
    archive = cifar_archive(tmp_path / "a.tar.gz", cifar_contents | {NAMES[2]: bytes(size)})
    with pytest.raises(InputError, match=f"data_batch_3.bin has {size} bytes"):
        data.cifar10({}, archive)


def test_a_label_above_nine_is_refused(tmp_path, cifar_contents):
    contents = cifar_contents | {NAMES[0]: cifar_records(3, label=10).tobytes()}
    with pytest.raises(InputError, match="label 10"):
        data.cifar10({}, cifar_archive(tmp_path / "a.tar.gz", contents))


def test_a_missing_and_a_repeated_member_are_refused(tmp_path, cifar_contents):
    first = {NAMES[0]: cifar_contents.pop(NAMES[0])}
    with pytest.raises(InputError, match="no member .*data_batch_1.bin"):
        data.cifar10({}, cifar_archive(tmp_path / "a.tar.gz", cifar_contents))
    with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as tar:
        for _ in range(2):
            add_file(tar, NAMES[0], first[NAMES[0]])
    with pytest.raises(InputError, match="once"):
        data.cifar10({}, tmp_path / "b.tar.gz")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9])
def test_a_truncated_archive_is_refused(tmp_path, cifar_contents, share):
    whole = cifar_archive(tmp_path / "a.tar.gz", cifar_contents).read_bytes()
    (tmp_path / "b.tar.gz").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match="b.tar.gz"):
        data.cifar10({}, tmp_path / "b.tar.gz")


def test_damaged_foreign_and_absent_archives_are_refused(tmp_path, cifar_contents):
    damaged = bytearray(cifar_archive(tmp_path / "a.tar.gz", cifar_contents).read_bytes())
    damaged[len(damaged) // 2 : len(damaged) // 2 + 64] = bytes(64)
    (tmp_path / "damaged.tar.gz").write_bytes(damaged)
    (tmp_path / "page.tar.gz").write_bytes(b"<html>404 Not Found</html>")
    (tmp_path / "no.tar.gz").write_bytes(gzip.compress(b"no tar file" * 100))
    for name in ("damaged", "page", "no", "absent"):
        with pytest.raises(InputError, match=f"{name}.tar.gz"):
            data.cifar10({}, tmp_path / f"{name}.tar.gz")


def test_cifar_without_its_archive_names_the_option(capsys, tmp_path):
    argv = ["--settings", '{"source": "cifar10"}', "--out", str(tmp_path / "x.npz")]
    assert data.main(argv) == 2
    assert "--archive" in capsys.readouterr().err


def test_loading_refuses_what_is_no_data_set(tmp_path):
    good = np.zeros((2, 3, 4, 4), np.uint8)
    cases = {
        "float.npz": {"train": good.astype(np.float32)},
        "flat.npz": {"train": good.reshape(2, -1)},
        "grey.npz": {"train": good[:, :1]},
        "empty.npz": {"train": good[:0]},
        "test_only.npz": {"test": good},
        "pickle.npz": {"train": np.array([{}], dtype=object)},
    }
    for name, arrays in cases.items():
        np.savez(tmp_path / name, **arrays)
    np.save(tmp_path / "single.npy", good)
    (tmp_path / "text.npz").write_text("not an array")
    (tmp_path / "zero.npz").write_bytes(b"")
    np.savez(tmp_path / "whole.npz", train=good)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:-30])
    for name in [*cases, "single.npy", "text.npz", "zero.npz", "cut.npz", "absent.npz"]:
        with pytest.raises(InputError, match=name):
            data.load(tmp_path / name, "train")


def every_grey_level(height, width):
    return torch.arange(256, dtype=torch.uint8)[:, None, None, None].expand(256, 3, height, width)


@pytest.mark.parametrize("seed", range(3))
def test_quantise_inverts_dequantise_at_every_grey_level(seed):
    images = every_grey_level(96, 96)
    phi = data.dequantise(images, torch.Generator().manual_seed(seed))
    assert phi.dtype == torch.float32
    assert phi.min() >= -1 and phi.max() < 1
    assert torch.equal(data.quantise(phi), images)


def test_dequantisation_is_exact_in_single_precision():
    images = every_grey_level(64, 64)
    phi = data.dequantise(images, torch.Generator().manual_seed(0))
    u = (phi.double() + 1) * 128 - images
    assert u.min() > 0 and u.max() < 1
    assert torch.equal((u * 2**16) % 2, torch.ones_like(u))


def test_dequantisation_noise_is_uniform_with_the_stated_moments():
    images = every_grey_level(32, 32)
    phi = data.dequantise(images, torch.Generator().manual_seed(1)).double()
    noise = (phi - (images.double() / 128 - 1)).flatten()
    error = noise.std() / len(noise) ** 0.5
    assert abs(noise.mean() - data.DEQUANTISATION_OFFSET) < 4 * error
    # The variance of a uniform sample's variance is Var^2 (9/5 - 1) / n.
    tolerance = 4 * data.DEQUANTISATION_VARIANCE * (0.8 / len(noise)) ** 0.5
    assert abs(noise.var() - data.DEQUANTISATION_VARIANCE) < tolerance
    assert kstest(noise.numpy()[:50_000] * 128, "uniform").pvalue > 1e-3


def test_dequantisation_depends_on_nothing_but_image_and_generator():
    images = every_grey_level(2, 2)
    once, again, other = (
        data.dequantise(images, torch.Generator().manual_seed(seed)) for seed in (5, 5, 6)
    )
    assert torch.equal(once, again)
    assert not torch.equal(once, other)


@given(st.floats(-3, 3, width=32))
def test_quantised_values_are_clamped_to_eight_bits(value):
    phi = torch.full((1, 3, 1, 1), value)
    expected = min(max(int(np.floor((float(value) + 1) * 128)), 0), 255)
    # Adding 1 may round up in single precision where the exact sum lies just below a grey level.
    assert abs(int(data.quantise(phi)[0, 0, 0, 0]) - expected) <= (value * 128 % 1 > 0.9999)


@given(
    n=st.integers(1, 50),
    batch_size=st.integers(1, 120),
    seed=st.integers(0, 2**40),
)
def test_every_epoch_of_batches_is_a_permutation(n, batch_size, seed):
    steps = -(-3 * n // batch_size)
    batches = [data.batch_indices(n, batch_size, step, seed) for step in range(steps)]
    assert all(len(batch) == batch_size for batch in batches)
    stream = torch.cat(batches)
    for epoch in stream[: 3 * n].split(n):
        assert sorted(epoch.tolist()) == list(range(n))


def test_batches_do_not_depend_on_the_steps_before():
    forwards = [data.batch_indices(1000, 96, step, 7) for step in range(40)]
    data._permutation.cache_clear()
    for step in reversed(range(40)):
        assert torch.equal(data.batch_indices(1000, 96, step, 7), forwards[step])


def test_epochs_and_seeds_have_their_own_permutations():
    orders = [data.batch_indices(100, 100, step, seed) for step in range(3) for seed in range(3)]
    assert len({tuple(order.tolist()) for order in orders}) == 9


def test_changing_a_batch_leaves_the_stream_alone():
    batch = data.batch_indices(10, 10, 0, 0)
    before = batch.clone()
    batch.zero_()
    assert torch.equal(data.batch_indices(10, 10, 0, 0), before)


@pytest.mark.parametrize("n, batch_size, step", [(0, 1, 0), (1, 0, 0), (1, 1, -1)])
def test_an_empty_stream_is_refused(n, batch_size, step):
    with pytest.raises(InputError, match="expected at least"):
        data.batch_indices(n, batch_size, step, 0)
