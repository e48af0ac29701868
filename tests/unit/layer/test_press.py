"""press: the bytes are held by golden digests, do not depend on workers or cuts, and other programs read them."""

import functools
import gzip
import hashlib
import io
import os
import re
import subprocess
import zlib

import pytest
from isal import isal_zlib

from jettison.base.errors import InputError, UsageError
from jettison.layer import decompress
from jettison.layer.name import compressor_name
from jettison.layer.press import PIECE_BYTES, Press, coder_of, press_bytes

# The blob of `sample`. A new isal may change it: that changes every layer's digest (not its diff_id), so it is said in
# the changelog. It is the same on x86-64 with and without AVX.
GOLDEN = "sha256:b3b0f93896cdc9eabd890175ddaf72a316c8d9ad66b343db7ea1deae47063a91"


def sample(size=3 * PIECE_BYTES + 12345):
    """Bytes that compress by about half, the same everywhere."""
    state, parts = hashlib.sha256(b"jettison"), []
    made = 0
    while made < size:
        state.update(b".")
        parts.append(state.digest() * 2 + state.hexdigest().encode())
        made += len(parts[-1])
    return b"".join(parts)[:size]


def pressed(data, compression="gzip", workers=None, cut=None):
    out = io.BytesIO()
    press = Press(compression, out, workers)
    for at in range(0, len(data), cut or len(data) or 1):
        press.write(data[at : at + (cut or len(data))])
    made = press.finish()
    assert made.digest == "sha256:" + hashlib.sha256(out.getvalue()).hexdigest()
    assert (made.size_bytes, made.tar_bytes) == (len(out.getvalue()), len(data))
    assert made.diff_id == "sha256:" + hashlib.sha256(data).hexdigest()
    return out.getvalue()


def test_the_bytes_are_the_golden_ones():
    assert "sha256:" + hashlib.sha256(pressed(sample())).hexdigest() == GOLDEN


@pytest.mark.parametrize("compression", ["gzip", "zstd", "uncompressed"])
@pytest.mark.parametrize(("workers", "cut"), [(1, None), (2, 4096), (5, 1000003), (3, PIECE_BYTES)])
def test_workers_and_cuts_change_no_byte(compression, workers, cut):
    data = sample()
    assert pressed(data, compression, workers, cut) == pressed(data, compression, 2)


@pytest.mark.parametrize("size", [0, 1, 1024, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES])
def test_every_size_comes_back_and_is_one_gzip_member(size):
    data = sample(size)
    blob = pressed(data)
    assert gzip.decompress(blob) == data
    assert blob[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    assert subprocess.run(["gzip", "-dc"], input=blob, capture_output=True, check=True).stdout == data


def words_of_every_hash():
    """A 4-byte word for each of the 8,192 places in ISA-L's hash table: the lowest 13 bits of its CRC-32C."""
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)  # noqa: PLW2901
        table.append(crc)
    words = {}
    number = 0
    while len(words) < 1 << 13:
        number += 0x9E3779B1
        word, crc = (number & 0xFFFFFFFF).to_bytes(4, "little"), 0
        for byte in word:
            crc = table[(crc ^ byte) & 255] ^ crc >> 8
        words.setdefault(crc & 0x1FFF, word)
    return words.values()


@pytest.mark.parametrize("lead", [b"", b"\xfe\xff"])
def test_where_a_compressor_lies_in_memory_changes_no_byte(lead):
    """ISA-L hashes the address of a compressor as if it were a word; such a word may begin the text, and come again."""
    piece = coder_of("gzip").piece
    texts = [lead + word + bytes(range(1, 99)) + lead + word + bytes(400) for word in words_of_every_hash()]
    kept, places = [], set()

    def pressed_elsewhere():
        while (place := id(isal_zlib.compressobj(1)) >> 16) in places:
            kept.append(isal_zlib.compressobj(1))
        places.add(place)
        return [piece(text, True) for text in texts]

    first = pressed_elsewhere()
    assert zlib.decompress(first[0], -15) == texts[0]
    for _ in range(3):
        assert pressed_elsewhere() == first


def test_small_tars_are_pressed_in_memory():
    assert press_bytes(bytes(1024)) == pressed(bytes(1024))


@pytest.mark.parametrize(
    ("compression", "name"),
    [("gzip", r"isal \d\S+ level 1 lead 8"), ("zstd", r"zstd \d\S+ level 3"), ("uncompressed", ""), ("", "")],
)
def test_the_compressor_has_a_name(compression, name):
    assert re.fullmatch(name, compressor_name(compression))


def test_nothing_is_written_when_only_sums_are_asked_for():
    press = Press("gzip", None)
    press.write(sample())
    made = press.finish()
    assert (made.digest, made.size_bytes) == ("", 0)
    assert made.diff_id == "sha256:" + hashlib.sha256(sample()).hexdigest()


