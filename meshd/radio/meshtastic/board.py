"""What a Meshtastic board sends by itself: whether it repeats others, how long it was on the air.

Enters: the owner's settings and the telemetry that the board tells its host each minute. Leaves:
airtime for the ledger, or a sentence for the owner. Must not know: the serial protocol, the law.
Ref: hardware/radios/meshtastic.toml, docs/regions.md.
"""

from meshd.core.law import HOUR_US
from meshd.radio.modem import SECOND, BoardAired
from meshd.radio.protobuf import MalformedError, Message

TELEMETRY_APP = 67
UP_S_MAX = 1 << 32

REPEATS = (
    "the board repeats packets of other Meshtastic users, out of the airtime of this node: set its "
    "role to CLIENT_MUTE with the vendor's application (meshtastic --set device.role CLIENT_MUTE, "
    "while meshd is stopped)"
)
UNTOLD = (
    "the board does not tell how long it was on the air, so what it sends by itself is not "
    "counted: renew its firmware, set its role to CLIENT_MUTE and switch its telemetry off"
)

_CLIENT_MUTE, _REPEATS_NOTHING = 1, 4
_ROLE, _REBROADCAST = 1, 6
_DEVICE_METRICS, _AIR_UTIL_TX, _UPTIME_S = 2, 4, 5
_RX_SNR, _RX_RSSI = 8, 12


def repeats(device: Message) -> bool:
    """Tell whether a board that is set so passes on what others sent."""
    return device[_ROLE].number != _CLIENT_MUTE and device[_REBROADCAST].number != _REPEATS_NOTHING


def aired(packet: Message, number: int) -> BoardAired | None:
    """Return what a packet says of this board's airtime, None: nothing.

    It counts only when it comes from the board itself: one from the air has signal figures.
    """
    data = packet.message(4)
    if data[1].number != TELEMETRY_APP or packet[1].number not in (0, number):
        return None
    if _RX_SNR in packet or _RX_RSSI in packet:
        return None
    try:
        telemetry = data.message(2)
        metrics = telemetry.message(_DEVICE_METRICS)
    except MalformedError:
        return None
    if _DEVICE_METRICS not in telemetry or _AIR_UTIL_TX not in metrics:
        return None
    percent = metrics[_AIR_UTIL_TX].real()
    if not 0 <= percent <= 100:
        return None
    up_s = metrics[_UPTIME_S].number if _UPTIME_S in metrics else UP_S_MAX
    return BoardAired(round(percent / 100 * HOUR_US), min(up_s, UP_S_MAX) * SECOND)
