"""Downloads whose parts and answers nothing vouches for: no checksum, no length, other ranges."""

import pytest
from commands import gud
from download_site import CONTENT, DIGEST, part

from gud.data import download
from gud.errors import InputError

OTHER = bytes(reversed(CONTENT))


def unpublished(host, out):
    return gud("download", "--url", host.url, "--sha256", "unpublished", "--out", str(out))


def break_off(host, out):
    """A first try that leaves a part."""
    host.cut_after = [200_000] + [0] * 20
    assert unpublished(host, out) == 2
    host.cut_after = []
    host.requests.clear()
    return part(out).stat().st_size


def test_without_a_checksum_a_part_of_unknown_origin_is_not_continued(host, out):
    out.parent.mkdir()
    part(out).write_bytes(OTHER[:123_456])
    assert unpublished(host, out) == 0
    assert host.requests == [None]
    assert out.read_bytes() == CONTENT


@pytest.mark.parametrize("validator", ["etag", "modified"])
def test_without_a_checksum_a_part_of_the_same_version_is_continued(host, out, validator):
    setattr(host, validator, '"one"' if validator == "etag" else "Mon, 02 Jan 2023 00:00:00 GMT")
    kept = break_off(host, out)
    assert kept > 100_000
    assert unpublished(host, out) == 0
    assert host.requests == [f"bytes={kept}-"]
    assert out.read_bytes() == CONTENT
    assert sorted(path.name for path in out.parent.iterdir()) == [out.name, f"{out.name}.json"]


@pytest.mark.parametrize("ranges", [True, False])
def test_without_a_checksum_a_part_of_another_version_is_not_continued(host, out, ranges):
    host.etag = '"one"'
    break_off(host, out)
    host.etag, host.content, host.ranges = '"two"', OTHER, ranges
    assert unpublished(host, out) == 0
    assert out.read_bytes() == OTHER


@pytest.mark.parametrize("validator", [None, 'W/"one"'])
def test_without_a_checksum_a_version_that_has_no_name_is_fetched_whole(host, out, validator):
    host.etag = validator
    break_off(host, out)
    host.content = OTHER
    assert unpublished(host, out) == 0
    assert host.requests == [None]
    assert out.read_bytes() == OTHER


def test_without_a_checksum_a_part_from_another_url_is_not_continued(host, out):
    host.etag = '"one"'
    break_off(host, out)
    host.url, host.content = f"{host.url}?version=2", OTHER
    assert unpublished(host, out) == 0
    assert out.read_bytes() == OTHER


@pytest.mark.parametrize(
    "content_range",
    ["bytes 0-299999/300000", "bytes 7-299999/300000", "bytes 5-6/*", "lines 1-2/3", "bytes */3"],
)
def test_an_answer_that_does_not_begin_where_the_part_ends_is_not_appended(
    host, out, content_range
):
    host.etag = '"one"'
    break_off(host, out)
    host.content_range = content_range
    assert unpublished(host, out) == 0
    assert host.requests[-1] is None
    assert out.read_bytes() == CONTENT


def test_an_answer_of_another_length_than_the_part_is_of_is_not_appended(host, out):
    host.etag = '"one"'
    kept = break_off(host, out)
    host.content_range = f"bytes {kept}-299998/299999"
    assert unpublished(host, out) == 0
    assert host.requests[-1] is None
    assert out.read_bytes() == CONTENT


def test_without_checksum_and_length_a_file_that_may_be_cut_off_is_refused(host, out, capsys):
    host.length = False
    host.cut_after = [200_000]
    assert unpublished(host, out) == 2
    assert "does not say how long the file is" in capsys.readouterr().err
    assert not out.exists()


def test_with_a_checksum_a_file_needs_no_length(host, out):
    host.length = False
    download.download(host.url, out, DIGEST)
    assert out.read_bytes() == CONTENT


def test_a_server_that_sends_a_range_unasked_is_refused(host, out, monkeypatch):
    monkeypatch.setattr(host, "statuses", [206])
    with pytest.raises(InputError, match="answered 206"):
        download.download(host.url, out, DIGEST)
    assert not out.exists()
