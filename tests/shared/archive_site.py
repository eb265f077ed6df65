"""Archives of the real formats, and a folder of them that a local server serves."""

import gzip
import io

import h5py
import numpy as np
import pyarrow as pa
from commands import data_section, gud, status
from PIL import Image
from pyarrow import parquet

from gud.data import datasets
from gud.provenance import sha256


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


def write_parquet(path, files, **options):
    """As the Hugging Face hub stores images: structures of bytes and path, several row groups."""
    rows = [{"bytes": files[name], "path": name} for name in sorted(files)]
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    table = pa.table({"image": pa.array(rows, kind), "label": list(range(len(rows)))})
    parquet.write_table(table, path, row_group_size=2, **options)


def write_pcam(path, patches, name="x", **options):
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.create_dataset(name, data=patches, **options)
    path.write_bytes(gzip.compress(content.getvalue()))


class Site:
    def __init__(self, folder, url, root):
        self.folder, self.url = folder, url
        self.downloads, self.out = root / "downloads", root / "data" / "made.npz"

    def fetch(self, name, digest=None):
        argv = ["--url", f"{self.url}/{name}?download=1"]
        argv += ["--sha256", digest or sha256(self.folder / name)]
        return gud("download", *argv, "--out", self.downloads / name)

    def make(self, source, size, train, test, **more):
        for name in [*train, *test]:
            assert self.fetch(name) == 0
        names = {"train": ["some"] * len(train), "test": ["other"] * len(test)}
        settings = {"source": source, "size": size, "archives": names} | more
        archives = [self.downloads / name for name in [*train, *test]]
        return status(datasets.make, data_section(settings), archives, self.out)

    def load(self, split):
        return datasets.load(self.out, split).numpy().transpose(0, 2, 3, 1)

    def assert_refused(self, status, capsys, message):
        """One sentence, exit status 2, and nothing left in the folder of the data set."""
        (line,) = [li for li in capsys.readouterr().err.splitlines() if li.startswith("error: ")]
        assert message in line
        assert status == 2
        assert list(self.out.parent.iterdir()) == []
