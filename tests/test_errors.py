import subprocess
import sys

import pytest

from gud.errors import InputError, Interrupted, command_line


def ends(error):
    @command_line
    def main(argv=None):
        raise error

    return main([])


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


def test_an_output_folder_that_is_a_file_is_one_sentence(tmp_path):
    (tmp_path / "taken").write_text("")
    command = ["gud.data", "--settings", '{"source": "natural_patches", "size": 8, "stride": 32}']
    done = subprocess.run(
        [sys.executable, "-m", *command, "--out", str(tmp_path / "taken/data.npz")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"error: {tmp_path}/taken")
    assert "Traceback" not in done.stderr
