"""PCAM and image archives: files of the real formats, downloaded and read by the real commands."""

import gzip
import io

import numpy as np
import pyarrow as pa
import pytest
import yaml
from archive_site import (
    encoded,
    pixels,
    png_files,
    write_parquet,
    write_pcam,
)
from commands import data_section, status
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from presets import ROOT
from pyarrow import parquet

from gud.data import datasets
from gud.data.sources.source import reduce
from gud.provenance import read_record, sha256


@given(factor=st.sampled_from([1, 2, 3, 4, 6, 8, 12]), seed=st.integers(0, 99))
def test_a_reduced_image_is_the_mean_over_squares_rounded_half_up(factor, seed):
    size = 96 // factor
    images = pixels(2, 96, seed)
    squares = images.reshape(2, size, factor, size, factor, 3).astype(float)
    expected = np.floor(squares.sum(axis=(2, 4)) / factor**2 + 0.5)
    assert np.array_equal(reduce(images, size), expected)


def test_halves_are_rounded_up():
    image = np.array([[[0, 1], [0, 1]]], np.uint8)[..., None].repeat(3, axis=-1)
    assert reduce(image, 1).tolist() == [[[[1, 1, 1]]]]


@pytest.mark.parametrize("options", [{}, {"chunks": (2, 48, 96, 3), "compression": "gzip"}])
def test_pcam_patches_become_smaller_images_in_the_order_of_the_file(site, options):
    train, test = pixels(1030, 96), pixels(2, 96, seed=1)
    write_pcam(site.folder / "train_x.h5.gz", train, **options)
    write_pcam(site.folder / "test_x.h5.gz", test, **options)
    assert site.make("pcam", 32, ["train_x.h5.gz"], ["test_x.h5.gz"]) == 0
    assert np.array_equal(site.load("train"), reduce(train, 32))
    assert np.array_equal(site.load("test"), reduce(test, 32))
    record = read_record(site.out)
    assert record["images"] == {"train": 1030, "test": 2}
    assert record["inputs"] == {
        f"../downloads/{name}": sha256(site.folder / name)
        for name in ("train_x.h5.gz", "test_x.h5.gz")
    }
    assert sorted(path.name for path in site.out.parent.iterdir()) == [
        "made.npz",
        "made.npz.json",
    ]


@pytest.mark.parametrize(
    "patches, name, message",
    [
        (pixels(2, 64), "x", "shape (2, 64, 64, 3), expected uint8 of shape (count, 96, 96, 3)"),
        (pixels(2, 96).transpose(0, 3, 1, 2), "x", "shape (2, 3, 96, 96)"),
        (pixels(2, 96)[0], "x", "shape (96, 96, 3)"),
        (pixels(0, 96), "x", "shape (0, 96, 96, 3)"),
        (pixels(2, 96).astype(np.float32), "x", "is float32"),
        (pixels(2, 96), "y", "holds ['y'], expected an array x"),
        (pixels(2, 96), "x/images", "holds ['x'], expected an array x"),
    ],
)
def test_an_hdf5_file_with_another_array_is_refused(site, capsys, patches, name, message):
    write_pcam(site.folder / "train_x.h5.gz", patches, name)
    write_pcam(site.folder / "test_x.h5.gz", pixels(2, 96))
    status = site.make("pcam", 32, ["train_x.h5.gz"], ["test_x.h5.gz"])
    site.assert_refused(status, capsys, message)


