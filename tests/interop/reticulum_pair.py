"""Two of Reticulum's own drivers on two RNode ports: announces, a short packet and one of two
frames, each proved by its receiver. Prints a line a step. Arguments: folder, port, port."""

import multiprocessing
import sys
import time
from pathlib import Path

import RNS

LIMIT_S = 40.0
CONFIG = """
[reticulum]
  enable_transport = No
  share_instance = No
[logging]
  loglevel = 2
[interfaces]
  [[radio]]
    type = RNodeInterface
    enabled = yes
    port = {port}
    frequency = 868100000
    bandwidth = 125000
    txpower = 10
    spreadingfactor = 7
    codingrate = 5
"""


def start(folder: str, name: str, port: str) -> None:
    place = Path(folder) / name
    place.mkdir()
    (place / "config").write_text(CONFIG.format(port=port))
    RNS.Reticulum(str(place))


def receive(folder: str, port: str) -> None:
    """Announce every two seconds, and prove what comes."""
    start(folder, "receiver", port)
    one, single = RNS.Destination.IN, RNS.Destination.SINGLE
    destination = RNS.Destination(RNS.Identity(), one, single, "meshdtest")
    destination.set_proof_strategy(RNS.Destination.PROVE_ALL)
    destination.set_packet_callback(
        lambda data, packet: print("got", len(data), packet.rssi, packet.snr, flush=True)
    )
    while True:
        destination.announce()
        time.sleep(2.0)


class Heard:
    """The first announce."""

    aspect_filter = "meshdtest"

    def __init__(self) -> None:
        self.identity = None

    def received_announce(self, destination_hash, announced_identity, app_data) -> None:
        self.identity = announced_identity


def send(folder: str, port: str) -> None:
    start(folder, "sender", port)
    heard = Heard()
    RNS.Transport.register_announce_handler(heard)
    end = time.monotonic() + LIMIT_S
    while heard.identity is None and time.monotonic() < end:
        time.sleep(0.05)
    print("announce", heard.identity is not None, flush=True)
    out, single = RNS.Destination.OUT, RNS.Destination.SINGLE
    destination = RNS.Destination(heard.identity, out, single, "meshdtest")
    for size in (20, 350):
        receipt = RNS.Packet(destination, bytes(size)).send()
        while receipt.status == RNS.PacketReceipt.SENT and time.monotonic() < end:
            time.sleep(0.05)
        print("proved", size, receipt.status == RNS.PacketReceipt.DELIVERED, flush=True)


if __name__ == "__main__":
    folder, first, second = sys.argv[1:]
    other = multiprocessing.get_context("spawn").Process(
        target=receive, args=(folder, second), daemon=True
    )
    other.start()
    send(folder, first)
    other.kill()
