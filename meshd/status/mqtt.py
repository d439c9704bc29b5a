"""Publish a node's status to an MQTT broker, and keep the connection.

Enters: a broker, a function that takes a snapshot. Leaves: retained topics, and a Problem while the
broker does not take them. The will says `offline` when this process dies; a clean stop says so
itself, because a broker sends no will after a clean disconnect. Ref: docs/mqtt.md.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple, Protocol

from meshd.core.snapshot import NodeSnapshot, Problem
from meshd.status import payload

if TYPE_CHECKING:
    from ssl import SSLContext

    import aiomqtt

_LOG = logging.getLogger("meshd.mqtt")
_GOODBYE_S = 2.0
_STOP_S = 4.0
_ANSWER_S = 3.5
"""How long one call waits for the broker: aiomqtt's own ten seconds could outlast a stop."""
_JITTER = 0.1
_REFUSED = {4, 5, 134, 135}
"""Codes of CONNACK that mean: wrong name or password, or not allowed (MQTT 3.1.1 and 5)."""


class Broker(Protocol):
    """Where to publish. `password_file` holds the password in its first line."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def tls(self) -> bool: ...
    @property
    def username(self) -> str | None: ...
    @property
    def password_file(self) -> str | None: ...
    @property
    def ca_file(self) -> str | None: ...


class Pace(NamedTuple):
    """How often: all is sent every `every_s`, a change after `check_s`."""

    every_s: float = 60.0
    check_s: float = 5.0
    keepalive_s: int = 30
    retry_first_s: float = 1.0
    retry_max_s: float = 30.0


USUAL_PACE = Pace()


async def publish(
    broker: Broker,
    take_snapshot: Callable[[], NodeSnapshot],
    *,
    on_problem: Callable[[Problem | None], None] = lambda problem: None,
    pace: Pace = USUAL_PACE,
    rng: Random | None = None,
) -> None:
    """Publish until cancelled, reconnecting for ever; then say `offline` and disconnect.

    `on_problem` is told what is wrong, and None once it works again.
    """
    publisher = _Publisher(broker, take_snapshot, on_problem, pace, rng or Random())
    task = asyncio.create_task(publisher.run())
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        for _ in range(2):  # a cancellation that meets the end of a wait can be swallowed
            task.cancel()
            if (await asyncio.wait({task}, timeout=_STOP_S))[0]:
                break
        raise


class _Publisher:
    """One broker: the connection, and what was last published on it."""

    def __init__(
        self,
        broker: Broker,
        take_snapshot: Callable[[], NodeSnapshot],
        on_problem: Callable[[Problem | None], None],
        pace: Pace,
        rng: Random,
    ) -> None:
        self._broker = broker
        self._where = f"mqtt broker {broker.host}:{broker.port}"
        self._take_snapshot = take_snapshot
        self._on_problem = on_problem
        self._pace = pace
        self._rng = rng
        self._retry_s = pace.retry_first_s
        self._problem: Problem | None = None
        self._connected_at: float | None = None
        self._sent: dict[str, tuple[float, payload.Json]] = {}

    async def run(self) -> None:
        """Connect again and again, waiting longer each time that it does not last."""
        while True:
            self._connected_at = None
            problem = await self._connection()
            if self._connected_at is not None and monotonic() - self._connected_at > self._retry_s:
                self._retry_s = self._pace.retry_first_s
            self._report(problem)
            await asyncio.sleep(self._jittered(self._retry_s))
            self._retry_s = min(2 * self._retry_s, self._pace.retry_max_s)

    async def _connection(self) -> Problem:
        """Serve one connection to its end; return why it ended."""
        try:
            import aiomqtt
        except ImportError:
            return Problem(
                "mqtt-missing", "aiomqtt is not installed", "pip install 'aiomqtt>=2.5.1,<3'"
            )
        try:
            client = self._client(self._take_snapshot())
        except OSError as error:
            return Problem(
                "mqtt-credentials",
                f"{self._where}: {error.filename or 'certificates'}: {error.strerror or error}",
                "correct password_file or ca_file under [mqtt], or the rights of that file",
            )
        try:
            async with client:
                self._up()
                await self._serve(client)
        except aiomqtt.MqttError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise asyncio.CancelledError from error
            return self._described(error)
        return Problem("mqtt-unreachable", f"{self._where}: closed", "see the broker's log")

    def _client(self, now: NodeSnapshot) -> "aiomqtt.Client":
        import aiomqtt

        broker = self._broker
        password, context = _password(broker.password_file), _tls(broker)
        will = aiomqtt.Will(payload.topic(now, "availability"), b"offline", qos=1, retain=True)
        return aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.username,
            password=password,
            identifier=f"meshd-{now.node}",
            will=will,
            keepalive=self._pace.keepalive_s,
            timeout=_ANSWER_S,
            tls_context=context,
        )

    async def _serve(self, client: "aiomqtt.Client") -> None:
        self._sent.clear()
        topic = payload.topic(self._take_snapshot(), "availability")
        lost = asyncio.create_task(_until_lost(client))
        try:
            await client.publish(topic, b"online", qos=1, retain=True)
            while True:
                await self._publish_due(client)
                done, _ = await asyncio.wait({lost}, timeout=self._pace.check_s)
                if done:
                    lost.result()
                    return
        except asyncio.CancelledError:
            await self._goodbye(client, topic)
            raise
        finally:
            lost.cancel()

    async def _goodbye(self, client: "aiomqtt.Client", topic: str) -> None:
        import aiomqtt

        client.timeout = _GOODBYE_S
        with suppress(aiomqtt.MqttError):
            await client.publish(topic, b"offline", qos=1, retain=True)

    async def _publish_due(self, client: "aiomqtt.Client") -> None:
        """Send what changed, and what was not sent for a while."""
        now, snapshot = monotonic(), self._take_snapshot()
        for name, build, qos, repeated in (
            ("info", payload.info, 1, False),
            ("state", payload.state, 0, True),
            ("neighbours", payload.neighbours, 0, True),
        ):
            built = build(snapshot)
            due, last = self._sent.get(name, (0.0, None))
            if last is None or (repeated and now >= due) or payload.changed(last, built):
                data = payload.encode(built)
                await client.publish(payload.topic(snapshot, name), data, qos=qos, retain=True)
                self._sent[name] = (now + self._jittered(self._pace.every_s), built)

    def _jittered(self, interval_s: float) -> float:
        return interval_s * self._rng.uniform(1 - _JITTER, 1 + _JITTER)

    # --- what is told -----------------------------------------------------------------------------

    def _up(self) -> None:
        self._connected_at = monotonic()
        _LOG.info("%s: connected", self._where)
        self._problem = None
        self._on_problem(None)

    def _report(self, problem: Problem) -> None:
        """Show the problem; log it when it is a new one."""
        if self._problem is None or self._problem.code != problem.code:
            _LOG.warning("%s; next: %s", problem.text, problem.remedy)
        self._problem = problem
        self._on_problem(problem)

    def _described(self, error: "aiomqtt.MqttError") -> Problem:
        code = getattr(error, "rc", None)
        number = getattr(code, "value", code)
        if self._connected_at is None and number in _REFUSED:
            return Problem(
                "mqtt-denied",
                f"{self._where} refuses this node: {error}",
                "correct username and password_file under [mqtt], or the broker's rights",
            )
        return Problem(
            "mqtt-unreachable",
            f"{self._where}: {cause_of(error)}",
            "is the broker running, and url under [mqtt] right? It is tried again by itself",
        )


def cause_of(error: "aiomqtt.MqttError") -> str:
    """Return what an error says to people: the library tells of its own messages."""
    text = str(error)
    return "it ended the connection" if text.startswith("Disconnected during") else text


async def _until_lost(client: "aiomqtt.Client") -> None:
    """Raise MqttError when the connection ends; nothing is subscribed, so nothing else comes."""
    async for _ in client.messages:
        pass


def _password(path: str | None) -> str | None:
    if path is None:
        return None
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.readline(4096).rstrip("\r\n")


def _tls(broker: Broker) -> "SSLContext | None":
    if not broker.tls:
        return None
    from ssl import create_default_context

    return create_default_context(cafile=broker.ca_file)