def damaged(content, how):
    match how:
        case "cut":
            return content[: len(content) * 2 // 3]
        case "empty":
            return b""
        case "altered":
            middle = len(content) // 2
            return content[:middle] + bytes(64) + content[middle + 64 :]
        case "page":
            return b"<html>404 Not Found</html>"


@pytest.mark.parametrize("how", ["cut", "empty", "altered", "page"])
def test_a_damaged_pcam_file_is_refused(site, capsys, how):
    for name in ("train_x.h5.gz", "test_x.h5.gz"):
        write_pcam(site.folder / name, pixels(4, 96))
    file = site.folder / "test_x.h5.gz"
    file.write_bytes(damaged(file.read_bytes(), how))
    status = site.make("pcam", 32, ["train_x.h5.gz"], ["test_x.h5.gz"])
    site.assert_refused(status, capsys, "test_x.h5.gz cannot be read as h5.gz")


def test_a_gzipped_file_that_is_no_hdf5_is_refused(site, capsys):
    (site.folder / "x.h5.gz").write_bytes(gzip.compress(b"no HDF5" * 1000))
    status = site.make("pcam", 32, ["x.h5.gz"], ["x.h5.gz"])
    site.assert_refused(status, capsys, "x.h5.gz cannot be read as h5.gz")


def test_images_come_in_the_order_of_the_archives_and_of_their_rows(site):
    images = pixels(9, 16)
    names = [f"train-{i}.parquet" for i in range(2)]
    write_parquet(site.folder / names[0], png_files(images[:5]))
    write_parquet(site.folder / names[1], png_files(images[5:8]))
    write_parquet(site.folder / "test.parquet", png_files(images[8:]))
    assert site.make("images", 16, names, ["test.parquet"]) == 0
    assert np.array_equal(site.load("train"), images[:8])
    assert np.array_equal(site.load("test"), images[8:])
    assert len(read_record(site.out)["inputs"]) == 3


def test_larger_images_are_reduced_by_the_mean_over_squares(site):
    images = pixels(3, 64)
    write_parquet(site.folder / "a.parquet", png_files(images))
    assert site.make("images", 16, ["a.parquet"], ["a.parquet"]) == 0
    means = images.reshape(3, 16, 4, 16, 4, 3).mean(axis=(2, 4))
    assert np.array_equal(site.load("train"), np.floor(means + 0.5))


def test_of_images_like_those_of_celeba_a_square_is_cut_out_and_reduced(site):
    """178 x 218 pixels, beside columns of other kinds, as the preset of CelebA-64 asks for them."""
    preset = yaml.safe_load((ROOT / "config" / "psld_celeba.yaml").read_text())
    faces = preset["data"]["celeba64"]
    whole = np.random.default_rng(0).integers(0, 256, (2, 218, 178, 3), dtype=np.uint8)
    write_parquet(site.folder / "a.parquet", png_files(whole))
    assert site.make("images", 64, ["a.parquet"], ["a.parquet"], crop=faces["crop"]) == 0
    means = whole[:, 57:185, 25:153].reshape(2, 64, 2, 64, 2, 3).mean(axis=(2, 4))
    assert np.array_equal(site.load("train"), np.floor(means + 0.5))


def test_an_image_that_does_not_hold_the_square_is_refused(site, capsys):
    write_parquet(site.folder / "a.parquet", png_files(pixels(1, 32)))
    crop = {"top": 10, "left": 0, "side": 32}
    status = site.make("images", 16, ["a.parquet"], ["a.parquet"], crop=crop)
    site.assert_refused(status, capsys, "has 32 x 32 pixels of mode RGB, expected an RGB image")


def test_a_square_that_cannot_be_reduced_is_refused():
    names = {"train": ["some"], "test": ["other"]}
    crop = {"top": 0, "left": 0, "side": 100}
    with pytest.raises(ValueError, match="crop.side = 100 must be a multiple of 64"):
        data_section({"source": "images", "size": 64, "archives": names, "crop": crop})


def test_jpeg_images_are_read_as_pillow_decodes_them(site):
    smooth = np.asarray(Image.fromarray(pixels(1, 4)[0]).resize((32, 32), Image.Resampling.BICUBIC))
    content = encoded(smooth, "JPEG")
    write_parquet(site.folder / "a.parquet", {"face.jpg": content})
    assert site.make("images", 32, ["a.parquet"], ["a.parquet"]) == 0
    assert np.array_equal(site.load("test")[0], np.asarray(Image.open(io.BytesIO(content))))
    assert np.abs(site.load("test")[0].astype(float) - smooth).mean() < 8


@pytest.mark.parametrize("how", ["cut", "empty", "altered", "page"])
def test_a_damaged_archive_of_images_is_refused(site, capsys, how):
    file = site.folder / "a.parquet"
    write_parquet(file, png_files(pixels(6, 32)))
    file.write_bytes(damaged(file.read_bytes(), how))
    status = site.make("images", 32, [file.name], [file.name])
    site.assert_refused(status, capsys, file.name)


@pytest.mark.parametrize(
    "image, message",
    [
        (np.zeros((16, 16), np.uint8), "16 x 16 pixels of mode L"),
        (np.zeros((16, 16, 4), np.uint8), "16 x 16 pixels of mode RGBA"),
        (np.zeros((16, 20, 3), np.uint8), "16 x 20 pixels of mode RGB"),
        (np.zeros((24, 24, 3), np.uint8), "24 x 24 pixels of mode RGB"),
    ],
)
def test_an_image_of_another_kind_is_refused(site, capsys, image, message):
    write_parquet(site.folder / "a.parquet", {"face.png": encoded(image)})
    status = site.make("images", 16, ["a.parquet"], ["a.parquet"])
    site.assert_refused(status, capsys, f"a.parquet: row 0 has {message}, expected a square RGB")


def test_an_archive_without_images_is_refused(site, capsys):
    write_parquet(site.folder / "a.parquet", {})
    status = site.make("images", 16, ["a.parquet"], ["a.parquet"])
    site.assert_refused(status, capsys, "a.parquet holds no image")


@pytest.mark.parametrize(
    "table",
    [
        {"picture": [b"x"]},
        {"image": [b"x"]},
        {"image": [{"path": "face.png"}]},
        {"image": [{"bytes": "text"}]},
    ],
)
def test_a_parquet_file_without_a_column_of_images_is_refused(site, capsys, table):
    parquet.write_table(pa.table(table), site.folder / "a.parquet")
    status = site.make("images", 16, ["a.parquet"], ["a.parquet"])
    site.assert_refused(status, capsys, "expected `image` with a field `bytes`")


def test_a_row_without_an_image_is_named(site, capsys):
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    rows = [{"bytes": encoded(pixels(1, 16)[0]), "path": ""}, None]
    parquet.write_table(pa.table({"image": pa.array(rows, kind)}), site.folder / "a.parquet")
    status = site.make("images", 16, ["a.parquet"], ["a.parquet"])
    site.assert_refused(status, capsys, "a.parquet: row 1 is not a readable PNG or JPEG image")


def test_a_file_of_another_checksum_never_reaches_the_data_set(site, capsys):
    write_parquet(site.folder / "a.parquet", png_files(pixels(1, 16)))
    assert site.fetch("a.parquet", digest="0" * 64) == 2
    (line,) = [li for li in capsys.readouterr().err.splitlines() if li.startswith("error: ")]
    assert "a.parquet" in line and "0" * 64 in line
    assert list(site.downloads.iterdir()) == []


@pytest.mark.parametrize("source", ["pcam", "images"])
def test_the_number_of_archives_must_be_that_of_the_settings(tmp_path, capsys, source):
    archives = {"train": ["a", "b"], "test": ["c"]}
    settings = data_section({"source": source, "size": 32, "archives": archives})
    assert status(datasets.make, settings, [tmp_path / "a"], tmp_path / "made.npz") == 2
    assert "1 archives are given, expected 2 for train and then 1 for test" in (
        capsys.readouterr().err
    )
    assert list(tmp_path.iterdir()) == []
