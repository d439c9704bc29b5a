"""Look at a world from above: who stands where, who hears whom, the islands, the fullest air.

Enters: a world before its first microsecond, later what was sent in it. Leaves: JSON values for the
outcome. The map, and who hears whom, are those of the beginning; islands are those of now.
Must not know: what people do, what goes wrong.
"""

from meshd.simulation.anyworld import AnyHost, AnyWorld
from meshd.simulation.outcome import Json
from meshd.simulation.plan.plan import Plan
from meshd.simulation.sight import LOSS_MAX, islands
from meshd.simulation.tally import Tally

_LINKS_MAX = 20_000


class Survey:
    """Takes the map when it is made."""

    def __init__(self, world: AnyWorld[AnyHost], plan: Plan) -> None:
        self._world = world
        self._beside: dict[str, dict[int, set[int]]] = {}
        self._map = self._taken(plan)

    def map(self) -> Json:
        """Return the map of the beginning."""
        return self._map

    def islands(self) -> list[list[str]]:
        """Return the names of those whom working links join now, the largest island first.

        Links by LoRa count where there are no others.
        """
        found = islands(self._world, LOSS_MAX, by_lora=not self._world.media)
        found.sort(key=lambda island: (-len(island), island[0].number))
        return [[host.name for host in island] for island in found]

    def busiest(self, tally: Tally, bucket_s: float) -> list[Json]:
        """Return where and when the air of each medium was fullest.

        A host finds the channel taken when it sends itself or hears another.
        """
        found = []
        for name in (*self._world.media, *self._world.airs):
            most: tuple[int, int, int] | None = None
            for host in self._world.hosts:
                near = self._beside.get(name, {}).get(host.number, set()) | {host.number}
                for place, taken_us in enumerate(tally.air(name, sorted(near))):
                    if taken_us and (most is None or taken_us > most[0]):
                        most = (taken_us, host.number, place)
            if most is not None:
                taken_us, number, place = most
                one = {
                    "medium": name,
                    "percent": round(taken_us / bucket_s / 10_000, 2),
                    "host": self._world.hosts[number].name,
                    "at_s": place * bucket_s,
                }
                found.append(one)
        return found

    def _taken(self, plan: Plan) -> Json:
        """Return who stands where, and each pair that hears each other, with the worse loss."""
        world = self._world
        worst: dict[tuple[int, int, str], tuple[float, int]] = {}
        heard: dict[tuple[int, int, str], int] = {}
        for name, medium in (*world.media.items(), *world.airs.items()):
            beside = self._beside[name] = {}
            for port, other, way in medium.ways():
                beside.setdefault(other.host.number, set()).add(port.host.number)
                low, high = sorted((port.host.number, other.host.number))
                key = (low, high, name)
                loss, rate = worst.get(key, (0.0, way.bits_per_s))
                worst[key] = (max(loss, way.loss), min(rate, way.bits_per_s))
                heard[key] = heard.get(key, 0) + 1
        links = [
            {
                "from": low,
                "to": high,
                "medium": name,
                "loss": round(loss, 4),
                "bits_per_s": rate,
                "both_ways": heard[low, high, name] > 1,
            }
            for (low, high, name), (loss, rate) in sorted(worst.items())
        ]
        return {
            "width_m": plan.terrain.width_m,
            "height_m": plan.terrain.height_m,
            "ridges": [[one.x1_m, one.y1_m, one.x2_m, one.y2_m] for one in plan.terrain.ridges],
            "hosts": [
                {"name": host.name, "x_m": round(host.x_m, 1), "y_m": round(host.y_m, 1)}
                for host in world.hosts
            ],
            "walks": [
                {"name": group.name, "steps": [[one.at_s, one.x_m, one.y_m] for one in group.walk]}
                for group in plan.nodes
                if group.walk
            ],
            "links": links[:_LINKS_MAX],
            "links_total": len(links),
        }
