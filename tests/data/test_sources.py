"""Sources: patches from disjoint regions and the CIFAR-10 archive."""

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from commands import data_section
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gud.data import datasets
from gud.data.sources import SOURCES, cifar10, cut_patches
from gud.data.sources.patches import REGIONS
from gud.errors import InputError
from gud.provenance import read_record, sha256
from gud.provenance.places import path_of

FOLDER = Path()
CIFAR10 = data_section({"source": "cifar10", "archive": "cifar10"})
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
    made = cut_patches([path], size, stride)
    assert len(made.train) and len(made.test)
    assert not np.intersect1d(positions(made.train), positions(made.test)).size


def test_patches_are_those_of_the_grid_with_colour_channels_first(tmp_path):
    pixels = numbered_photograph(tmp_path / "photograph.png", 40, 100)
    made = cut_patches([tmp_path / "photograph.png"], size=16, stride=6)
    corners = [divmod(int(patch[0, 0]), 100) for patch in positions(made.train)]
    grid = [(y, x) for y in range(0, 40 - 15, 6) for x in range(0, 80 - 15, 6)]
    assert sorted(corners) == grid
    for patch, (y, x) in zip(made.train, corners, strict=True):
        assert np.array_equal(patch, pixels[y : y + 16, x : x + 16].transpose(2, 0, 1))


@given(size=st.integers(4, 20), stride=st.integers(1, 9))
def test_no_pixel_lies_in_two_test_patches(tmp_path_factory, size, stride):
    path = tmp_path_factory.mktemp("photograph") / "photograph.png"
    numbered_photograph(path, 40, 90)
    test = positions(cut_patches([path], size, stride).test)
    assert len(np.unique(test)) == test.size


def test_a_region_holds_patches_of_one_photograph_that_lie_together(tmp_path):
    paths = [tmp_path / f"{name}.png" for name in "ab"]
    for path in paths:
        numbered_photograph(path, 96, 100)
    together = cut_patches(paths, size=8, stride=4)
    for split in ("train", "test"):
        images, region = getattr(together, split), getattr(together, f"{split}_region")
        assert sorted(set(region)) == list(range(2 * REGIONS))
        row = positions(images)[:, 4, 0] // 100
        assert np.array_equal(region % REGIONS, row * REGIONS // 96)
        # Both photographs are the same, so each patch is there twice: once in a region of each.
        for number in range(REGIONS):
            first, second = (images[region == number + part] for part in (0, REGIONS))
            assert sorted(map(bytes, first)) == sorted(map(bytes, second))


def test_a_data_set_file_names_regions_only_where_images_are_dependent(tmp_path, cifar_contents):
    patches, whole = tmp_path / "patches.npz", tmp_path / "cifar10.npz"
    settings = {"source": "tissue_patches", "size": 16, "stride": 16}
    datasets.make(data_section(settings), [], patches)
    test = datasets.load(patches, "test")
    regions = datasets.load_regions(patches, "test", len(test))
    assert len(set(regions)) == REGIONS < len(test)
    np.savez(
        whole,
        **cifar10(CIFAR10, [cifar_archive(tmp_path / "c.tar.gz", cifar_contents)], FOLDER).arrays(),
    )
    assert list(datasets.load_regions(whole, "test", 7)) == list(range(7))
    with pytest.raises(InputError, match=r"test_region of .*patches.npz is int64"):
        datasets.load_regions(patches, "test", 3)


def test_the_class_of_a_patch_is_its_photograph_where_there_are_several(tmp_path):
    paths = [tmp_path / f"{name}.png" for name in ("lake", "hill")]
    for path in paths:
        numbered_photograph(path, 96, 100)
    made, alone = cut_patches(paths, 8, 4), cut_patches(paths[:1], 8, 4)
    np.savez(tmp_path / "data.npz", **made.arrays())
    for split in ("train", "test"):
        region = getattr(made, f"{split}_region")
        labels, classes = datasets.load_labels(tmp_path / "data.npz", split, len(region))
        assert classes == ("lake", "hill")
        assert np.array_equal(labels, region >= REGIONS)
    assert alone.classes == () and alone.train_label is None


def test_the_classes_of_cifar10_are_the_bytes_before_its_images(tmp_path, cifar_contents):
    made = cifar10(CIFAR10, [cifar_archive(tmp_path / "c.tar.gz", cifar_contents)], FOLDER)
    whole = {name: np.frombuffer(content, np.uint8) for name, content in cifar_contents.items()}
    labels = [content[:: 1 + 3 * 32 * 32] for content in whole.values()]
    assert np.concatenate(labels).tolist() == [*made.train_label, *made.test_label]
    assert len(made.classes) == 10 and made.classes[3] == "cat"


def test_flat_patches_are_left_out(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 80, 3), dtype=np.uint8)
    pixels[:, :32] = 255
    Image.fromarray(pixels).save(tmp_path / "photograph.png")
    made = cut_patches([tmp_path / "photograph.png"], size=16, stride=16)
    assert len(made.train) == 2
    assert made.train.std(axis=(1, 2, 3)).min() > 10


