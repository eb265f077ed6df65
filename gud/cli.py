"""The command `gud`: its group, statuses and messages, and the options that commands share."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import logging
import os
import select
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

import click

from gud.commands import COMMANDS
from gud.config.preset import Preset, load_preset
from gud.errors import FULL, InputError, Interrupted
from gud.provenance import commanded

PICTURES = (".pdf", ".png")
"""Formats of figures."""
USAGE = 2
RESUMABLE = 75
INTERRUPTED = 130
UNREAD = 141

log = logging.getLogger(__name__)


class Commands(click.Group):
    """A group that imports the module of a command when it is called."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except BrokenPipeError:
            # From here on click would make it status 1, whoever's pipe it was.
            if _unread(sys.stdout):
                return UNREAD
            raise

    def list_commands(self, _context: click.Context) -> list[str]:
        return [name for section in COMMANDS.values() for name in section]

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        for section in COMMANDS.values():
            if name in section:
                return _imported(section[name][0]).main
        return None

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        for title, section in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name, text) for name, (_, text) in section.items()])


def _imported(name: str) -> ModuleType:
    """A module, imported without looking for garbage, of which imports leave next to none."""
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.enable()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--log", type=click.Path(path_type=Path), help="Also write log messages to this file."
)
def gud(log: Path | None) -> None:
    """Generation with Unified Diffusion: the experiments of arXiv 2410.02667, and their audit."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    if log:
        log.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(log)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%F %T"))
        logging.getLogger().addHandler(handler)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    keep_freed_memory()
    with commanded(sys.argv[1:] if argv is None else argv):
        return reported(lambda: gud.main(argv, prog_name="gud", standalone_mode=False))


def console() -> None:
    """The installed script `gud`."""
    status = main()
    # Python looks for garbage among all objects as it ends, and those of torch are many.
    gc.freeze()
    sys.exit(status)


def keep_freed_memory() -> None:
    """Let this process keep what it frees, blocks of 32 MiB at most, to take it again at once.

    The C library of Linux otherwise returns what a network took to the system after each evaluation
    without gradients, and samples on a CPU wait for it to be fetched again, page by page.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        trim_threshold, mmap_threshold = -1, -3
        mallopt(mmap_threshold, 2**25)
        mallopt(trim_threshold, 2**31 - 1)


def put_python_first() -> None:
    """Let the commands that this process calls find its own Python first, activated or not."""
    folder = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join([folder, os.environ.get("PATH", os.defpath)])


def reported(call: Callable[[], Any]) -> int:
    """The exit status of a call; its errors become one line on stderr.

    Wrong usage, `InputError`, a full disk, a file that cannot be opened and an input too large for
    the memory give status 2, `Interrupted` 75, Ctrl-C in work that saves no state 130, and a stdout
    that nobody reads any more (`| head -1`) 141, as of any program that SIGPIPE ends. A stderr that
    nobody reads any more changes no exit status.
    """
    status, line = 0, ""
    try:
        returned = call()
        status = returned if isinstance(returned, int) else 0
    except InputError as error:
        status, line = USAGE, f"error: {error}"
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "gud"
        status, line = USAGE, f"error: {error.format_message()} (see {command} --help)"
    except Interrupted as stop:
        status, line = RESUMABLE, f"interrupted: {stop}"
    except (click.Abort, KeyboardInterrupt):
        status, line = INTERRUPTED, "interrupted"
    except MemoryError as error:
        status, line = USAGE, f"error: out of memory: {error or 'an input is too large'}"
    except RecursionError:
        status, line = USAGE, "error: an input is nested too deeply"
    except UnicodeEncodeError as error:
        status, line = USAGE, f"error: an input holds text that UTF-8 cannot express: {error}"
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _unread(sys.stdout):
            return UNREAD
        if error.errno in FULL:
            line = f"error: {error.filename or 'a file'} cannot be written: {error}"
        elif error.filename is not None:
            line = f"error: {error.filename}: {error.strerror}"
        else:
            log.exception("unexpected error")
            raise
        status = USAGE
    except Exception:
        log.exception("unexpected error")
        raise
    finally:
        _end(line)
    return status


def _unread(stream: TextIO) -> bool:
    """Whether the other end of the pipe that a stream writes to is closed."""
    poll = select.poll()
    try:
        poll.register(stream, 0)
    except (OSError, ValueError):
        return False
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _end(line: str) -> None:
    """Say the last line on stderr and in the log file, and flush."""
    line = line.encode(errors="backslashreplace").decode()
    root = logging.getLogger()
    files = [handler for handler in root.handlers if isinstance(handler, logging.FileHandler)]
    for handler in files:
        if line and handler.stream:
            handler.stream.write(line + "\n")
        root.removeHandler(handler)
        handler.close()
    for stream in (sys.stdout, sys.stderr):
        try:
            if line and stream is sys.stderr:
                print(line, file=stream)
            stream.flush()
        except OSError:
            # Python flushes once more as it exits, and would exit with another status.
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@dataclass(frozen=True)
class NamedPreset:
    """A preset, checked, and the file that it comes from."""

    file: Path
    preset: Preset

    @property
    def name(self) -> str:
        return self.file.stem

    @property
    def results(self) -> Path:
        return Path("results") / self.name


class PresetFile(click.ParamType):
    """A preset by its file, or by its name in the folder config/."""

    name = "preset"

    def convert(self, value: Any, param: Any, ctx: Any) -> NamedPreset:
        if isinstance(value, NamedPreset):
            return value
        named = Path("config") / f"{value}.yaml"
        file = named if not Path(value).is_file() and named.is_file() else Path(value)
        return NamedPreset(file, load_preset(file))


class OutFile(click.Path):
    """A file to write, refused before any work where it cannot be: a folder, or no name at all."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        path = Path(value)
        try:
            folder = stat.S_ISDIR(path.stat().st_mode)
        except FileNotFoundError:
            folder = False
        except OSError as error:
            self.fail(f"{value!r} cannot be written: {error.strerror}", param, ctx)
        if folder:
            self.fail(f"{value!r} is a folder, expected a file to write", param, ctx)
        return path


class PictureFile(OutFile):
    """A picture to write, whose suffix says its format."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        path = super().convert(value, param, ctx)
        if path.suffix not in PICTURES:
            self.fail(f"{value!r} must end in {' or '.join(PICTURES)}", param, ctx)
        return path


File = click.Path(path_type=Path)
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def preset_argument() -> Decorator:
    return click.argument("preset", type=PresetFile())


def preset_option() -> Decorator:
    return click.option(
        "--preset", type=PresetFile(), required=True, help="Preset file, or its name in config/."
    )


def experiment_option() -> Decorator:
    """The options --preset and --experiment."""
    named = click.option("--experiment", required=True, help="Name of the experiment.")
    return lambda function: preset_option()(named(function))


def point_option() -> Decorator:
    return click.option(
        "--point", required=True, help="Point of the schedule family, e.g. a=1_r=0."
    )


def input_option(name: str, help: str, required: bool = True) -> Decorator:
    return click.option(name, type=File, required=required, help=help)


def out_option(help: str = "File to write.") -> Decorator:
    return click.option("--out", type=OutFile(), required=True, help=help)


def device_option() -> Decorator:
    return click.option(
        "--device", type=click.Choice(["cpu", "cuda"]), help="Default: a GPU if there is one."
    )
