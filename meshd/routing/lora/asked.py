"""What was asked of late over one LoRa radio, so that the same is not asked again too soon.

Enters: questions and time. Leaves: whether one may be asked now. Must not know: routes, frames.
Ref: docs/decisions/0010-lora-routes.md.
"""

from meshd.routing.lora.rules import Rules
from meshd.wire.lora_routes import Ask, Want

ASKED_MAX = 512
"""Questions of each kind that are remembered."""

ASK_NAME_AGAIN = 6
"""A name is asked for again after so many of `soon_us`."""

WANT_AGAIN = (8, 12, 24, 48, 96, 192, 384)
"""The same want goes on again after so many of `want_us`, ever more seldom, as it is asked.

It carries no count of hops: where it takes longer to everybody than until it goes on again, it
comes back to where it was and, were all pauses the same, would go round for ever.
"""

FLOOD_AFTER = 2
"""A want that was heard so often goes on everywhere, not only from who is farther to who is nearer:
the next hop that a node still believes in may be what was lost."""


class Asked:
    """The latest questions that this node asked, heard asked or passed on."""

    __slots__ = ("_asks", "_rules", "_wants")

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._asks: dict[Ask, int] = {}
        self._wants: dict[Want, tuple[int, int]] = {}

    @property
    def name_again_us(self) -> int:
        """How long the same name is not asked for again."""
        return ASK_NAME_AGAIN * self._rules.soon_us

    def may_ask(self, ask: Ask, now: int) -> bool:
        """Tell whether a name was not asked for of late, and note that it is."""
        asked_us = self._asks.get(ask)
        if asked_us is not None and now - asked_us < self.name_again_us:
            return False
        if len(self._asks) >= ASKED_MAX:
            self._asks.clear()
        self._asks[ask] = now
        return True

    def may_want(self, want: Want, now: int, *, nearer: bool = True) -> bool:
        """Tell whether a want is to go on, and note it; it did not of late.

        `nearer`: this node is nearer to whom it means than who asks, or asks itself.
        """
        again_us, times = self._wants.pop(want, (now, 0))
        if now < again_us:
            self._wants[want] = again_us, times
            return False
        if len(self._wants) >= ASKED_MAX:
            del self._wants[next(iter(self._wants))]
        pause_us = WANT_AGAIN[min(times, len(WANT_AGAIN) - 1)] * self._rules.want_us
        self._wants[want] = now + pause_us, times + 1
        return nearer or times >= FLOOD_AFTER
