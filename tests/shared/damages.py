"""Ways in which an npz file is damaged."""

LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"
"""How the headers of a member begin, before it and in the directory at the end."""


def of_members(data: bytes, *, field: int, value: bytes) -> bytes:
    """Every member with another field, by its place in the local header."""
    changed = bytearray(data)
    for mark, offset in ((LOCAL, field), (CENTRAL, field + 2)):
        at = data.find(mark)
        while at >= 0:
            changed[at + offset : at + offset + len(value)] = value
            at = data.find(mark, at + 4)
    return bytes(changed)


DAMAGES = {
    "half of it": lambda data: data[: len(data) // 2],
    "encrypted": lambda data: of_members(data, field=6, value=b"\x01\x00"),
    "unknown compression": lambda data: of_members(data, field=8, value=b"\x63\x00"),
}
