"""Data sets, and the files from the network that they are made from."""

from __future__ import annotations

import hashlib
import re
from abc import abstractmethod
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from gud.config.sections.section import Name, NonNegative, Positive, Section


class DataSection(Section):
    """A data set of a preset."""

    source: str

    @property
    def archive_names(self) -> list[str]:
        """The downloads that it is made from, training before test."""
        return []

    @property
    def classes(self) -> int:
        """How many classes its images are of; 0 where they have none."""
        return 0

    @property
    @abstractmethod
    def image_size(self) -> int:
        """Height and width of its images."""


class NaturalPatches(DataSection):
    source: Literal["natural_patches", "tissue_patches"]
    size: Annotated[int, Field(ge=8, le=64)]
    stride: Positive

    @property
    def classes(self) -> int:
        return 6 if self.source == "natural_patches" else 0

    @property
    def image_size(self) -> int:
        return self.size


class Cifar10(DataSection):
    source: Literal["cifar10"]
    archive: Name

    @property
    def archive_names(self) -> list[str]:
        return [self.archive]

    @property
    def classes(self) -> int:
        return 10

    @property
    def image_size(self) -> int:
        return 32


class Archives(Section):
    """Downloads that hold the images of a split, in the order they are read."""

    train: list[Name] = Field(min_length=1)
    test: list[Name] = Field(min_length=1)

    @model_validator(mode="after")
    def _splits_are_apart(self) -> Archives:
        if both := set(self.train) & set(self.test):
            raise ValueError(f"train and test both name {min(both)}")
        return self


class ArchivedImages(DataSection):
    size: int
    archives: Archives

    @property
    def archive_names(self) -> list[str]:
        return [*self.archives.train, *self.archives.test]

    @property
    def image_size(self) -> int:
        return self.size


class Pcam(ArchivedImages):
    source: Literal["pcam"]
    size: Literal[8, 12, 16, 24, 32, 48, 96]


class Crop(Section):
    """The square of pixels that is cut from each image: its upper left corner, and its side."""

    top: NonNegative
    left: NonNegative
    side: Positive


class ImageArchives(ArchivedImages):
    source: Literal["images"]
    size: Annotated[int, Field(ge=8, le=1024)]
    crop: Crop | None = None

    @model_validator(mode="after")
    def _crop_can_be_reduced(self) -> ImageArchives:
        if self.crop and self.crop.side % self.size:
            raise ValueError(f"crop.side = {self.crop.side} must be a multiple of {self.size}")
        return self


Data = Annotated[NaturalPatches | Cifar10 | Pcam | ImageArchives, Field(discriminator="source")]


def _check_url(url: str) -> str:
    pattern = r"(https?://[^/?# ]+|file://(localhost)?)/[^?#]*[^/?#]([?#].*)?"
    if not (url.isprintable() and re.fullmatch(pattern, url)):
        # The URL is not repeated: it may hold a password.
        raise ValueError("it must be the https://, http:// or file:/// address of a file")
    return url


class Download(Section):
    """A file from the network; any URL (also file://) that gives the same bytes will do.

    `sha256: unpublished` says that there is no checksum to verify the file against: the file is
    taken as it comes, and its provenance record says so, beside the checksum that it turned out to
    have.
    """

    url: Annotated[str, Field(max_length=2000), AfterValidator(_check_url)]
    sha256: Annotated[str, Field(pattern="^([0-9a-f]{64}|unpublished)$")]

    @property
    def file(self) -> str:
        """The file's own name: the last part of the URL's path, safe characters alone."""
        name = PurePosixPath(urlsplit(self.url).path).name
        return re.sub(r"^\.|[^A-Za-z0-9._+-]", "_", name)[-100:]

    @property
    def folder(self) -> str:
        """What the file is kept under: its content or, where that is not known, its URL.

        Downloads of the same content are one, whatever presets call it and wherever they get it.
        """
        known = self.sha256 != "unpublished"
        return (self.sha256 if known else hashlib.sha256(self.url.encode()).hexdigest())[:16]

    @property
    def kept(self) -> str:
        """Where it lies in the folder of downloads."""
        return f"{self.folder}/{self.file}"


def kept_as(downloads: Iterable[Download], name: str) -> Download | None:
    """The download that is kept under a name; first a copy on this machine, without network."""
    found = [download for download in downloads if download.kept == name]
    return max(found, key=lambda download: download.url.startswith("file:"), default=None)
