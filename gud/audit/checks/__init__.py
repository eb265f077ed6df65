"""What must be true of each kind of artefact: `check` first, then one file for each stage.

A kind is a function from an artefact to its checks, entered under the pattern of its path.
"""

from gud.audit.checks import applications, data, evaluation, pictures, report, training
from gud.audit.checks.check import KINDS, Artefact, Check, Kind, Run, kind_of

__all__ = [
    "KINDS",
    "Artefact",
    "Check",
    "Kind",
    "Run",
    "applications",
    "data",
    "evaluation",
    "kind_of",
    "pictures",
    "report",
    "training",
]
