import errno
import subprocess
import sys
from pathlib import Path

import pytest
from commands import gud, status, write_preset

from gud.cli import PresetFile
from gud.errors import InputError, Interrupted
from gud.provenance import atomic


def ends(error):
    def fail():
        raise error

    return status(fail)


@pytest.mark.parametrize(
    "error, status, line",
    [
        (InputError("a = 7 is too large"), 2, "error: a = 7 is too large\n"),
        (Interrupted("SIGTERM after step 3"), 75, "interrupted: SIGTERM after step 3\n"),
        (
            PermissionError(13, "Permission denied", "/root/x"),
            2,
            "error: /root/x: Permission denied\n",
        ),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_errors_of_a_user_become_one_line_and_an_exit_status(error, status, line, capsys):
    assert ends(error) == status
    assert capsys.readouterr().err == line


def test_errors_of_the_program_keep_their_traceback():
    with pytest.raises(OSError, match="no file"):
        ends(OSError("no file is named here"))


@pytest.mark.slow
def test_an_output_folder_that_is_a_file_is_one_sentence(tmp_path):
    (tmp_path / "taken").write_text("")
    command = ["dataset", "--preset", str(write_preset(tmp_path / "p.yaml")), "--name", "natural16"]
    done = subprocess.run(
        [sys.executable, "-m", "gud", *command, "--out", str(tmp_path / "taken/data.npz")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert f"{tmp_path}/taken/data.npz' cannot be written: Not a directory" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["audit"], ["train", "--processes", "many"], ["tell"], ["--no"]])
def test_wrong_usage_is_one_line_that_points_to_the_help(words, capsys):
    assert gud(*words) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and "--help" in said and said.count("\n") == 1


def test_what_is_said_and_the_error_are_in_the_log_as_well(tmp_path):
    log = tmp_path / "logs/audit.log"
    assert gud("--log", log, "audit", tmp_path / "none.csv") == 2
    assert log.read_text().splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize(
    "error, line",
    [
        (MemoryError("Unable to allocate 31 TiB"), "out of memory: Unable to allocate 31 TiB"),
        (RecursionError("deep"), "an input is nested too deeply"),
    ],
)
def test_an_input_that_is_too_large_is_one_line(error, line, capsys):
    assert ends(error) == 2
    assert capsys.readouterr().err == f"error: {line}\n"


def test_a_preset_is_found_by_its_name_beside_a_folder_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_preset(tmp_path / "config/mine.yaml")
    (tmp_path / "mine").mkdir()
    found = PresetFile().convert("mine", None, None)
    assert found.file == Path("config/mine.yaml") and found.name == "mine"


def test_text_that_is_no_utf8_is_one_line(tmp_path, capsys):
    assert status((tmp_path / "text").write_text, "\ud800") == 2
    assert "text that UTF-8 cannot express" in capsys.readouterr().err


def test_a_stdout_that_nobody_reads_any_more_ends_the_command_in_silence():
    program = (
        "import sys\n"
        "from gud.cli import reported\n"
        "sys.exit(reported(lambda: [print('line') for _ in range(100_000)]))"
    )
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "line\n"
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 128 + 13


def test_a_full_disk_is_named_by_the_file_that_was_to_be_made(tmp_path):
    with pytest.raises(OSError) as caught, atomic(tmp_path / "made.txt") as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(tmp_path / "made.txt")
    assert list(tmp_path.iterdir()) == []
