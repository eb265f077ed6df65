"""CIFAR-10 from its binary archive."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gud.config.sections.data import Cifar10
from gud.data.archives import tar_files
from gud.data.sources.source import Dataset
from gud.errors import InputError

CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
RECORD = 1 + 3 * 32 * 32
TRAIN = tuple(f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6))
TEST = "cifar-10-batches-bin/test_batch.bin"


def cifar10(settings: Cifar10, archives: Sequence[Path], scratch: Path) -> Dataset:
    """CIFAR-10 from its binary archive `cifar-10-binary.tar.gz`, in the order of the files.

    Args:
        settings: nothing is read from them.
        archives: the tar.gz file; each record is a label (0 to 9) and 3 x 32 x 32 bytes.
        scratch: not used.
    """
    if len(archives) != 1:
        raise InputError("source cifar10 needs one archive, the file cifar-10-binary.tar.gz")
    archive = archives[0]
    found: dict[str, np.ndarray] = {}
    for name, content in tar_files(archive):
        if name not in (*TRAIN, TEST):
            continue
        if name in found or len(content) == 0 or len(content) % RECORD:
            raise InputError(
                f"{archive}: {name} has {len(content)} bytes, "
                f"expected, once, a multiple of {RECORD}"
            )
        found[name] = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
        if (label := found[name][:, 0].max()) > 9:
            raise InputError(f"{archive}: {name} holds the label {label}, expected 0 to 9")
    for name in (*TRAIN, TEST):
        if name not in found:
            raise InputError(f"archive {archive} has no member {name}")
    train, test = np.concatenate([found[name] for name in TRAIN]), found[TEST]
    return Dataset(
        train[:, 1:].reshape(-1, 3, 32, 32),
        test[:, 1:].reshape(-1, 3, 32, 32),
        inputs=(archive,),
        classes=CLASSES,
        train_label=train[:, 0].astype(np.int64),
        test_label=test[:, 0].astype(np.int64),
    )
