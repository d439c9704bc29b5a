"""One device on the air as another hears it, and each of its boots: keys, window, what is proven.

Enters: what `link/sources.py` found out. Leaves: the state it asks for. A device has one boot at a
time, unless its card was copied; a few are kept, so that both copies are heard.
"""

from meshd.core.ids import SHORT_LEN, node_id
from meshd.link.replay import WINDOW, Window
from meshd.link.seal import FrameKeys, LinkKey, sender_keys

SOURCES_MAX = 4
"""Boots of one device that are kept."""

CHALLENGE_EVERY_US = 6_000_000
CHALLENGE_DOUBLINGS_MAX = 9
"""A node is asked after 6 s again, then after 12, at last after an hour, while it is no news
what it answers: who plays recordings shall not make others spend their airtime."""

_LONG_AGO_US = -1 << 62


class Source:
    """One boot of one device. `signed` is the highest counter that its key has signed; `forged`:
    somebody else has sealed as this one.
    """

    __slots__ = (
        "_keys",
        "boot",
        "forged",
        "fresh",
        "node",
        "proven",
        "public",
        "salt",
        "signed",
        "window",
    )

    def __init__(self, public: bytes, boot: int, salt: bytes, counter: int) -> None:
        self.public = public
        self.node = node_id(public)
        self.boot = boot
        self.salt = salt
        self.window = Window(counter)
        self.signed = counter
        self.proven = self.fresh = self.forged = False
        self._keys: dict[bytes, FrameKeys] = {}

    def keys(self, link: LinkKey) -> FrameKeys:
        """Return this boot's keys under a link key."""
        known = self._keys.get(link.key)
        if known is None:
            known = sender_keys(link, public=self.public, boot=self.boot, salt=self.salt)
            self._keys[link.key] = known
        return known

    def forget_keys(self) -> None:
        """Forget keys of link keys that are gone."""
        self._keys.clear()

    def guesses(self, low: int) -> tuple[int, ...]:
        """Return the counters that these 16 bits may stand for, the likely one first.

        The second guess builds on what was signed: the first can be driven off by forged frames.
        """
        likely = self.window.nearest(low)
        sure = self.signed + (low - self.signed) % (1 << 16)
        return (likely,) if likely == sure else (likely, sure)

    def hear_signed(self, counter: int, tag: bytes) -> None:
        """A beacon says how far the counter is: ahead at once, never back."""
        self.signed = max(self.signed, counter)
        if counter > self.window.highest + WINDOW:
            self.window.reset(counter)
        else:
            self.window.take(counter, tag)

    def answer(self, counter: int, tag: bytes) -> bool:
        """A fresh answer says how far the counter is, back too. Return whether it was forged."""
        forged = self.window.highest > counter + WINDOW
        if forged:
            self.window.reset(counter)
        else:
            self.hear_signed(counter, tag)
        self.signed = counter
        self.proven = True
        return forged


class Device:
    """One key on the air. `wanted`: it should be challenged."""

    __slots__ = (
        *("_answers", "_asks", "asked_us", "heard_us", "met_us", "node", "nonce", "public"),
        *("short", "sources", "twin", "wanted"),
    )

    def __init__(self, public: bytes, now: int) -> None:
        self.public = public
        self.met_us = self.heard_us = now
        self.node = node_id(public)
        self.short = self.node[:SHORT_LEN]
        self.sources: list[Source] = []
        self.nonce: bytes | None = None
        self.asked_us = _LONG_AGO_US
        self.wanted = False
        self.twin = False
        self._answers: list[Source] = []
        self._asks = 0

    @property
    def proven(self) -> bool:
        """Tell whether any boot of it is proven."""
        return any(source.proven for source in self.sources)

    @property
    def trusted(self) -> bool:
        """Tell whether any boot of it is there now."""
        return any(source.proven or source.fresh for source in self.sources)

    def find(self, boot: int, salt: bytes) -> Source | None:
        """Return a boot that is known."""
        for source in self.sources:
            if (source.boot, source.salt) == (boot, salt):
                return source
        return None

    def newer(self, boot: int) -> bool:
        """Tell whether a boot is later than all that are known."""
        return all(boot > source.boot for source in self.sources)

    def take(self, source: Source, *, answered: bool) -> None:
        """Add a boot, the latest first; those before it must prove themselves anew.

        `answered`: it answered the challenge; so perhaps did others.
        """
        if source.proven:
            for other in self.sources:
                other.proven = answered and other in self._answers
        if len(self.sources) >= SOURCES_MAX:
            victim = next((one for one in reversed(self.sources) if not one.proven), None)
            self.sources.remove(victim or self.sources[-1])
        self.sources.insert(0, source)

    def ask(self, nonce: bytes, now: int) -> None:
        """A challenge goes out."""
        self.nonce = nonce
        self.asked_us = now
        self.wanted = False
        self._answers = []
        self._asks += 1

    def may_ask(self, now: int) -> bool:
        """Tell whether it should be challenged, and may be already."""
        doublings = min(max(self._asks - 1, 0), CHALLENGE_DOUBLINGS_MAX)
        return self.wanted and now >= self.asked_us + (CHALLENGE_EVERY_US << doublings)

    def news(self) -> None:
        """It showed something that no recording shows twice: ask soon again when there is need."""
        self._asks = 0

    def has_answered(self, source: Source | None) -> bool:
        """Tell whether a boot answered this challenge already: a second answer is a replay."""
        return source in self._answers

    def answered_by(self, source: Source) -> bool:
        """Note who answered the challenge; return whether two copies did.

        A boot that answers after a later one did is no restart between the two.
        """
        source.proven = True
        self.wanted = False
        twin = any(other is not source and other.boot >= source.boot for other in self._answers)
        if source not in self._answers:
            self._answers.append(source)
        return twin

    def forget_keys(self) -> None:
        """Forget keys of link keys that are gone."""
        for source in self.sources:
            source.forget_keys()
