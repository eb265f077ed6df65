"""What must be true of each kind of artefact: `check` first, then one file for each stage.

A kind is a function from an artefact to its checks, entered under the pattern of its path.
"""

from gud.audit.checks import applications as applications
from gud.audit.checks import data as data
from gud.audit.checks import evaluation as evaluation
from gud.audit.checks import pictures as pictures
from gud.audit.checks import report as report
from gud.audit.checks import training as training
from gud.audit.checks.check import KINDS as KINDS
from gud.audit.checks.check import Artefact as Artefact
from gud.audit.checks.check import Check as Check
from gud.audit.checks.check import Kind as Kind
from gud.audit.checks.check import Run as Run
from gud.audit.checks.check import kind_of as kind_of
