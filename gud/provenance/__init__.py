"""Atomic writing of artefacts, each with a JSON record of how it was made.

The record of `x.npz` is `x.npz.json`: its sha256, the inputs with their sha256 and the digests of
their records, resolved settings, seed, the command that repeats it, versions of code and packages,
device and wall time. `gud audit x.npz` follows the chain.
"""

from gud.provenance.checked import checked_record as checked_record
from gud.provenance.checked import inputs_of as inputs_of
from gud.provenance.checked import record_of as record_of
from gud.provenance.command import commanded as commanded
from gud.provenance.record import FORMAT as FORMAT
from gud.provenance.record import OPEN as OPEN
from gud.provenance.record import Code as Code
from gud.provenance.record import Record as Record
from gud.provenance.record import as_record as as_record
from gud.provenance.record import files_of as files_of
from gud.provenance.record import input_names as input_names
from gud.provenance.record import read_record as read_record
from gud.provenance.record import record_digest as record_digest
from gud.provenance.record import record_path as record_path
from gud.provenance.record import write_record as write_record
from gud.provenance.record import write_records as write_records
from gud.provenance.versions import code_version as code_version
from gud.provenance.versions import package_versions as package_versions
from gud.provenance.writing import atomic as atomic
from gud.provenance.writing import naming as naming
from gud.provenance.writing import read_tensors as read_tensors
from gud.provenance.writing import sha256 as sha256
from gud.provenance.writing import write_arrays as write_arrays
from gud.provenance.writing import write_tensors as write_tensors
from gud.provenance.writing import write_text as write_text