def test_a_reduced_photograph_is_the_mean_over_squares(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photograph.png")
    made = cut_patches([tmp_path / "photograph.png"], size=16, stride=16, reduction=2)
    means = pixels.reshape(16, 2, 32, 2, 3).mean(axis=(1, 3)).transpose(2, 0, 1)
    assert np.abs(made.train[0] - means[:, :, :16]).max() <= 0.5
    assert np.abs(made.test[0] - means[:, :, 16:]).max() <= 0.5


def test_a_photograph_too_small_for_both_splits_is_refused(tmp_path):
    numbered_photograph(tmp_path / "small.png", 16, 31)
    with pytest.raises(InputError, match="small.png has 16 x 31 pixels"):
        cut_patches([tmp_path / "small.png"], size=16, stride=1)


@pytest.mark.parametrize("size", [16, 32, 64])
@pytest.mark.parametrize("source", ["natural_patches", "tissue_patches"])
def test_embedded_sources_give_patches_of_every_size(source, size):
    made = SOURCES[source](data_section({"source": source, "size": size, "stride": 16}))
    assert made.train.shape[1:] == made.test.shape[1:] == (3, size, size)
    assert len(made.train) > len(made.test) > 0


def test_the_first_patches_of_a_split_come_from_several_photographs():
    settings = data_section({"source": "natural_patches", "size": 16, "stride": 16})
    whole = SOURCES["natural_patches"](settings)
    single = cut_patches(whole.inputs[:1], 16, 16)
    of_first = {patch.tobytes() for patch in single.test}
    share = np.mean([patch.tobytes() in of_first for patch in whole.test[:60]])
    assert 0 < share < 0.5


def test_the_same_settings_give_the_same_file_and_a_record_of_its_photographs(tmp_path):
    settings = {"source": "natural_patches", "size": 16, "stride": 24}
    for name in "ab":
        out = tmp_path / f"{name}.npz"
        datasets.make(data_section(settings), [], out)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    record = read_record(tmp_path / "a.npz")
    assert record["settings"] == settings
    assert len(record["inputs"]) == 6
    for name, digest in record["inputs"].items():
        assert sha256(path_of(name, tmp_path)) == digest
    for split, count in record["images"].items():
        assert len(datasets.load(tmp_path / "a.npz", split)) == count


def test_cifar_records_become_images_in_the_order_of_the_files(tmp_path, cifar_contents):
    # The order inside the archive is not that of the batches.
    shuffled = dict(reversed(cifar_contents.items()))
    archive = cifar_archive(tmp_path / "cifar.tar.gz", shuffled)
    out = tmp_path / "cifar10.npz"
    datasets.make(data_section({"source": "cifar10", "archive": "cifar10"}), [archive], out)
    train = datasets.load(out, "train")
    assert train.shape == (2 + 3 + 4 + 5 + 6, 3, 32, 32)
    assert datasets.load(out, "test").shape == (7, 3, 32, 32)
    third = cifar_contents[NAMES[1]]
    channel, row, column = 2, 5, 11
    assert train[2, channel, row, column] == third[1 + channel * 1024 + row * 32 + column]
    assert read_record(out)["inputs"] == {"cifar.tar.gz": sha256(archive)}


@pytest.mark.parametrize("name", ["/etc/cifar", "../cifar", "cifar-10-batches-bin/../../cifar"])
def test_a_member_outside_the_archive_is_refused(tmp_path, cifar_contents, name):
    archive = cifar_archive(tmp_path / "a.tar.gz", cifar_contents, tarfile.TarInfo(name))
    with pytest.raises(InputError, match="member outside its folder"):
        cifar10(CIFAR10, [archive], FOLDER)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_member_that_is_no_plain_file_is_refused(tmp_path, cifar_contents, kind):
    link = tarfile.TarInfo(NAMES[0])
    link.type, link.linkname = kind, "/etc/passwd"
    archive = cifar_archive(tmp_path / "a.tar.gz", cifar_contents, link)
    with pytest.raises(InputError, match="not a plain file"):
        cifar10(CIFAR10, [archive], FOLDER)


@pytest.mark.parametrize("size", [0, 3072, 3074])
def test_a_member_of_broken_records_is_refused(tmp_path, cifar_contents, size):
    archive = cifar_archive(tmp_path / "a.tar.gz", cifar_contents | {NAMES[2]: bytes(size)})
    with pytest.raises(InputError, match=f"data_batch_3.bin has {size} bytes"):
        cifar10(CIFAR10, [archive], FOLDER)


def test_a_label_above_nine_is_refused(tmp_path, cifar_contents):
    contents = cifar_contents | {NAMES[0]: cifar_records(3, label=10).tobytes()}
    with pytest.raises(InputError, match="label 10"):
        cifar10(CIFAR10, [cifar_archive(tmp_path / "a.tar.gz", contents)], FOLDER)


def test_a_missing_and_a_repeated_member_are_refused(tmp_path, cifar_contents):
    first = {NAMES[0]: cifar_contents.pop(NAMES[0])}
    with pytest.raises(InputError, match="no member .*data_batch_1.bin"):
        cifar10(CIFAR10, [cifar_archive(tmp_path / "a.tar.gz", cifar_contents)], FOLDER)
    with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as tar:
        for _ in range(2):
            add_file(tar, NAMES[0], first[NAMES[0]])
    with pytest.raises(InputError, match="once"):
        cifar10(CIFAR10, [tmp_path / "b.tar.gz"], FOLDER)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9])
