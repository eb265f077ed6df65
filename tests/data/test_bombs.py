"""Archives that unpack to far more than they are, or that lead out of themselves, are refused."""

import gzip
import io
import struct
import tarfile
import zlib

import h5py
import numpy as np
import pyarrow as pa
import pytest
from archive_site import encoded, pixels, png_files, write_parquet
from pyarrow import parquet

from gud.data import archives
from gud.data.sources import parquet as sources
from gud.errors import InputError

MEGA = 1 << 20
ZEROS = {f"{number}.png": bytes(40 * MEGA) for number in range(3)}
TOO_MUCH = "unpacks to"


def refused(site, capsys, name, message, source="images", size=16):
    site.assert_refused(site.make(source, size, [name], [name]), capsys, message)


def write_tar(path, files, *members):
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for member in members:
            archive.addfile(member)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def refused_tar(path, message):
    with pytest.raises(InputError, match=message):
        list(archives.tar_files(path))


def test_rows_that_unpack_to_far_more_than_the_archive_are_refused(site, capsys):
    file = site.folder / "a.parquet"
    write_parquet(file, ZEROS, compression="zstd", use_dictionary=False)
    assert file.stat().st_size < MEGA
    refused(site, capsys, file.name, TOO_MUCH)


def test_members_that_unpack_to_far_more_than_the_archive_are_refused(tmp_path):
    write_tar(tmp_path / "a.tar.gz", ZEROS)
    assert (tmp_path / "a.tar.gz").stat().st_size < MEGA
    refused_tar(tmp_path / "a.tar.gz", TOO_MUCH)


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_one_member_too_large_for_the_memory_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr(archives, "LARGEST", 1000)
    write_tar(tmp_path / name, {"batch.bin": bytes(1001)})
    refused_tar(tmp_path / name, "batch.bin has 1001 bytes, expected at most 1000")


def test_a_tar_file_cut_between_two_members_is_refused(tmp_path):
    file = tmp_path / "a.tar"
    write_tar(file, {f"{number}.bin": bytes(100) for number in range(3)})
    with tarfile.open(file) as tar:
        last = tar.getmembers()[-1]
    file.write_bytes(file.read_bytes()[: last.offset])
    refused_tar(file, "its end is missing")


def test_a_sparse_member_is_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("batch.bin")
        member.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(1 << 40)}
        archive.addfile(member)
    refused_tar(tmp_path / "a.tar", "batch.bin is not a plain file")


def test_a_header_that_declares_more_than_there_is_is_refused(tmp_path):
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 1 << 40
    (tmp_path / "a.tar").write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    refused_tar(tmp_path / "a.tar", "a part that must be read at once has 1099511627776 bytes")


@pytest.mark.slow
def test_rows_that_repeat_one_value_are_refused(site, capsys):
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    rows = pa.array([{"bytes": encoded(pixels(1, 128)[0]), "path": ""}] * 2_500, kind)
    parquet.write_table(pa.table({"image": rows}), site.folder / "a.parquet", compression="zstd")
    assert (site.folder / "a.parquet").stat().st_size < MEGA
    refused(site, capsys, "a.parquet", TOO_MUCH)


def write_hdf5(path, make):
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        make(file)
    path.write_bytes(gzip.compress(content.getvalue(), 1))


PATCHES = (4, 96, 96, 3)
HDF5 = {
    "zeros": (
        lambda file: file.create_dataset("x", data=np.zeros((4000, 96, 96, 3), np.uint8)),
        TOO_MUCH,
    ),
    "sparse": (
        lambda file: file.create_dataset("x", (10**7, 96, 96, 3), "u1", chunks=(1, 96, 96, 3)),
        TOO_MUCH,
    ),
    "vast": (
        lambda file: file.create_dataset("x", (2**50, 96, 96, 3), "u1", chunks=(1, 96, 96, 3)),
        TOO_MUCH,
    ),
    "large chunk": (
        lambda file: file.create_dataset(
            "x", PATCHES, "u1", chunks=(5000, 96, 96, 3), maxshape=(None, 96, 96, 3)
        ),
        "a chunk of x has 138240000 bytes",
    ),
    "external storage": (
        lambda file: file.create_dataset(
            "x", PATCHES, "u1", external=[("/etc/passwd", 0, 4 * 96 * 96 * 3)]
        ),
        "keeps its array x in other files",
    ),
    "external link": (
        lambda file: file.update({"x": h5py.ExternalLink("/tmp/other.h5", "/x")}),
        "expected an array x",
    ),
    "soft link": (lambda file: file.update({"x": h5py.SoftLink("/x")}), "expected an array x"),
    "virtual": (
        lambda file: file.create_virtual_dataset("x", virtual()),
        "keeps its array x in other files",
    ),
    "no shape": (lambda file: file.create_dataset("x", dtype="u1"), "expected an array x"),
    "a group": (lambda file: file.create_group("x"), "expected an array x"),
    "one number": (lambda file: file.create_dataset("x", data=3), "expected uint8"),
    "text": (lambda file: file.create_dataset("x", data="text"), "expected uint8"),
}


def virtual():
    layout = h5py.VirtualLayout(PATCHES, "u1")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "x", PATCHES)
    return layout


@pytest.mark.parametrize("how", HDF5)
def test_an_hdf5_array_that_is_more_or_elsewhere_is_refused(site, capsys, how):
    make, message = HDF5[how]
    write_hdf5(site.folder / "x.h5.gz", make)
    refused(site, capsys, "x.h5.gz", message, "pcam", 32)


def png_header(width, height):
    data = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    pixels = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", data) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [8208, 2**20, 2**31 - 16])
def test_an_image_of_vast_sides_is_refused(site, capsys, side):
    write_parquet(site.folder / "a.parquet", {"face.png": png_header(side, side)})
    refused(site, capsys, "a.parquet", "a.parquet: row 0")


def test_a_parquet_file_that_declares_more_rows_than_it_gives_is_refused(site, capsys, monkeypatch):
    write_parquet(site.folder / "a.parquet", png_files(pixels(3, 16)))
    true = archives.parquet_rows
    for more in (-1, 1):
        monkeypatch.setattr(sources, "parquet_rows", lambda file, more=more: true(file) + more)
        refused(site, capsys, "a.parquet", f"declares {3 + more} images")
