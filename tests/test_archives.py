"""PCAM and image archives: files of the real formats, downloaded and read by the real commands."""

import functools
import gzip
import io
import json
import tarfile
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import h5py
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet

from gud import data, download
from gud.provenance import read_record, sha256
from gud.sources import reduce

KINDS = ["parquet", "zip", "tar", "tar.gz"]


def pixels(count, size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def encoded(image, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind)
    return file.getvalue()


def png_files(images):
    """Contents by name, the names in the order of the images but not given in it."""
    files = {f"faces/{i:05d}.png": encoded(image) for i, image in enumerate(images)}
    return dict(reversed(files.items()))


def write_zip(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        archive.mkdir("faces")
        for name, content in files.items():
            archive.writestr(name, content)


def write_tar(path, files, *members):
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for member in members:
            archive.addfile(member)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def write_parquet(path, files):
    """As the Hugging Face hub stores images: structures of bytes and path, several row groups."""
    rows = [{"bytes": files[name], "path": name} for name in sorted(files)]
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    table = pa.table({"image": pa.array(rows, kind), "label": list(range(len(rows)))})
    parquet.write_table(table, path, row_group_size=2)


def write_images(path, files):
    match path.suffix:
        case ".parquet":
            write_parquet(path, files)
        case ".zip":
            write_zip(path, files)
        case _:
            write_tar(path, files)


def write_pcam(path, patches, name="x", **options):
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.create_dataset(name, data=patches, **options)
    path.write_bytes(gzip.compress(content.getvalue()))


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Silent."""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A served folder, and the commands `download` and `data` on files in it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "site"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Silent, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield Site(folder, f"http://127.0.0.1:{server.server_port}", tmp_path)
    server.shutdown()
    server.server_close()


class Site:
    def __init__(self, folder, url, root):
        self.folder, self.url = folder, url
        self.downloads, self.out = root / "downloads", root / "data" / "made.npz"

    def fetch(self, name, digest=None):
        argv = ["--url", f"{self.url}/{name}?download=1"]
        argv += ["--sha256", digest or sha256(self.folder / name)]
        return download.main([*argv, "--out", str(self.downloads / name)])

    def make(self, source, size, train, test):
        for name in [*train, *test]:
            assert self.fetch(name) == 0
        names = {"train": ["some"] * len(train), "test": ["other"] * len(test)}
        settings = {"source": source, "size": size, "archives": names}
        archives = [str(self.downloads / name) for name in [*train, *test]]
        argv = ["--settings", json.dumps(settings), "--archive", *archives]
        return data.main([*argv, "--out", str(self.out)])

    def load(self, split):
        return data.load(self.out, split).numpy().transpose(0, 2, 3, 1)

    def assert_refused(self, status, capsys, message):
        """One sentence, exit status 2, and nothing left in the folder of the data set."""
        (line,) = [li for li in capsys.readouterr().err.splitlines() if li.startswith("error: ")]
        assert message in line
        assert status == 2
        assert list(self.out.parent.iterdir()) == []


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


@pytest.mark.parametrize("kind", KINDS)
def test_images_come_in_the_order_of_the_archives_and_of_their_names(site, kind):
    images = pixels(9, 16)
    names = [f"train-{i}.{kind}" for i in range(2)]
    write_images(site.folder / names[0], png_files(images[:5]))
    write_images(site.folder / names[1], png_files(images[5:8]))
    write_images(site.folder / f"test.{kind}", png_files(images[8:]))
    assert site.make("images", 16, names, [f"test.{kind}"]) == 0
    assert np.array_equal(site.load("train"), images[:8])
    assert np.array_equal(site.load("test"), images[8:])
    assert len(read_record(site.out)["inputs"]) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_larger_images_are_reduced_by_the_mean_over_squares(site, kind):
    images = pixels(3, 64)
    write_images(site.folder / f"a.{kind}", png_files(images))
    assert site.make("images", 16, [f"a.{kind}"], [f"a.{kind}"]) == 0
    means = images.reshape(3, 16, 4, 16, 4, 3).mean(axis=(2, 4))
    assert np.array_equal(site.load("train"), np.floor(means + 0.5))


def test_jpeg_images_are_read_as_pillow_decodes_them(site):
    smooth = np.asarray(Image.fromarray(pixels(1, 4)[0]).resize((32, 32), Image.Resampling.BICUBIC))
    content = encoded(smooth, "JPEG")
    write_zip(site.folder / "a.zip", {"face.jpg": content})
    assert site.make("images", 32, ["a.zip"], ["a.zip"]) == 0
    assert np.array_equal(site.load("test")[0], np.asarray(Image.open(io.BytesIO(content))))
    assert np.abs(site.load("test")[0].astype(float) - smooth).mean() < 8


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["cut", "empty", "altered", "page"])
def test_a_damaged_archive_of_images_is_refused(site, capsys, kind, how):
    file = site.folder / f"a.{kind}"
    write_images(file, png_files(pixels(6, 32)))
    file.write_bytes(damaged(file.read_bytes(), how))
    status = site.make("images", 32, [file.name], [file.name])
    site.assert_refused(status, capsys, file.name)


def test_a_tar_file_cut_between_two_members_is_refused(site, capsys):
    file = site.folder / "a.tar"
    write_tar(file, png_files(pixels(3, 16)))
    with tarfile.open(file) as tar:
        last = tar.getmembers()[-1]
    file.write_bytes(file.read_bytes()[: last.offset])
    status = site.make("images", 16, ["a.tar"], ["a.tar"])
    site.assert_refused(status, capsys, "its end is missing")


@pytest.mark.parametrize("name", ["../face.png", "/etc/face.png", "faces/../../face.png"])
@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_a_member_outside_the_archive_is_refused(site, capsys, kind, name):
    write_images(site.folder / f"a.{kind}", {name: encoded(pixels(1, 16)[0])})
    before = sorted(site.folder.parent.rglob("*.png"))
    status = site.make("images", 16, [f"a.{kind}"], [f"a.{kind}"])
    site.assert_refused(status, capsys, f"has a member outside its folder: {name}")
    assert sorted(site.folder.parent.rglob("*.png")) == before == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_link_in_an_archive_of_images_is_refused(site, capsys, kind):
    link = tarfile.TarInfo("faces/link.png")
    link.type, link.linkname = kind, "/etc/passwd"
    write_tar(site.folder / "a.tar", png_files(pixels(1, 16)), link)
    status = site.make("images", 16, ["a.tar"], ["a.tar"])
    site.assert_refused(status, capsys, "faces/link.png is no plain file")


@pytest.mark.parametrize("kind", KINDS)
def test_a_member_that_is_no_image_is_named(site, capsys, kind):
    files = png_files(pixels(1, 16)) | {"faces/zzz.txt": b"not an image"}
    write_images(site.folder / f"a.{kind}", files)
    status = site.make("images", 16, [f"a.{kind}"], [f"a.{kind}"])
    name = "row 1" if kind == "parquet" else "faces/zzz.txt"
    site.assert_refused(status, capsys, f"a.{kind}: {name} is no readable PNG or JPEG image")


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
    write_zip(site.folder / "a.zip", {"face.png": encoded(image)})
    status = site.make("images", 16, ["a.zip"], ["a.zip"])
    site.assert_refused(status, capsys, f"a.zip: face.png has {message}, expected a square RGB")


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_without_images_is_refused(site, capsys, kind):
    write_images(site.folder / f"a.{kind}", {})
    status = site.make("images", 16, [f"a.{kind}"], [f"a.{kind}"])
    site.assert_refused(status, capsys, f"a.{kind} holds no image")


def test_members_of_the_same_name_are_refused(site, capsys):
    with tarfile.open(site.folder / "a.tar", "w") as tar:
        for image in pixels(2, 16):
            content = encoded(image)
            member = tarfile.TarInfo("face.png")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    status = site.make("images", 16, ["a.tar"], ["a.tar"])
    site.assert_refused(status, capsys, "several members of the same name")


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
    site.assert_refused(status, capsys, "a.parquet: row 1 is no readable PNG or JPEG image")


def test_a_file_of_another_checksum_never_reaches_the_data_set(site, capsys):
    write_zip(site.folder / "a.zip", png_files(pixels(1, 16)))
    assert site.fetch("a.zip", digest="0" * 64) == 2
    (line,) = [li for li in capsys.readouterr().err.splitlines() if li.startswith("error: ")]
    assert "a.zip" in line and "0" * 64 in line
    assert list(site.downloads.iterdir()) == []


@pytest.mark.parametrize("source", ["pcam", "images"])
def test_the_number_of_archives_must_be_that_of_the_settings(tmp_path, capsys, source):
    archives = {"train": ["a", "b"], "test": ["c"]}
    settings = json.dumps({"source": source, "size": 32, "archives": archives})
    out = tmp_path / "made.npz"
    assert data.main(["--settings", settings, "--archive", "a", "--out", str(out)]) == 2
    assert "--archive gives 1 files, expected 2 for train and then 1 for test" in (
        capsys.readouterr().err
    )
    assert list(tmp_path.iterdir()) == []
