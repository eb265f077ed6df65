"""The bytes behind a URL, gathered in FILE.part over as many tries as it takes.

FILE.part.json says which version of which URL a part is of: without a checksum no other is
continued. Credentials in a URL serve to fetch the file; logs, messages and records show it without.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

import requests
import urllib3
from requests.adapters import HTTPAdapter
from tqdm import tqdm

from gud.errors import InputError

ATTEMPTS = 5
"""Tries in a row that may bring no new byte."""
BACKOFF = 1.0
"""Seconds before the second retry, doubled before each further one."""
TIMEOUT = 30.0
"""Seconds without an answer before a try is given up."""
BLOCK = 1 << 16
PASSING_STATUS = (429, 500, 502, 503, 504)
SECRET = re.compile(r"token|secret|passw|sig$|signature|key|auth|credential|session|jwt", re.I)
"""Names of parameters of a URL whose values are nobody else's business."""
ADVICE = "set this download's `url` in the preset to a mirror or to the file:// URL of a copy"
UNREACHABLE = (requests.RequestException, urllib3.exceptions.LocationValueError, UnicodeError)

log = logging.getLogger(__name__)
# Its warnings of what it tries again name the URL with all its parameters.
logging.getLogger("urllib3").setLevel(logging.ERROR)


def public(url: str) -> str:
    """A URL without user, password and fragment, the values of secret parameters left out."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InputError(f"the url is malformed: {error}") from None
    pairs = (pair.partition("=") for pair in parts.query.split("&"))
    query = "&".join(f"{key}=..." if SECRET.search(key) else key + eq + v for key, eq, v in pairs)
    return urlunsplit(
        parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query, fragment="")
    )


def fetch(url: str, part: Path, checked: bool) -> None:
    """Make `part` the file behind a URL.

    Args:
        checked: there is a checksum to hold the file against; without one, only a part of the very
            version that the server has is continued.
    """
    shown = public(url)
    match urlsplit(url).scheme:
        case "http" | "https":
            _fetch_http(url, part, checked)
        case "file":
            source = Path(url2pathname(urlsplit(url).path))
            if urlsplit(url).netloc not in ("", "localhost") or not source.is_file():
                raise InputError(f"{shown} cannot be read: it is not a file on this machine")
            try:
                shutil.copyfile(source, part)
            except OSError:
                part.unlink(missing_ok=True)
                raise
        case _:
            raise InputError(f"url {shown!r} must begin with https://, http:// or file://")


@dataclass(frozen=True)
class Version:
    """Which file a part is of.

    Args:
        url: it came from, without credentials.
        validator: the server's name for this version of the file, if it gives one: a strong ETag or
            the time of the last change.
        size: bytes of the whole file, if known.
    """

    url: str
    validator: str | None
    size: int | None

    @classmethod
    def of(cls, url: str, headers: Mapping[str, str], size: int | None) -> Version:
        tag = headers.get("ETag", "")
        strong = tag if tag.startswith('"') else None
        return cls(public(url), strong or headers.get("Last-Modified"), size)

    @classmethod
    def read(cls, url: str, part: Path) -> Version:
        """The version noted beside a part; nothing is known if it is from another URL."""
        try:
            found = cls(**json.loads(note(part).read_text()))
        except (OSError, ValueError, TypeError):
            found = cls("", None, None)
        return found if found.url == public(url) else cls(public(url), None, None)


def note(part: Path) -> Path:
    """Where the version of a part is written."""
    return Path(f"{part}.json")


def _fetch_http(url: str, part: Path, checked: bool) -> None:
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
                return _receive(session, url, part, checked)
            except UNREACHABLE as error:
                reason = type(error).__name__
                raise InputError(f"{public(url)} cannot be reached ({reason}): {ADVICE}") from None
            except urllib3.exceptions.HTTPError as error:
                size = part.stat().st_size
                failures = 0 if size > furthest else failures + 1
                furthest = max(size, furthest)
                log.info("%s broke off after %d bytes", public(url), size)
                if failures == ATTEMPTS:
                    raise InputError(
                        f"{public(url)} broke off {ATTEMPTS} times in a row after {size} bytes "
                        f"({type(error).__name__}): {ADVICE}, or try again to continue from there"
                    ) from None
                time.sleep(BACKOFF * 2**failures)


def _receive(session: requests.Session, url: str, part: Path, checked: bool) -> None:
    """Append to `part` what it lacks, or write it anew if the server sends the whole file."""
    version = Version.read(url, part)
    have = part.stat().st_size if part.exists() and (checked or version.validator) else 0
    # Some servers label .tar.gz as a gzip content encoding: the bytes are wanted as they are.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    if have and version.validator:
        headers["If-Range"] = version.validator
    with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        status = response.status_code
        if status not in (200, 206, 416) or (status != 200 and not have):
            raise InputError(f"{public(url)} answered {status} {response.reason}: {ADVICE}")
        sent = _content_range(response.headers)
        length = response.headers.get("Content-Length", "")
        size = int(length) if length.isdigit() else None
        if status == 206:
            size = sent[1] if sent else None
        found = Version.of(url, response.headers, size)
        if status == 416 or (
            status == 206 and not (sent and _continues(sent, have, found, version))
        ):
            log.info("%s is not what %s is a part of: starting over", public(url), part)
            part.unlink()
            return _receive(session, url, part, checked)
        if not checked and size is None and not response.raw.chunked:
            raise InputError(
                f"{public(url)} does not say how long the file is, so that without a sha256 nobody "
                f"can tell it from one that was cut off: give its sha256, or {ADVICE}"
            )
        have = have if status == 206 else 0
        log.info("fetching %s from byte %d", public(url), have)
        with open(part, "ab" if have else "wb") as file:
            if not have:
                note(part).write_text(json.dumps(asdict(found)))
            bar = tqdm(
                desc=part.stem, initial=have, total=size, unit="B", unit_scale=True, disable=None
            )
            with bar:
                for block in response.raw.stream(BLOCK, decode_content=False):
                    file.write(block)
                    bar.update(len(block))
    if size is not None and part.stat().st_size < size:
        raise urllib3.exceptions.ProtocolError("the answer was shorter than the file")


def _content_range(headers: Mapping[str, str]) -> tuple[int, int] | None:
    """First byte and size of the whole of the answer to a request for a range."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", headers.get("Content-Range", "").strip())
    return (int(found[1]), int(found[2])) if found else None


def _continues(sent: tuple[int, int], have: int, found: Version, version: Version) -> bool:
    """Whether an answer begins where a part ends, and is of the same version of the file."""
    return (
        sent[0] == have
        and version.size in (None, sent[1])
        and version.validator in (None, found.validator or version.validator)
    )
