"""Pieces that came by LoRa are on the disk: restarts, damage, full disks, bounds."""

from itertools import pairwise

import pytest
from devices.ether import crowd, has, put
from devices.file_devices import drops
from devices.seeded_bytes import bytes_of
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.core.drops import DropReason
from meshd.core.events import StoreImage
from meshd.core.guard import guarded
from meshd.store.interface import StoreError, StoreFault
from meshd.sync.files.air import kept
from meshd.sync.files.air.blob import pack
from meshd.sync.files.air.taking import Taking
from meshd.wire.lora_payload import Sub

DATA = bytes_of(10_000)
NEED = 44


def rows(device):
    return [key for key in device.store.metas if key.startswith(kept.PREFIX)]


def pieces(ether):
    return ether.by_sub.get(Sub.PIECE, (0, 0))[0]


def until_pieces(ether, count):
    for _ in range(600):
        if pieces(ether) >= count:
            return
        ether.wait(1)
    raise AssertionError("they never went")


def begun(count=20):
    """A file of which so many pieces went, and an author who waits for airtime."""
    ether = crowd(1)
    put(ether, DATA)
    until_pieces(ether, count)
    ether.radios[0].left_us = 0
    ether.wait(60)
    return ether


def again(ether, device):
    """Take a device's power, and start it with what its disk has."""
    device.start()
    ether.settle()
    device.listed()
    ether.settle()


def go_on(ether):
    ether.radios[0].left_us = 10**12
    ether.wait(1800)


def test_a_receiver_that_was_started_again_asks_for_the_rest_alone():
    ether = begun()
    ben = ether.devices[1]
    here = ben.listed()[0]["pieces"]
    again(ether, ben)
    assert ben.listed()[0]["pieces"] == here
    go_on(ether)
    assert has(ben, DATA)
    assert pieces(ether) <= NEED + 2


@pytest.mark.parametrize("count", range(1, NEED, 6))
def test_a_power_cut_costs_what_came_since_the_last_write(count):
    ether = crowd(1)
    put(ether, DATA)
    until_pieces(ether, count)
    ben = ether.devices[1]
    again(ether, ben)
    ether.wait(1800)
    assert has(ben, DATA)
    assert pieces(ether) <= NEED + 2 * kept.BATCH + 6


def test_writes_are_few_and_rows_go_when_the_file_is_there(monkeypatch):
    ether = crowd(1)
    ben = ether.devices[1]
    writes = []
    commit = ben.store.commit

    def counted(groups):
        if any(
            str(getattr(row, "key", "")).startswith(kept.PREFIX) for one in groups for row in one
        ):
            writes.append(ether.now)
        commit(groups)

    monkeypatch.setattr(ben.store, "commit", counted)
    put(ether, DATA)
    until_pieces(ether, 30)
    assert 1 <= len(rows(ben)) <= 6
    ether.wait(600)
    assert has(ben, DATA) and not rows(ben)
    gaps = [later - earlier for earlier, later in pairwise(writes)]
    assert len(writes) <= NEED // kept.BATCH + 2 and min(gaps) >= kept.PAUSE_US


@pytest.mark.parametrize("damage", [b"", b"x" * 40, None, "cut", "other"])
def test_rows_that_are_damaged_or_gone_cost_their_pieces_and_nothing_else(damage):
    ether = begun(30)
    ben = ether.devices[1]
    metas = ben.store.metas
    first, *_, last = rows(ben)
    if damage is None:
        del metas[first]
    elif damage == "cut":
        metas[first] = metas[first][:-50]
    elif damage == "other":
        metas[first] = metas[last]
    else:
        metas[first] = damage
    again(ether, ben)
    assert bool(drops(ben, DropReason.PIECES_UNKEPT)) is (damage is not None)
    assert 0 < ben.listed()[0]["pieces"][0] < 30
    go_on(ether)
    assert has(ben, DATA) and not rows(ben)


def test_a_row_says_nothing_that_its_offer_and_marks_do_not_prove():
    ether = begun(30)
    ben = ether.devices[1]
    key = rows(ben)[0]
    value = bytearray(ben.store.metas[key][:-33])
    value[-5] ^= 1
    ben.store.metas[key] = guarded(bytes(value), key)
    again(ether, ben)
    assert drops(ben, DropReason.PIECES_UNKEPT) == 1
    go_on(ether)
    assert has(ben, DATA)


