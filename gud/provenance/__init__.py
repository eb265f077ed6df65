"""Atomic writing of artefacts, each with a JSON record of how it was made.

The record of `x.npz` is `x.npz.json`: its sha256, the inputs with their sha256 and the digests of
their records, resolved settings, seed, the command that repeats it, versions of code and packages,
device and wall time. `gud audit x.npz` follows the chain.
"""

from gud.provenance.checked import checked_record, inputs_of, record_of
from gud.provenance.command import commanded
from gud.provenance.record import (
    FORMAT,
    OPEN,
    Code,
    Record,
    as_record,
    files_of,
    input_names,
    read_record,
    record_digest,
    record_path,
    write_record,
    write_records,
)
from gud.provenance.versions import code_version, package_versions
from gud.provenance.writing import (
    atomic,
    naming,
    read_tensors,
    sha256,
    write_arrays,
    write_tensors,
    write_text,
)

__all__ = [
    "FORMAT",
    "OPEN",
    "Code",
    "Record",
    "as_record",
    "atomic",
    "checked_record",
    "code_version",
    "commanded",
    "files_of",
    "input_names",
    "inputs_of",
    "naming",
    "package_versions",
    "read_record",
    "read_tensors",
    "record_digest",
    "record_of",
    "record_path",
    "sha256",
    "write_arrays",
    "write_record",
    "write_records",
    "write_tensors",
    "write_text",
]