def test_files_are_read_and_padded(tmp_path):
    (tmp_path / "f").write_bytes(sample(PIECE_BYTES + 5))
    out = io.BytesIO()
    press = Press("uncompressed", out)
    with open(tmp_path / "f", "rb") as file:
        press.read_from(file.fileno(), PIECE_BYTES + 5)
        press.skip(PIECE_BYTES * 2)
        with pytest.raises(EOFError):
            press.read_from(file.fileno(), 1)
    press.finish()
    assert out.getvalue() == sample(PIECE_BYTES + 5) + bytes(PIECE_BYTES * 2)


class Full(io.BytesIO):
    """A disk with room for a little."""

    def write(self, data):
        if self.tell() + len(data) > PIECE_BYTES:
            raise OSError(28, "No space left on device")
        return super().write(data)


def test_a_full_disk_is_told_to_who_writes():
    press = Press("uncompressed", Full(), 2)

    def fill():
        for _ in range(40):
            press.write(sample(PIECE_BYTES))
        press.finish()

    with pytest.raises(OSError, match="No space left"):
        fill()
    press.abandon()


def test_an_abandoned_press_ends_its_threads():
    press = Press("gzip", io.BytesIO(), 2)
    press.write(sample())
    threads = [*press._line.workers, press._line.writer]
    press.abandon()
    assert not any(thread.is_alive() for thread in threads)


def test_an_unknown_compression_is_a_usage_error():
    with pytest.raises(UsageError, match="unknown compression: lz4"):
        coder_of("lz4")


def opened(tmp_path, data):
    (tmp_path / "blob").write_bytes(data)
    return os.open(tmp_path / "blob", os.O_RDONLY)


def read_back(tmp_path, data):
    fd = opened(tmp_path, data)
    try:
        return b"".join(decompress.decompressed(functools.partial(os.read, fd)))
    finally:
        os.close(fd)


@pytest.mark.parametrize("program", ["gzip", "bzip2", "xz", "zstd", "cat"])
def test_what_other_programs_compress_is_read(tmp_path, program):
    data = sample(200_000)
    packed = subprocess.run(
        [program, "-c"] if program != "cat" else ["cat"], input=data, capture_output=True, check=True
    )
    assert read_back(tmp_path, packed.stdout) == data
    if program != "cat":
        assert decompress.format_of(packed.stdout) == program
        assert read_back(tmp_path, packed.stdout * 2) == data * 2


@pytest.mark.parametrize("compression", ["gzip", "zstd", "uncompressed"])
def test_what_we_compress_is_read(tmp_path, compression):
    assert read_back(tmp_path, pressed(sample(), compression)) == sample()


@pytest.mark.parametrize("program", ["gzip", "bzip2", "xz", "zstd"])
def test_a_cut_or_damaged_stream_is_an_input_error(tmp_path, program):
    whole = subprocess.run([program, "-c"], input=sample(200_000), capture_output=True, check=True).stdout
    with pytest.raises(InputError, match=f"the {program} data is cut off"):
        read_back(tmp_path, whole[:-20])
    with pytest.raises(InputError, match=program):
        read_back(tmp_path, whole[:50] + bytes(len(whole) - 50))


def test_zeros_after_gzip_are_padding_and_anything_else_is_an_error(tmp_path):
    assert read_back(tmp_path, gzip.compress(b"data") + bytes(700_000)) == b"data"
    with pytest.raises(InputError, match="gzip data is"):
        read_back(tmp_path, gzip.compress(b"data") + b"\0\0rest")
    with pytest.raises(InputError, match="gzip data is"):
        read_back(tmp_path, gzip.compress(b"data") + b"rest")


@pytest.mark.parametrize("more", [-1, 0, 1])
@pytest.mark.parametrize("make", [bytes, os.urandom, sample], ids=["zeros", "noise", "half"])
def test_gzip_that_ends_where_a_piece_does_is_read_whole(tmp_path, make, more):
    parts = [make(count * decompress.CHUNK_BYTES + more) for count in (1, 2, 1)]
    assert read_back(tmp_path, b"".join(map(gzip.compress, parts))) == b"".join(parts)


@pytest.mark.parametrize("program", ["gzip", "bzip2", "xz", "zstd"])
def test_a_bomb_is_read_in_bounded_pieces(tmp_path, program):
    bomb = subprocess.run(
        f"head -c 40M /dev/zero | {program} -1 -c", shell=True, capture_output=True, check=True
    ).stdout
    fd = opened(tmp_path, bomb)
    pieces = decompress.decompressed(functools.partial(os.read, fd))
    assert max(len(piece) for _, piece in zip(range(20), pieces, strict=False)) <= decompress.CHUNK_BYTES
    os.close(fd)


def test_a_skippable_frame_is_passed_over(tmp_path):
    skipped = b"\x50\x2a\x4d\x18\x04\0\0\0skip"
    assert decompress.format_of(skipped) == "zstd"
    assert read_back(tmp_path, skipped + pressed(b"data", "zstd") + skipped) == b"data"


def test_an_xz_header_that_asks_for_much_memory_is_refused(tmp_path):
    packed = subprocess.run(
        ["xz", "-c", "--lzma2=dict=1GiB,mode=fast,mf=hc3"], input=b"x" * 1000, capture_output=True, check=True
    )
    with pytest.raises(InputError, match="xz data is damaged"):
        read_back(tmp_path, packed.stdout)
