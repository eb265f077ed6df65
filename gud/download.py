"""Download a file and check its sha256, resuming where an earlier try stopped.

`python -m gud.download --url URL --sha256 HEX --out FILE` gathers the bytes in FILE.part and gives
them the name FILE once their sha256 is right, so that FILE is always complete. With `--sha256
unpublished`, for want of a checksum, the file is taken as it comes, and its record says
`"verified": false` beside the sha256 found.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests
import urllib3
from requests.adapters import HTTPAdapter
from tqdm import tqdm

from gud.errors import InputError, command_line
from gud.provenance import read_record, record_path, sha256, write_record

ATTEMPTS = 5
"""Tries in a row that may bring no new byte."""
BACKOFF = 1.0
"""Seconds before the second retry, doubled before each further one."""
TIMEOUT = 30.0
"""Seconds without an answer before a try is given up."""
BLOCK = 1 << 16
PASSING_STATUS = (429, 500, 502, 503, 504)
UNPUBLISHED = "unpublished"
"""In place of a sha256: none was found to hold the file against."""
ADVICE = "set this download's `url` in the preset to a mirror or to the file:// URL of a copy"

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
            f"sha256 of {url} must be 64 hexadecimal digits or {UNPUBLISHED}, not {digest!r}"
        )
    digest = digest.lower()
    expected = _recorded(url, out) if digest == UNPUBLISHED else digest
    if out.is_file() and sha256(out) == expected:
        log.info("%s is complete", out)
        return False
    part = Path(f"{out}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    if not (part.is_file() and sha256(part) == expected):
        _fetch(url, part)
    found = sha256(part)
    if digest == UNPUBLISHED:
        log.info("%s has sha256 %s, which nothing was there to check against", url, found)
    elif found != digest:
        part.unlink()
        raise InputError(
            f"{url} gave a file of sha256 {found}, not {digest}: it was removed and the next try "
            f"starts afresh; if this happens again, {ADVICE}"
        )
    os.replace(part, out)
    return True


def _recorded(url: str, out: Path) -> str | None:
    """The sha256 that an earlier download from this URL found."""
    try:
        record = read_record(out)
        return record["sha256"] if record["settings"]["url"] == url else None
    except (OSError, ValueError, KeyError):
        return None


def _record_lacks(out: Path, verified: bool) -> bool:
    """Whether a complete file has no record, or one from before its checksum was known."""
    return not record_path(out).exists() or verified > read_record(out).get("verified", True)


def _fetch(url: str, part: Path) -> None:
    match urlsplit(url).scheme:
        case "http" | "https":
            _fetch_http(url, part)
        case "file":
            try:
                shutil.copyfile(url2pathname(urlsplit(url).path), part)
            except OSError as error:
                raise InputError(f"{url} cannot be read: {error.strerror}") from None
        case _:
            raise InputError(f"url {url!r} must begin with https://, http:// or file://")


def _fetch_http(url: str, part: Path) -> None:
    """Try until the whole body has come; each try continues the one before."""
    retries = urllib3.Retry(
        ATTEMPTS,
        backoff_factor=BACKOFF,
        status_forcelist=PASSING_STATUS,
        raise_on_status=False,
        respect_retry_after_header=False,
    )
    furthest = failures = 0
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=retries))
        session.mount("https://", HTTPAdapter(max_retries=retries))
        while True:
            try:
                return _receive(session, url, part)
            except requests.RequestException as error:
                reason = type(error).__name__
                raise InputError(f"{url} cannot be reached ({reason}): {ADVICE}") from None
            except urllib3.exceptions.HTTPError as error:
                size = part.stat().st_size
                failures = 0 if size > furthest else failures + 1
                furthest = max(size, furthest)
                log.info("%s broke off after %d bytes", url, size)
                if failures == ATTEMPTS:
                    raise InputError(
                        f"{url} broke off {ATTEMPTS} times in a row after {size} bytes "
                        f"({type(error).__name__}): {ADVICE}, or try again to continue from there"
                    ) from None
                time.sleep(BACKOFF * 2**failures)


def _receive(session: requests.Session, url: str, part: Path) -> None:
    """Append to `part` what it lacks, or write it anew if the server sends the whole file."""
    have = part.stat().st_size if part.exists() else 0
    # Some servers label .tar.gz as a gzip content encoding: the bytes are wanted as they are.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if have and response.status_code == requests.codes.requested_range_not_satisfiable:
            part.unlink()
            return _receive(session, url, part)
        if not response.ok:
            raise InputError(f"{url} answered {response.status_code} {response.reason}: {ADVICE}")
        if response.status_code != requests.codes.partial_content:
            have = 0
        length = response.headers.get("Content-Length", "")
        log.info("fetching %s from byte %d", url, have)
        with (
            open(part, "ab" if have else "wb") as file,
            tqdm(
                desc=part.stem,
                initial=have,
                total=have + int(length) if length.isdigit() else None,
                unit="B",
                unit_scale=True,
                disable=None,
            ) as bar,
        ):
            for block in response.raw.stream(BLOCK, decode_content=False):
                file.write(block)
                bar.update(len(block))


@command_line
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", required=True, help="http, https or file URL")
    parser.add_argument("--sha256", required=True, help=f"hexadecimal, or {UNPUBLISHED}")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    started = time.time()
    fetched = download(arguments.url, arguments.out, arguments.sha256)
    verified = arguments.sha256 != UNPUBLISHED
    if fetched or _record_lacks(arguments.out, verified):
        settings = {"url": arguments.url, "sha256": arguments.sha256}
        write_record(arguments.out, settings=settings, started=started, verified=verified)


if __name__ == "__main__":
    sys.exit(main())
