"""How a file is cut: sizes add up at every border, and bad numbers are no file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.core.crypto import chunk_name
from meshd.core.limits import CHUNK_BYTES
from meshd.sync.files import layout
from meshd.wire.file_messages import INDEX_NAMES_MAX, LEAF_ADDRESS, ROOT_ADDRESS
from meshd.wire.payload import FileClear

SIZES = st.one_of(
    st.integers(0, 3 * CHUNK_BYTES),
    st.integers(0, layout.FILE_BYTES_MAX),
    st.integers(1, 5).map(lambda count: count * INDEX_NAMES_MAX * CHUNK_BYTES),
)


def clear_of(size):
    chunks = layout.chunks_of(size)
    return FileClear(bytes(32), layout.levels_of(chunks), chunks, layout.sealed_size(size))


@given(size=SIZES, place=st.integers(0, 2**30))
def test_sizes_add_up(size, place):
    clear = clear_of(size)
    assert layout.is_sound(clear)
    last = clear.chunks - 1
    assert layout.chunk_size(clear, last) + last * layout.SEALED_BYTES == clear.size
    assert layout.plain_size(clear, last) + last * CHUNK_BYTES == size
    place %= clear.chunks
    assert layout.is_address(clear, place)
    assert not layout.is_address(clear, clear.chunks)
    above = layout.index_address(clear, place)
    assert layout.is_address(clear, above)
    assert layout.chunk_size(clear, above) > 32 * (place % INDEX_NAMES_MAX)


@given(size=SIZES, change=st.sampled_from((-1, 1)), field=st.sampled_from((1, 2)))
def test_numbers_that_do_not_fit_are_no_file(size, change, field):
    values = list(clear_of(size))
    values[field] += change
    assert not layout.is_sound(FileClear(*values))


@pytest.mark.parametrize("count", [1, INDEX_NAMES_MAX, INDEX_NAMES_MAX + 1])
def test_index_names_every_chunk(count):
    names = b"".join(number.to_bytes(32, "big") for number in range(count))
    *leaves, root = layout.build_index(names)
    clear = clear_of(count * CHUNK_BYTES)
    assert layout.leaves_of(clear) == len(leaves)
    assert len(root) == layout.chunk_size(clear, ROOT_ADDRESS)
    for place in (0, count // 2, count - 1):
        above = layout.index_address(clear, place)
        if above == ROOT_ADDRESS:
            index = root
        else:
            index = leaves[above - LEAF_ADDRESS]
            assert layout.name_in(root, above) == chunk_name(index)
            assert len(index) == layout.chunk_size(clear, above)
        assert layout.name_in(index, place) == place.to_bytes(32, "big")


def test_file_and_index_count_as_disk():
    assert layout.disk_size(clear_of(5)) == 5 + 16 + 32
