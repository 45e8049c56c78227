"""HPACK's Huffman code, decoding only. Pure.

The code of RFC 7541, appendix B is canonical: codes of one length count up in symbol order, and
each length continues after the shorter one. So the lengths alone define it.
"""

from __future__ import annotations

from bisect import bisect_right

END_OF_STRING = 256
MAX_PADDING = 7  # bits; more would be a whole byte too many
LONGEST = 30  # bits of a code
SHORT = 8  # bits that are looked up at once: nearly all that headers have is in codes of up to 8

# Length of a code in bits: the symbols that have it.
# fmt: off
SYMBOLS_BY_LENGTH = {
    5: (
        48, 49, 50, 97, 99, 101, 105, 111, 115, 116,
    ),
    6: (
        32, 37, 45, 46, 47, 51, 52, 53, 54, 55, 56, 57, 61, 65, 95, 98, 100, 102, 103, 104,
        108, 109, 110, 112, 114, 117,
    ),
    7: (
        58, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85,
        86, 87, 89, 106, 107, 113, 118, 119, 120, 121, 122,
    ),
    8: (
        38, 42, 44, 59, 88, 90,
    ),
    10: (
        33, 34, 40, 41, 63,
    ),
    11: (
        39, 43, 124,
    ),
    12: (
        35, 62,
    ),
    13: (
        0, 36, 64, 91, 93, 126,
    ),
    14: (
        94, 125,
    ),
    15: (
        60, 96, 123,
    ),
    19: (
        92, 195, 208,
    ),
    20: (
        128, 130, 131, 162, 184, 194, 224, 226,
    ),
    21: (
        153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230,
    ),
    22: (
        129, 132, 133, 134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185,
        186, 187, 189, 190, 196, 198, 228, 232, 233,
    ),
    23: (
        1, 135, 137, 138, 139, 140, 141, 143, 147, 149, 150, 151, 152, 155, 157, 158, 165,
        166, 168, 174, 175, 180, 182, 183, 188, 191, 197, 231, 239,
    ),
    24: (
        9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237,
    ),
    25: (
        199, 207, 234, 235,
    ),
    26: (
        192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255,
    ),
    27: (
        203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247, 248, 250, 251, 252,
        253, 254,
    ),
    28: (
        2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28,
        29, 30, 31, 127, 220, 249,
    ),
    30: (
        10, 13, 22, 256,
    ),
}
# fmt: on


class HuffmanError(ValueError):
    """The bytes are not a Huffman-coded string."""


def _make_groups() -> list[tuple[int, int, tuple[int, ...]]]:
    """For each length of codes: where its first code begins among those of LONGEST bits, the
    length, and its symbols in the order of their codes."""
    groups = []
    code = previous = 0
    for length, symbols in SYMBOLS_BY_LENGTH.items():
        code <<= length - previous
        previous = length
        groups.append((code << (LONGEST - length), length, symbols))
        code += len(symbols)
    return groups


_GROUPS = _make_groups()
_STARTS = [start for start, _, _ in _GROUPS]


def _next(bits: int) -> tuple[int, int]:
    """The symbol that LONGEST bits begin with, and its length: no bits are without one."""
    start, length, symbols = _GROUPS[bisect_right(_STARTS, bits) - 1]
    return symbols[(bits - start) >> (LONGEST - length)], length


# The same by the next SHORT bits, where these hold a whole symbol.
_SHORT = [_next(bits << (LONGEST - SHORT)) for bits in range(1 << SHORT)]


def decode(data: bytes) -> bytes:
    """Raises HuffmanError."""
    out = bytearray()
    bits = width = 0  # what is not decoded: its value, and how many bits it has
    for byte in data:
        bits = bits << 8 | byte
        width += 8
        while width >= SHORT:
            symbol, length = _SHORT[bits >> (width - SHORT)]
            if length > SHORT:
                if width < LONGEST:
                    break  # its end may be in the next byte
                symbol, length = _next(bits >> (width - LONGEST))
                if symbol == END_OF_STRING:
                    raise HuffmanError("the end-of-string symbol inside a string")
            out.append(symbol)
            width -= length
            bits &= (1 << width) - 1
    return bytes(out + _tail(bits, width))


def _tail(bits: int, width: int) -> bytes:
    """The last symbols, and the padding: the beginning of the end-of-string symbol, all ones."""
    out = bytearray()
    while width:
        symbol, length = _next((bits << LONGEST | (1 << LONGEST) - 1) >> width)
        if length > width:
            break
        if symbol == END_OF_STRING:
            raise HuffmanError("the end-of-string symbol inside a string")
        out.append(symbol)
        width -= length
        bits &= (1 << width) - 1
    if width > MAX_PADDING or bits != (1 << width) - 1:
        raise HuffmanError("padding that is not the beginning of the end-of-string symbol")
    return bytes(out)
