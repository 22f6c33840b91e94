"""The size in an AV1 stream's sequence header, which no frame may pass (AV1 specification, sections 5.3 and 5.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract.image_header.header import BrokenHeader, Size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contract.image_header.boxes import Box

# Of one file, the first ones: a picture's tiles are all of one size (ISO/IEC 23008-12, 6.6.2.3.1). What others claim is
# bounded only by the memory that a decoder gets.
MAX_STREAMS = 100

# A sequence header comes first in its stream. It has about 10 bytes; 300 if it describes 32 layers in all detail.
MAX_UNITS = 4
MAX_BYTES = 512

_SEQUENCE_HEADER = 1
_CONFIGURATION_BYTES = 4  # before the units in an ``av1C`` (AV1 in ISOBMFF, 2.3.3)
_HIGHEST_LEVEL_WITHOUT_TIER = 7


class Streams:
    """Looks at the AV1 streams in one file, of which it reads ``MAX_STREAMS``."""

    def __init__(self, image: bytes) -> None:
        self._image = image
        self._left = MAX_STREAMS

    def size_at(self, position: int) -> Iterator[Size]:
        """The size in the sequence header of the stream that starts at ``position``; nothing if it has none.

        Nor is there one if it is not sound: whether the stream can be read is for its decoder to say.
        """
        yield from self._size_in(position, position + MAX_BYTES)

    def size_in_configuration(self, box: Box) -> Iterator[Size]:
        """The size in the sequence header that an ``av1C`` may repeat, or nothing."""
        yield from self._size_in(box.start + _CONFIGURATION_BYTES, min(box.end, box.start + MAX_BYTES))

    def _size_in(self, start: int, end: int) -> Iterator[Size]:
        stream = self._image[start:end]
        if not stream or not self._left:
            return
        self._left -= 1
        try:
            for kind, first, last in _units(stream):
                if kind == _SEQUENCE_HEADER:
                    yield _size(_Bits(stream[first:last]))
                    return
        except BrokenHeader:
            return


def _units(stream: bytes) -> Iterator[tuple[int, int, int]]:
    """Kind, start and end of the first units."""
    start = 0
    for _ in range(MAX_UNITS):
        bits = _Bits(stream[start:])
        _, kind, has_extension, has_length, _ = (bits.read(width) for width in (1, 4, 1, 1, 1))
        bits.read(8 * has_extension)
        length = bits.leb128() if has_length else len(stream)
        start += bits.position // 8
        yield kind, start, start + length
        start += length


def _size(bits: _Bits) -> Size:
    """From a sequence header (5.5.1)."""
    _profile, _still, is_reduced = (bits.read(width) for width in (3, 1, 1))
    if is_reduced:
        bits.read(5)
    else:
        _skip_layers(bits)
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    return Size(bits.read(width_bits) + 1, bits.read(height_bits) + 1)


def _skip_layers(bits: _Bits) -> None:
    delay_bits = _skip_timing(bits) if bits.read(1) else 0
    has_display_delays = bits.read(1)
    for _ in range(bits.read(5) + 1):
        if bits.read(12 + 5) & 31 > _HIGHEST_LEVEL_WITHOUT_TIER:
            bits.read(1)
        if delay_bits and bits.read(1):
            bits.read(2 * delay_bits + 1)
        if has_display_delays and bits.read(1):
            bits.read(4)


def _skip_timing(bits: _Bits) -> int:
    """The number of bits that each layer's delays take (5.5.3 and 5.5.4); 0 if there are none."""
    bits.read(64)
    if bits.read(1):
        bits.skip_uvlc()
    if not bits.read(1):
        return 0
    delay_bits = bits.read(5) + 1
    bits.read(32 + 5 + 5)
    return delay_bits


class _Bits:
    """Reads numbers of any width; raises BrokenHeader at the end."""

    def __init__(self, data: bytes) -> None:
        self._value, self._bits = int.from_bytes(data), 8 * len(data)
        self.position = 0

    def read(self, width: int) -> int:
        self.position += width
        if self.position > self._bits:
            raise BrokenHeader("the picture is damaged: its AV1 data are cut short")
        return self._value >> (self._bits - self.position) & ((1 << width) - 1)

    def leb128(self) -> int:
        """Seven bits a byte, the lowest first, in up to 8 bytes (4.10.5)."""
        value = 0
        for byte in range(8):
            more, bits = self.read(1), self.read(7)
            value |= bits << 7 * byte
            if not more:
                break
        return value

    def skip_uvlc(self) -> None:
        """As many zeros as digits follow the first one (4.10.3)."""
        zeros = 0
        while not self.read(1):
            zeros += 1
        self.read(zeros)
