"""What the ground does to a signal, and where walkers are: one law for WiFi and LoRa.

Enters: a terrain, a seed, places in metres, times. Leaves: losses in dB, places. What chance
decides about a pair of hosts is read from a hash of (seed, pair): it depends neither on who else
is there nor on who asked first, and a host that returns finds the same link again.
Must not know: frames, rates, hosts.
Ref: free space as in ITU-R P.525; the log-distance law with log-normal shadowing beyond 1 m.
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from itertools import pairwise
from math import hypot, log10
from statistics import NormalDist
from struct import Struct

from meshd.simulation.plan.plan import Ridge, Step, Terrain
from meshd.simulation.schedule import SECOND

Place = tuple[float, float]

_PAIR = Struct(">QQ")
_DRAWS = Struct(">HHH")
_STEPS = 512
_QUANTILES = tuple(NormalDist().inv_cdf((step + 0.5) / _STEPS) for step in range(_STEPS))
DEVIATIONS_MAX = _QUANTILES[-1]
"""No draw lies farther out than 3.1 standard deviations: every signal has a longest reach."""


class PathLoss:
    """The loss of every direction of every pair on one terrain."""

    __slots__ = ("_key", "_slope", "terrain")

    def __init__(self, terrain: Terrain, seed: int) -> None:
        self.terrain = terrain
        self._slope = 10.0 * terrain.loss_exponent
        self._key = blake2b(f"terrain {seed}".encode(), digest_size=32).digest()

    def loss_db(
        self, a_xy: Place, b_xy: Place, a_id: int, b_id: int, frequency_mhz: float
    ) -> float:
        """Return what a signal from a to b loses; ids are any numbers of 64 bits."""
        shadow, there, _ = self._drawn(a_id, b_id)
        return self.ground_db(a_xy, b_xy, frequency_mhz) + shadow + there

    def both_db(
        self, a_xy: Place, b_xy: Place, a_id: int, b_id: int, frequency_mhz: float
    ) -> tuple[float, float]:
        """Return the losses from a to b and from b to a, for less than twice the work."""
        shadow, there, back = self._drawn(a_id, b_id)
        ground = self.ground_db(a_xy, b_xy, frequency_mhz) + shadow
        return ground + there, ground + back

    def ground_db(self, a_xy: Place, b_xy: Place, frequency_mhz: float) -> float:
        """Return what distance and ridges take, without what chance adds."""
        distance_m = max(hypot(a_xy[0] - b_xy[0], a_xy[1] - b_xy[1]), 1.0)
        loss = loss_at_1_m_db(frequency_mhz) + self._slope * log10(distance_m)
        for ridge in self.terrain.ridges:
            if crosses(ridge, a_xy, b_xy):
                loss += ridge.loss_db
        return loss

    def reach_m(self, budget_db: float, frequency_mhz: float) -> float:
        """Return the distance beyond which every pair's loss is more than `budget_db`."""
        luck = DEVIATIONS_MAX * (self.terrain.shadowing_db + self.terrain.asymmetry_db)
        spare = budget_db + luck - loss_at_1_m_db(frequency_mhz)
        return 10.0 ** (spare / self._slope) if spare > 0 else 1.0

    def _drawn(self, a_id: int, b_id: int) -> tuple[float, float, float]:
        """Return the pair's shadowing, and the extra loss from a to b and from b to a, in dB."""
        low, high = (a_id, b_id) if a_id < b_id else (b_id, a_id)
        digest = blake2b(_PAIR.pack(low, high), digest_size=6, key=self._key).digest()
        pair, up, down = _DRAWS.unpack(digest)
        shadow = _QUANTILES[pair % _STEPS] * self.terrain.shadowing_db
        upward = _QUANTILES[up % _STEPS] * self.terrain.asymmetry_db
        downward = _QUANTILES[down % _STEPS] * self.terrain.asymmetry_db
        return (shadow, upward, downward) if low == a_id else (shadow, downward, upward)


def loss_at_1_m_db(frequency_mhz: float) -> float:
    """Return the free-space loss over the first metre. Ref: ITU-R P.525."""
    return 20.0 * log10(frequency_mhz) - 27.55


def crosses(ridge: Ridge, a_xy: Place, b_xy: Place) -> bool:
    """Tell whether the straight way from a to b crosses the ridge; touching it counts."""
    one, other = (ridge.x1_m, ridge.y1_m), (ridge.x2_m, ridge.y2_m)
    ways = (_turn(a_xy, b_xy, one), _turn(a_xy, b_xy, other))
    ridges = (_turn(one, other, a_xy), _turn(one, other, b_xy))
    if ways == (0.0, 0.0) or ridges == (0.0, 0.0):
        return _overlap(one, other, a_xy, b_xy)
    return ways[0] * ways[1] <= 0 and ridges[0] * ridges[1] <= 0


def _turn(a: Place, b: Place, c: Place) -> float:
    """Return the sign of the turn from a over b to c: left 1, straight 0, right -1."""
    turn = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return float((turn > 0) - (turn < 0))


def _overlap(one: Place, other: Place, a: Place, b: Place) -> bool:
    """Tell whether two segments on one straight line share a point."""
    return all(
        max(min(one[axis], other[axis]), min(a[axis], b[axis]))
        <= min(max(one[axis], other[axis]), max(a[axis], b[axis]))
        for axis in (0, 1)
    )


# --- walkers --------------------------------------------------------------------------------------


def place_at(walk: Sequence[Step], now_us: int, *, again: bool) -> Place:
    """Return where a walker is: straight from step to step, still before and after all of them.

    With `again` the walk repeats from its first step when the last one is reached; a walk that
    does not end where it began jumps there.
    """
    now_s = now_us / SECOND
    first, last = walk[0], walk[-1]
    if again and now_s > first.at_s and last.at_s > first.at_s:
        now_s = first.at_s + (now_s - first.at_s) % (last.at_s - first.at_s)
    if now_s <= first.at_s:
        return first.x_m, first.y_m
    for here, there in pairwise(walk):
        if now_s < there.at_s:
            share = (now_s - here.at_s) / (there.at_s - here.at_s)
            x_m = here.x_m + share * (there.x_m - here.x_m)
            return x_m, here.y_m + share * (there.y_m - here.y_m)
    return last.x_m, last.y_m


class Walker:
    """Moves one host along its walk, a step of virtual time after the other, until it is over.

    `at` is the world's; `move` is told each new place. Nothing is scheduled before `begin`.
    """

    __slots__ = ("_again", "_at", "_every_us", "_move", "_walk")

    def __init__(
        self,
        walk: Sequence[Step],
        at: Callable[[int, Callable[[], None]], None],
        move: Callable[[Place], None],
        *,
        again: bool = True,
        every_us: int = SECOND,
    ) -> None:
        self._walk = tuple(walk)
        self._at = at
        self._move = move
        self._again = again
        self._every_us = every_us

    def begin(self, now_us: int) -> None:
        """Stand where the walk says, and go on from there."""
        self._step(now_us)

    def _step(self, now_us: int) -> None:
        self._move(place_at(self._walk, now_us, again=self._again))
        following = now_us + self._every_us
        first_us, last_us = (round(step.at_s * SECOND) for step in (self._walk[0], self._walk[-1]))
        if now_us < first_us:
            following = max(following, first_us)
        if last_us == first_us or (now_us >= last_us and not self._again):
            return
        self._at(following, lambda: self._step(following))
