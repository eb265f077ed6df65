"""Every command on spoilt inputs: one sentence and a status, nothing half-written, no hang."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import of_audits
import of_data
import of_figures
import of_models
import of_plans
import of_reports
import pandas as pd
import pytest
from commands import disk_full_after, gud
from spoiling import ANY, JSON, forge, ways
from spoilt_command import GUIDE, A, B, filled

from gud import cli
from gud.audit.verify import judge, running
from gud.cli import NamedPreset
from gud.config.preset import load_preset
from gud.provenance import read_record, record_digest, record_path, sha256

ROOMS = (of_data, of_models, of_reports, of_figures, of_audits, of_plans)
COMMANDS = {name: command for room in ROOMS for name, command in room.COMMANDS.items()}
"""By what is tried; the first word of the command line is the command."""
SECONDS = 120
"""A command that takes longer hangs."""
STATES = ("shards", "checkpoints", "logs")
"""Folders of what a command that failed resumes from."""


def files(root: Path) -> set[str]:
    found = set()
    for folder, folders, names in os.walk(root):
        folders[:] = set(folders) - set(STATES)
        found |= {os.path.join(folder, name) for name in names}
    return found


def ends(root: Path, line: list[str], capsys, statuses=(2,), judges=False) -> int:
    """The status of a command, which says one sentence and leaves nothing unless it is 0."""
    before = files(root)
    capsys.readouterr()

    def hang(*_):
        raise AssertionError(f"{line} hangs")

    signal.signal(signal.SIGALRM, hang)
    signal.alarm(SECONDS)
    try:
        status = gud(*line)
    finally:
        signal.alarm(0)
    said = capsys.readouterr().err
    assert status in statuses, said
    assert "Traceback" not in said
    if status == 2 and not (judges and not said):
        errors = [text for text in said.splitlines() if text.startswith("error: ")]
        assert len(errors) == 1 and said.splitlines()[-1] == errors[0], said
        assert files(root) <= before
    return status


FIRST = {command.words.split()[0]: name for name, command in reversed(COMMANDS.items())}
"""What is tried of each command at first, and in most ways."""


SHORT = ("missing", "empty", "cut", "a mapping of nothing", "deep", "lists for all")
"""Ways to spoil what has been spoilt in all ways for another command."""


def file_cases() -> Iterator[tuple[str, str, str]]:
    for name, command in COMMANDS.items():
        for file in command.spoilt:
            thorough = name in FIRST.values() and file == command.spoilt[0]
            for how in ways(file):
                if thorough or how in SHORT or not (how in ANY or how in JSON):
                    yield name, file, how


FILES = list(file_cases())
LINES = [(name, how) for name in FIRST.values() for how in COMMANDS[name].spoilt_lines()]


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_succeeds_on_inputs_that_are_not_spoilt(root, capsys, name):
    command = COMMANDS[name]
    # The picture among what is verified is of no known kind.
    good = 1 if name == "verify" else 0
    assert ends(root, command.line(root), capsys, (good,)) == good
    assert not command.out or (root / command.out).is_file()


@pytest.mark.parametrize("command", FIRST)
def test_each_command_meets_at_least_25_spoilt_inputs(command):
    cases = [COMMANDS[name].words.split()[0] for name, *_ in (*FILES, *LINES)]
    assert cases.count(command) >= 25


def test_every_command_there_is_is_tried():
    assert set(FIRST) == {name for section in cli.COMMANDS.values() for name in section}


@pytest.mark.slow
@pytest.mark.parametrize("name, file, how", FILES)
def test_a_spoilt_file_is_one_sentence(root, capsys, name, file, how):
    command = COMMANDS[name]
    before = (root / file).read_bytes()
    ways(file)[how](root / file)
    if not file.endswith(".json"):
        forge(root / file)
    sure = how in ("missing", "a folder", "a link to itself", "empty", "a page")
    unchanged = (root / file).is_file() and (root / file).read_bytes() == before
    statuses = command.ends if sure and not unchanged else (*command.ends, 0)
    ends(root, command.line(root), capsys, statuses, command.judges)


@pytest.mark.slow
@pytest.mark.parametrize("name, how", LINES)
def test_a_spoilt_command_line_is_one_sentence(root, capsys, name, how):
    line = [filled(word, root) for word in COMMANDS[name].spoilt_lines()[how]]
    ends(root, line, capsys, (0, 1, 2), COMMANDS[name].judges)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if command.out])
@pytest.mark.parametrize("how", ["a folder", "in a file", "full"])
def test_an_output_that_cannot_be_written_is_one_sentence(root, capsys, name, how):
    command = COMMANDS[name]
    out = root / command.out
    line = command.line(root)
    if how == "a folder":
        out.unlink(missing_ok=True)
        (out / "kept").mkdir(parents=True)
    if how == "in a file":
        (root / "file").write_text("")
        line = [word.replace(str(out.parent), str(root / "file/new")) for word in line]
    with disk_full_after(16) if how == "full" else contextlib.nullcontext():
        ends(root, line, capsys)


@pytest.mark.slow
def test_what_single_figures_show_passes_the_checks_of_its_kind_until_it_is_altered(root):
    preset = NamedPreset(root / "tiny.yaml", load_preset(root / "tiny.yaml"))
    with running(preset, root) as run:
        for path in (root / GUIDE, *(root / GUIDE).parent.glob("checkpoints/*.safetensors")):
            assert str(judge(path, run))[:4] == "pass", str(judge(path, run))
        for kind, name, key in (
            ("guided", "assigned", "it joins its shards"),
            ("strips", "strips", "it joins its shards"),
            ("reconstructions", "original", "its originals are the test images"),
            ("inpainted", "completions", "what is given keeps its grey levels"),
        ):
            path = root / (f"iso/{kind}/{A}.npz" if kind == "guided" else f"columns/{kind}/{B}.npz")
            verdict = judge(path, run)
            assert (verdict.kind, str(verdict)[:4]) == (kind, "pass"), str(verdict)
            with np.load(path) as arrays:
                np.savez(path, **dict(arrays) | {name: arrays[name][::-1]})
            record_again(path)
            assert key in str(judge(path, run))


@pytest.mark.slow
def test_the_shares_of_guided_samples_pass_their_checks_until_one_is_altered(root):
    preset = NamedPreset(root / "tiny.yaml", load_preset(root / "tiny.yaml"))
    path = root / f"iso/guided/{A}.csv"
    with running(preset, root) as run:
        verdict = judge(path, run)
        assert (verdict.kind, str(verdict)[:4]) == ("guided shares", "pass"), str(verdict)
        shares = pd.read_csv(path)
        shares.loc[0, "guided_share"] += 0.1
        shares.to_csv(path, index=False)
        record_again(path)
        assert "its shares of guided samples are those of the samples" in str(judge(path, run))


def record_again(path):
    """The record of an altered file, as if it had been made so."""
    record = read_record(path) | {"sha256": sha256(path)}
    record["record_sha256"] = record_digest(record)
    record_path(path).write_text(json.dumps(record))
