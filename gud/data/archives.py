"""What downloads hold: files in tar.gz, images in parquet, and arrays in gzipped HDF5.

Archives are read as streams: no member is written to disk, and its name is only read. Photographs
hardly compress: an archive that declares or gives far more than its own size is refused.
"""

from __future__ import annotations

import gzip
import io
import lzma
import math
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from gud.config.sections.data import Crop
from gud.errors import InputError

if TYPE_CHECKING:
    import h5py

FORMATS = ("PNG", "JPEG")
BLOCK = 1 << 20
RATIO = 20
"""Times that an archive may unpack to its own size, beside ALLOWANCE."""
ALLOWANCE = 1 << 26
"""Bytes that any archive may unpack to."""
LARGEST = 1 << 27
"""Bytes that one member of an archive, or a chunk of an array, may have."""
SMALLEST = 67
"""Bytes of the shortest PNG file; JPEG files are longer."""
LONGEST_SIDE = 8192
"""Pixels a side that an image may have."""
BROKEN = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
)
"""What the readers raise on damaged, cut, encrypted and foreign files."""
NO_IMAGE = (OSError, SyntaxError, ValueError, zlib.error, Image.DecompressionBombError)


def decode(
    content: bytes, size: int, where: str, crop: Crop | None = None
) -> UInt8[np.ndarray, "side side 3"]:
    """The pixels of a PNG or JPEG file, or of a square of it.

    Raises:
        InputError: `where` names a file that is no such image, or no 8-bit RGB image that holds the
            square or, if there is none, is one whose side is a multiple of `size`.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            height, width, mode = image.height, image.width, image.mode
            expected = f"a square RGB image with a multiple of {size} pixels a side"
            fits = height == width and width % size == 0
            if crop:
                expected = f"an RGB image that holds the square of {crop}"
                fits = crop.top + crop.side <= height and crop.left + crop.side <= width
            if mode != "RGB" or not fits or max(height, width) > LONGEST_SIDE:
                raise InputError(
                    f"{where} has {height} x {width} pixels of mode {mode}, expected {expected}, "
                    f"at most {LONGEST_SIDE}"
                )
            image.verify()
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            image.load()
    except InputError:
        raise
    except NO_IMAGE as error:
        raise InputError(f"{where} is not a readable PNG or JPEG image: {error}") from None
    pixels = np.asarray(image)
    if crop:
        pixels = pixels[crop.top : crop.top + crop.side, crop.left : crop.left + crop.side]
    return pixels


def tar_files(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files in a tar or tar.gz file, which is read to its end."""
    with (
        _readable(archive, "tar"),
        _unzipped(archive) as stream,
        tarfile.open(fileobj=stream, mode="r:") as tar,
    ):
        for member in tar:
            _check_name(archive, member.name)
            if not (member.isfile() or member.isdir()) or member.issparse():
                raise InputError(f"{archive}: member {member.name} is not a plain file or folder")
            _check_size(archive, member.name, member.size)
            if member.isfile():
                yield member.name, tar.extractfile(member).read()  # type: ignore[union-attr]
        stream.seek(tar.offset)
        if len(end := stream.read(tarfile.BLOCKSIZE)) < tarfile.BLOCKSIZE or any(end):
            raise tarfile.ReadError("its end is missing")
        while stream.read(BLOCK):
            pass  # gzip compares the checksum at the end


def parquet_rows(archive: Path) -> int:
    """Number of rows of a parquet file whose column `image` holds structures with `bytes`."""
    from pyarrow import null, parquet, types

    with _readable(archive, "parquet"), parquet.ParquetFile(archive) as table:
        schema = table.schema_arrow
        named = {field.name: field.type for field in schema}
        image = named.get("image", null())
        fields = {field.name: field.type for field in image} if types.is_struct(image) else {}
        if not types.is_binary(fields.get("bytes", null())):
            raise InputError(
                f"archive {archive} has the columns {schema.names}, "
                "expected `image` with a field `bytes` of binary values"
            )
        metadata = table.metadata
        columns = [
            group.column(number)
            for group in map(metadata.row_group, range(metadata.num_row_groups))
            for number in range(group.num_columns)
        ]
        _check_total(archive, sum(column.total_uncompressed_size for column in columns))
        _check_total(archive, metadata.num_rows * SMALLEST)
        return metadata.num_rows


def parquet_images(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Names ("row 0" ...) and contents of the images of a parquet file."""
    from pyarrow import parquet

    with _readable(archive, "parquet"), parquet.ParquetFile(archive) as table:
        # One row at a time: rows of a few bytes may stand for values of any size.
        total = 0
        for row, batch in enumerate(table.iter_batches(1, columns=["image.bytes"])):
            content = batch.column(0).field("bytes")[0].as_py() or b""
            total += len(content)
            _check_total(archive, total)
            yield f"row {row}", content


@contextmanager
def hdf5_dataset(archive: Path, name: str, scratch: Path) -> Iterator[h5py.Dataset]:
    """Open one array of a gzipped HDF5 file.

    It is unpacked into a file without a name in the folder `scratch`, which vanishes with the
    process whatever happens.
    """
    import h5py

    with _readable(archive, "h5.gz"), tempfile.TemporaryFile(dir=scratch) as unpacked:
        with _unzipped(archive) as stream:
            shutil.copyfileobj(stream, unpacked, BLOCK)
        with h5py.File(unpacked, "r") as file:
            links, key = file.id.links, name.encode()
            # A link may lead to any file of this machine: it is not followed to see what it is.
            hard = links.exists(key) and links.get_info(key).type == h5py.h5l.TYPE_HARD
            dataset = file[name] if hard else None
            if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
                raise InputError(f"archive {archive} holds {list(file)}, expected an array {name}")
            if dataset.external or dataset.is_virtual:
                raise InputError(f"archive {archive} keeps its array {name} in other files")
            itemsize = dataset.dtype.itemsize
            _check_total(archive, math.prod(dataset.shape) * itemsize)
            _check_size(archive, f"a chunk of {name}", math.prod(dataset.chunks or ()) * itemsize)
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


class _Capped(io.RawIOBase):
    """What an archive unpacks to, as long as that is not too much."""

    def __init__(self, archive: Path, stream: Any):
        self.archive, self.stream = archive, stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.stream.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET:
            _check_total(self.archive, offset)
        return self.stream.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        size = LARGEST + 1 if size < 0 else size
        _check_size(self.archive, "a part that must be read at once", size)
        content = self.stream.read(size)
        _check_total(self.archive, self.stream.tell())
        return content


@contextmanager
def _unzipped(archive: Path) -> Iterator[Any]:
    with open(archive, "rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        with gzip.open(file) if zipped else nullcontext(file) as stream:
            yield _Capped(archive, stream)


def _check_total(archive: Path, unpacked: int) -> None:
    size = archive.stat().st_size
    if unpacked > RATIO * size + ALLOWANCE:
        raise InputError(
            f"archive {archive} of {size} bytes unpacks to {unpacked} bytes or more, expected at "
            f"most {RATIO} times its size and {ALLOWANCE} more, as photographs hardly compress"
        )


def _check_size(archive: Path, name: str, size: int) -> None:
    if size > LARGEST:
        raise InputError(f"{archive}: {name} has {size} bytes, expected at most {LARGEST}")


def _check_name(archive: Path, name: str) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise InputError(f"{archive} has a member outside its folder: {name}")
