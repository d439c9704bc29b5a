"""What a host tells a node about its radios: the inputs that answer `RadioSend` and `AirtimeSave`.

A part of `Node`, which inherits it: each input is handed to `Radios`, and recorded by name.
"""

from meshd.core.drops import DropReason
from meshd.core.events import AirtimeImage, RadioLink
from meshd.forwarding.packets import Packets
from meshd.forwarding.radios import Radios


class RadioInputs:
    """The inputs of radios and of the TUN device; `radios` and `packets` are set by the node."""

    radios: Radios
    packets: Packets

    def radios_start(self, airtime: AirtimeImage, now: int) -> None:
        """Name the law that radios send under, and what the disk holds of the hour; once."""
        self._hear(now)
        self.radios.start(airtime, now)

    def radios_clock(self, ahead_us: int, now: int) -> None:
        """Tell how far the clock since the boot is ahead of `now`, after the machine slept."""
        self._hear(now)
        self.radios.clock(ahead_us, now)

    def airtime_saved(self, number: int, durable: bool, now: int) -> None:
        """Say that an `AirtimeSave` is on the disk, or that it failed."""
        self._hear(now)
        self.radios.saved(number, durable=durable, now=now)

    def radio_up(self, radio: RadioLink, now: int) -> None:
        """A radio is set and takes frames; told again after each time that it was set anew."""
        self._hear(now)
        self.radios.up(radio, now)
        self._settle(now)

    def radio_down(self, link: str, now: int) -> None:
        """A radio takes no frames any more."""
        self._hear(now)
        self.radios.down(link, now)
        self._settle(now)

    def radio_heard(
        self, link: str, frame: bytes, rssi_dbm: float | None, snr_db: float | None, now: int
    ) -> None:
        """A frame came from the air, with signal figures where the modem tells them."""
        self._hear(now)
        self.radios.heard(link, frame, rssi_dbm, snr_db, now=now)
        self._settle(now)

    def radio_sent(self, link: str, now: int) -> None:
        """The frame of a `RadioSend` is on the air no more."""
        self._hear(now)
        self.radios.sent(link, now)
        self._settle(now)

    def radio_not_sent(self, link: str, reason: DropReason, maybe: bool, now: int) -> None:
        """The frame of a `RadioSend` did not go out; `maybe`: nobody knows."""
        self._hear(now)
        self.radios.not_sent(link, reason, maybe=maybe, now=now)
        self._settle(now)

    def radio_aired(self, link: str, hour_us: int, up_us: int, now: int) -> None:
        """A board says how long it was on the air, by itself too: in its hour, or since it is up.

        What the ledger does not know of yet is counted.
        """
        self._hear(now)
        self.radios.board_aired(link, hour_us, up_us, now)
        self._settle(now)

    def radio_dropped(self, link: str, reason: DropReason, now: int) -> None:
        """A modem left something out, or failed, for this reason."""
        self._hear(now)
        self.radios.dropped(link, reason)

    def tun_received(self, packet: bytes, now: int) -> None:
        """The kernel sent an IPv6 packet to the TUN device: its route leads over LoRa."""
        self._hear(now)
        self.packets.from_host(packet, now)

    def _hear(self, now: int) -> None:
        """Note the time."""
        raise NotImplementedError

    def _settle(self, now: int) -> None:
        """Let the parts hear of each other."""
        raise NotImplementedError
