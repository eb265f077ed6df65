"""Download a file and check its sha256, resuming where an earlier try stopped.

`gud download --url URL --sha256 HEX --out FILE` gathers the bytes in FILE.part and gives them the
name FILE once their sha256 is right, so that FILE is always complete. With `--sha256 unpublished`,
for want of a checksum, the file is taken as it comes, and its record says `"verified": false`
beside the sha256 found.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
import time
from pathlib import Path

import click

from gud.cli import out_option
from gud.data.transfer import ADVICE, fetch, note, public
from gud.errors import InputError
from gud.provenance import naming, read_record, sha256, write_record

UNPUBLISHED = "unpublished"
"""In place of a sha256: there is no checksum to verify the file against."""

log = logging.getLogger(__name__)


def download(url: str, out: Path, digest: str) -> bool:
    """Make `out` the file with the given sha256, from `url` unless it is that already.

    Args:
        url: an http, https or file URL.
        out: the file to make; what an interrupted try has received stays in `out`.part.
        digest: the file's sha256 in hexadecimal, or "unpublished"; `out` is then kept if its
            record, from an earlier download of this URL, still holds.

    Returns:
        Whether anything had to be fetched.

    Raises:
        InputError: the URL cannot be reached or refuses, or the file's sha256 is another (then it
            is removed, and the next try starts afresh).
    """
    if not re.fullmatch(f"[0-9a-fA-F]{{64}}|{UNPUBLISHED}", digest):
        raise InputError(
            f"sha256 of {public(url)} must be 64 hexadecimal digits or {UNPUBLISHED}, not "
            f"{digest!r}"
        )
    digest = digest.lower()
    expected = _recorded(url, out) if digest == UNPUBLISHED else digest
    if out.is_file() and sha256(out) == expected:
        log.info("%s is complete", out)
        return False
    part = Path(f"{out}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    if not (part.is_file() and sha256(part) == expected):
        with naming(part):
            fetch(url, part, checked=digest != UNPUBLISHED)
    found = sha256(part)
    note(part).unlink(missing_ok=True)
    if digest == UNPUBLISHED:
        log.info("%s has sha256 %s; there was no checksum to verify it against", public(url), found)
    elif found != digest:
        part.unlink()
        raise InputError(
            f"{public(url)} gave a file of sha256 {found}, not {digest}: it was removed and the "
            f"next try starts afresh; if this happens again, {ADVICE}"
        )
    os.replace(part, out)
    return True


def _recorded(url: str, out: Path) -> str | None:
    """The sha256 that an earlier download from this URL found."""
    try:
        record = read_record(out)
        return record["sha256"] if record["settings"]["url"] == public(url) else None
    except (OSError, ValueError, KeyError):
        return None


def _record_lacks(out: Path, verified: bool) -> bool:
    """Whether a complete file has no good record, or one from before its checksum was known."""
    try:
        return verified > read_record(out).get("verified", True)
    except (OSError, ValueError):
        return True


@click.command()
@click.option("--url", required=True, help="http, https or file URL.")
@click.option("--sha256", required=True, help=f"Expected, in hexadecimal, or {UNPUBLISHED}.")
@out_option()
def main(url: str, sha256: str, out: Path) -> None:
    """Fetch a file and check its sha256; a download that was cut off resumes where it stopped."""
    started, verified = time.time(), sha256 != UNPUBLISHED
    if download(url, out, sha256) or _record_lacks(out, verified):
        settings = {"url": public(url), "sha256": sha256}
        # Not as it was called: the URL may hold a password.
        words = ["gud", "download", "--url", public(url), "--sha256", sha256, "--out", str(out)]
        command = shlex.join(words)
        write_record(out, settings=settings, started=started, verified=verified, command=command)
