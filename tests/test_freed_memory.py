import gc
import subprocess
import sys

import pytest
from commands import gud

EVALUATIONS = """
import resource, sys
from gud.cli import main

def evaluation():
    activations = [b"x" * 2**22 for _ in range(6)]

def faults():
    evaluation()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        evaluation()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

fetched = faults()
sys.stdout = sys.stderr
main(["--help"])
print(fetched, faults(), file=sys.__stdout__)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems free memory in other ways")
def test_in_a_command_evaluations_take_again_the_memory_that_others_freed():
    command = [sys.executable, "-c", EVALUATIONS]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    fetched, kept = map(int, found)
    assert kept < fetched / 4


def test_garbage_is_collected_again_once_a_command_is_imported():
    assert gud("watch", "--help") == 0
    assert gc.isenabled()