def test_on_a_full_disk_pieces_come_in_memory_and_are_written_when_there_is_room(monkeypatch):
    ether = begun(10)
    ben = ether.devices[1]
    commit = ben.store.commit

    def full(groups):
        raise StoreError(StoreFault.FULL, "no room", remedy="")

    monkeypatch.setattr(ben.store, "commit", full)
    ether.radios[0].left_us = 10**12
    until_pieces(ether, 30)
    ether.radios[0].left_us = 0
    ether.wait(60)
    assert drops(ben, DropReason.PIECES_UNKEPT) == 1
    assert ben.listed()[0]["pieces"][0] >= 30
    monkeypatch.setattr(ben.store, "commit", commit)
    ether.wait(kept.AGAIN_US / 1e6)
    again(ether, ben)
    assert ben.listed()[0]["pieces"][0] >= 30
    go_on(ether)
    assert has(ben, DATA) and pieces(ether) <= NEED + 2


def test_rows_of_a_file_that_came_another_way_go():
    ether = begun()
    ether.radios[0].up = False
    anna, ben = ether.devices
    assert rows(ben)
    again(ether, ben)
    ether.link(anna, ben)
    ticket, _ = ben.get()
    ether.wait(60)
    assert ben.reply(ticket).value
    assert not rows(ben)


def test_a_file_whose_power_went_as_it_was_whole_needs_no_more_pieces(monkeypatch):
    ether = crowd(1)
    ben = ether.devices[1]
    ben.read_fault = lambda query: type(query).__name__ == "KeepQuery"
    put(ether, DATA)
    ether.wait(300)
    assert not has(ben, DATA) and rows(ben)
    sent = pieces(ether)
    again(ether, ben)
    ether.wait(120)
    assert has(ben, DATA) and not rows(ben)
    assert pieces(ether) <= sent + kept.BATCH


class Disk:
    """What `KeptPieces` writes, applied at once."""

    def __init__(self, ctx):
        self.ctx, self.metas = ctx, {}

    def flush(self, pieces, now):
        pieces.tick(now)
        while self.ctx.events:
            for row in self.ctx.events.popleft().rows:
                if row.value is None:
                    self.metas.pop(row.key, None)
                else:
                    self.metas[row.key] = row.value


def made(number, *, trusted, size=40_000):
    """A blob of which all pieces came."""
    packed = pack(number.to_bytes(8, "big"), bytes_of(size, number), 237)
    taking = Taking("lora0", b"n" * 10, packed.offer, root=b"", take=lambda *_: True)
    taking.trusted = trusted
    return packed, taking


@pytest.mark.parametrize(("trusted", "most"), [(True, kept.BYTES_MAX), (False, kept.STRANGERS_MAX)])
def test_all_rows_have_a_bound_and_strangers_a_smaller_one(trusted, most):
    ctx = crowd(0).devices[0].ctx
    ctx.events.clear()
    disk, store = Disk(ctx), kept.KeptPieces(ctx, StoreImage({}, (), ()))
    for number in range(kept.KEPT_MAX + 4):
        packed, taking = made(number, trusted=trusted)
        store.begin(taking)
        taking.marks.update(enumerate(packed.runs))
        taking.pieces.update(enumerate(packed.pieces[: packed.offer.need]))
        store.came(number * 10**8)
        disk.flush(store, number * 10**8 + kept.WAIT_US)
    assert 0.6 * most < sum(map(len, disk.metas.values())) <= 1.05 * most
    assert ctx.drops.total(DropReason.PIECES_UNKEPT)


def test_many_small_rows_become_one():
    ctx = crowd(0).devices[0].ctx
    ctx.events.clear()
    disk, store = Disk(ctx), kept.KeptPieces(ctx, StoreImage({}, (), ()))
    packed, taking = made(1, trusted=True)
    store.begin(taking)
    taking.marks.update(enumerate(packed.runs))
    for number in range(150):
        taking.pieces[number] = packed.pieces[number]
        store.came(number * 10**8)
        disk.flush(store, number * 10**8 + kept.WAIT_US)
        assert len(disk.metas) <= kept.ROWS_MAX
    read = kept.KeptPieces(ctx, StoreImage(disk.metas, (), ()))
    assert read.waiting()[0].pieces == taking.pieces
    read.done(packed.offer.ref)
    disk.flush(read, 10**12)
    assert not disk.metas


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(max_size=30), st.binary(max_size=300), max_size=4))
def test_any_rows_can_be_read(found):
    ctx = crowd(0).devices[0].ctx
    metas = {kept.PREFIX + key: guarded(value, kept.PREFIX + key) for key, value in found.items()}
    assert not kept.KeptPieces(ctx, StoreImage(metas, (), ())).waiting()
    assert ctx.drops.total(DropReason.PIECES_UNKEPT) == len(metas)