def test_a_truncated_archive_is_refused(tmp_path, cifar_contents, share):
    whole = cifar_archive(tmp_path / "a.tar.gz", cifar_contents).read_bytes()
    (tmp_path / "b.tar.gz").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match="b.tar.gz"):
        cifar10(CIFAR10, [tmp_path / "b.tar.gz"], FOLDER)


def test_damaged_foreign_and_absent_archives_are_refused(tmp_path, cifar_contents):
    damaged = bytearray(cifar_archive(tmp_path / "a.tar.gz", cifar_contents).read_bytes())
    damaged[len(damaged) // 2 : len(damaged) // 2 + 64] = bytes(64)
    (tmp_path / "damaged.tar.gz").write_bytes(damaged)
    (tmp_path / "page.tar.gz").write_bytes(b"<html>404 Not Found</html>")
    (tmp_path / "no.tar.gz").write_bytes(gzip.compress(b"no tar file" * 100))
    for name in ("damaged", "page", "no", "absent"):
        with pytest.raises(InputError, match=f"{name}.tar.gz"):
            cifar10(CIFAR10, [tmp_path / f"{name}.tar.gz"], FOLDER)


def test_cifar_without_its_archive_is_refused(tmp_path):
    with pytest.raises(InputError, match="needs one archive"):
        cifar10(CIFAR10, [], tmp_path)
