"""Files of images inside archives: tar, tar.gz, zip, parquet and gzipped HDF5.

Archives are read as streams: no member is written to disk, and its name is only read.
"""

from __future__ import annotations

import gzip
import io
import lzma
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from gud.errors import InputError

if TYPE_CHECKING:
    import h5py

FORMATS = ("PNG", "JPEG")
BLOCK = 1 << 20
ROWS = 64
"""Rows of a parquet file that are read at a time."""
BROKEN = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
)
"""What the readers raise on damaged, cut, encrypted and foreign files."""


def image_files(archive: Path) -> tuple[int, Iterator[tuple[int, str, bytes]]]:
    """The encoded images of a parquet, zip, tar or tar.gz file.

    Returns:
        Their number, and an iterator over (position, name, content). Positions are those of the
        rows of a parquet file, and of the sorted names of a zip or tar file.
    """
    with _readable(archive, "file"), open(archive, "rb") as file:
        start = file.read(4)
    if start == b"PAR1":
        return parquet_rows(archive), _numbered(parquet_images(archive))
    files = zip_files if start == b"PK\x03\x04" else tar_files
    names = sorted(name for name, _ in files(archive))
    positions = {name: position for position, name in enumerate(names)}
    if len(positions) < len(names):
        raise InputError(f"archive {archive} holds several members of the same name")
    return len(names), ((positions[name], name, content) for name, content in files(archive))


def decode(content: bytes, size: int, where: str) -> UInt8[np.ndarray, "side side 3"]:
    """The pixels of a PNG or JPEG file.

    Raises:
        InputError: `where` names a file that is no such image, or no square 8-bit RGB image whose
            side is a multiple of `size`.
    """
    try:
        Image.open(io.BytesIO(content), formats=FORMATS).verify()
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            image.load()
    except (OSError, SyntaxError, ValueError, zlib.error, Image.DecompressionBombError) as error:
        raise InputError(f"{where} is no readable PNG or JPEG image: {error}") from None
    if image.mode != "RGB" or image.width != image.height or image.width % size:
        raise InputError(
            f"{where} has {image.height} x {image.width} pixels of mode {image.mode}, "
            f"expected a square RGB image with a multiple of {size} pixels a side"
        )
    return np.asarray(image)


def tar_files(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files in a tar or tar.gz file, which is read to its end."""
    with (
        _readable(archive, "tar"),
        _unzipped(archive) as stream,
        tarfile.open(fileobj=stream, mode="r:") as tar,
    ):
        for member in tar:
            _check_name(archive, member.name)
            if not (member.isfile() or member.isdir()):
                raise InputError(f"{archive}: member {member.name} is no plain file or folder")
            if member.isfile():
                yield member.name, tar.extractfile(member).read()  # type: ignore[union-attr]
        stream.seek(tar.offset)
        if len(end := stream.read(tarfile.BLOCKSIZE)) < tarfile.BLOCKSIZE or any(end):
            raise tarfile.ReadError("its end is missing")
        while stream.read(BLOCK):
            pass  # gzip compares the checksum at the end


def zip_files(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files in a zip file."""
    with _readable(archive, "zip"), zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            _check_name(archive, member.filename)
            if not member.is_dir():
                yield member.filename, file.read(member)


def parquet_rows(archive: Path) -> int:
    """Number of rows of a parquet file whose column `image` holds structures with `bytes`."""
    from pyarrow import null, parquet, types

    with _readable(archive, "parquet"), parquet.ParquetFile(archive) as table:
        schema = table.schema_arrow
        columns = {field.name: field.type for field in schema}
        image = columns.get("image", null())
        fields = {field.name: field.type for field in image} if types.is_struct(image) else {}
        if not types.is_binary(fields.get("bytes", null())):
            raise InputError(
                f"archive {archive} has the columns {schema.names}, "
                "expected `image` with a field `bytes` of binary values"
            )
        return table.metadata.num_rows


def parquet_images(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Names ("row 0" ...) and contents of the images of a parquet file."""
    from pyarrow import parquet

    with _readable(archive, "parquet"), parquet.ParquetFile(archive) as table:
        row = 0
        for batch in table.iter_batches(ROWS, columns=["image.bytes"]):
            for content in batch.column(0).field("bytes"):
                yield f"row {row}", content.as_py() or b""
                row += 1


@contextmanager
def hdf5_dataset(archive: Path, name: str, scratch: Path) -> Iterator[h5py.Dataset]:
    """Open one array of a gzipped HDF5 file.

    It is unpacked into a file without a name in the folder `scratch`, which vanishes with the
    process whatever happens.
    """
    import h5py

    with _readable(archive, "h5.gz"), tempfile.TemporaryFile(dir=scratch) as unpacked:
        with gzip.open(archive) as stream:
            shutil.copyfileobj(stream, unpacked, BLOCK)
        with h5py.File(unpacked, "r") as file:
            dataset = file.get(name)
            if not isinstance(dataset, h5py.Dataset):
                raise InputError(f"archive {archive} holds {list(file)}, expected an array {name}")
            yield dataset


@contextmanager
def _readable(archive: Path, kind: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except BROKEN as error:
        reason = " ".join(str(error).split())
        raise InputError(f"archive {archive} cannot be read as {kind}: {reason}") from None


@contextmanager
def _unzipped(archive: Path) -> Iterator[IO[bytes]]:
    with open(archive, "rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not zipped:
            yield file
            return
        with gzip.open(file) as stream:
            yield stream  # type: ignore[misc]


def _check_name(archive: Path, name: str) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise InputError(f"{archive} has a member outside its folder: {name}")


def _numbered(files: Iterator[tuple[str, bytes]]) -> Iterator[tuple[int, str, bytes]]:
    return ((position, name, content) for position, (name, content) in enumerate(files))
