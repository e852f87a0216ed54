"""The segments of a parallel scan: a hash of the partition decides the segment of all its items.

SQLite calls :func:`segment_of` for each key that a segment's page passes, so the items of the other segments are not
read.
"""

from collections.abc import Callable
from typing import Final
from zlib import crc32

from bursar.dynamo.items.key_encoding import END

_END_BYTES: Final = len(END)


def segment_of(key: bytes, partition_types: str, total: int) -> int:
    """Return the number of the segment, from 0 to ``total`` − 1, with an encoded key.

    ``key`` begins with the partition's values, whose types are the letters of ``partition_types``: "S", "N" or "B".
    """
    end = 0
    for kind in partition_types:
        end = _NUMBER_ENDS[key[end]](key, end) if kind == "N" else key.index(END, end) + _END_BYTES
    return crc32(key[:end]) % total


# First byte of a number → the function that finds the end of its bytes (see numbers.number_key). It skips the second
# byte, the exponent, which may be equal to an end mark.
_NUMBER_ENDS: Final[dict[int, Callable[[bytes, int], int]]] = {
    0x00: lambda key, at: key.index(b"\xff", at + 2) + 1,
    0x80: lambda key, at: at + 1,
    0xFF: lambda key, at: key.index(b"\x00", at + 2) + 1,
}
