"""Takes chunks from peers: each asked of one session, again of another when it does not come.

Enters: fetches to do, pieces, MISSING and OFFER of sessions, answers of the store. Leaves: ASK,
CANCEL, store queries, calls of the owner (`FetchOwner`). What is held already is not asked. Bytes
are believed when the store has verified them by name. Must not know: requests of people, quota.
"""

from functools import partial
from typing import Protocol

from meshd.core.context import Context
from meshd.core.drops import DropReason
from meshd.core.events import Answer, ChunkQuery, KeepQuery, PlaceQuery, UnsealQuery
from meshd.sync.files.catalogue import Manifest
from meshd.sync.files.jobs import Fetch, Job, State, Target
from meshd.sync.files.layout import plain_size
from meshd.sync.files.ports import FileSessions
from meshd.sync.reads import Reads
from meshd.wire.file_messages import Ask, Asked, Cancel, Offer, Piece

WINDOW_MAX = 12
"""Chunks of one file under way."""
WINDOW_ALL_MAX = 24
"""Chunks under way over all files; each file has two at least."""
ASKS_SESSION_MAX = 8
QUIET_US = 15_000_000
"""A session that sends no piece for so long is asked no more for these chunks, for now."""
RETRY_FIRST_US = 1_000_000
RETRY_LAST_US = 30_000_000
WRONG_MAX = 3
"""Chunks of wrong bytes after which a session is asked for nothing more."""


class FetchOwner(Protocol):
    """Who started the fetches."""

    def chunk_done(self, fetch: Fetch, address: int, now: int) -> None:
        """A chunk is held, and in place."""

    def fetch_done(self, fetch: Fetch, now: int) -> None:
        """All chunks are."""

    def fetch_failed(self, fetch: Fetch, why: str, now: int) -> None:
        """The store could not go on, or the file does not open with its key."""

    def fetch_starved(self, fetch: Fetch, now: int) -> None:
        """Nobody had anything within the fetch's patience."""

    def nobody_has(self, fetch: Fetch, now: int) -> None:
        """No session has what is wanted now."""

    def comes(self, fetch: Fetch, now: int) -> bool:
        """Tell whether a file comes by LoRa, where no session gives it."""

    def piece_came(self, fetch: Fetch, session: int, now: int) -> None:
        """A session gave a part of what is wanted."""


class Source:
    """One session as a giver: spaces it shares, requests under way."""

    __slots__ = ("asked", "moved_us", "session", "spaces", "wrong")

    def __init__(self, session: int) -> None:
        self.session = session
        self.spaces: set[bytes] = set()
        self.asked: dict[int, tuple[Fetch, Job]] = {}
        self.moved_us = 0
        self.wrong = 0


class Fetcher:
    """The taking side of `Files`."""

    def __init__(
        self, ctx: Context, sessions: FileSessions, reads: Reads, owner: FetchOwner
    ) -> None:
        self._ctx = ctx
        self._sessions = sessions
        self._reads = reads
        self._owner = owner
        self._sources: dict[int, Source] = {}
        self._fetches: dict[int, Fetch] = {}
        self._number = 0
        self._request = 0

    # --- fetches ----------------------------------------------------------------------------------

    def new(self, manifest: Manifest, target: Target | None = None, ticket: int = 0) -> Fetch:
        """Return a fetch that is not begun: into a person's `target`, or for a relay to keep."""
        self._number += 1
        return Fetch(self._number, manifest, target, ticket)

    def start(self, fetch: Fetch, now: int) -> None:
        """Begin to gather a file."""
        self._fetches[fetch.id] = fetch
        fetch.moved_us = now
        self._go_on(fetch, now)

    def stop(self, fetch: Fetch) -> None:
        """Give a fetch up; what came is kept."""
        if self._fetches.pop(fetch.id, None) is None:
            return
        self._ctx.timers.cancel(("files", "retry", fetch.id))
        for session, source in self._sources.items():
            ours = [request for request, (mine, _) in source.asked.items() if mine is fetch]
            for request in ours:
                del source.asked[request]
            if ours:
                self._sessions.send(session, Cancel(tuple(ours)).encode())
            self._rest(source)

    def look_again(self, space: bytes, root: bytes, now: int) -> None:
        """Chunks of a file have come by another way: look for what nobody gives."""
        for fetch in tuple(self._fetches.values()):
            if (fetch.manifest.space, fetch.manifest.clear.root) == (space, root):
                fetch.moved_us = now
                for job in [job for job in fetch.jobs.values() if job.state is State.WANTED]:
                    job.state = State.STORE
                    self._look(fetch, job)

    def retry(self, number: int, now: int) -> None:
        """Ask everybody again for what nobody had; give up when patience is over."""
        fetch = self._fetches.get(number)
        if fetch is None:
            return
        if fetch.patience_us is not None and now >= fetch.moved_us + fetch.patience_us:
            if fetch.patient and self._owner.comes(fetch, now):
                fetch.moved_us = now
        if fetch.patience_us is not None and now >= fetch.moved_us + fetch.patience_us:
            self.stop(fetch)
            self._owner.fetch_starved(fetch, now)
            return
        for job in fetch.jobs.values():
            job.missing.clear()
        fetch.lean.clear()
        self._pump(fetch, now)

    # --- sessions ---------------------------------------------------------------------------------

    def session_up(self, session: int, spaces: set[bytes], now: int) -> None:
        """Use a session for the spaces it shares."""
        source = self._sources.setdefault(session, Source(session))
        source.spaces |= spaces
        self._pump_all(now)

    def session_down(self, session: int, now: int) -> None:
        """Ask others for what was under way from a session."""
        source = self._sources.pop(session, None)
        if source is None:
            return
        self._ctx.timers.cancel(("files", "quiet", session))
        for _, job in source.asked.values():
            job.reset()
        for fetch in self._fetches.values():
            fetch.lean.discard(session)
            for job in fetch.jobs.values():
                job.missing.discard(session)
                job.offered.discard(session)
        self._pump_all(now)

    def room(self, now: int) -> None:
        """A session has room again: ask what could not be asked."""
        self._pump_all(now)

    def quiet(self, session: int, now: int) -> None:
        """Turn away from a session that sends nothing."""
        source = self._sources.get(session)
        if source is None or not source.asked:
            return
        if source.moved_us + QUIET_US > now:
            self._ctx.timers.set(("files", "quiet", session), source.moved_us + QUIET_US)
            return
        self._ctx.drop(DropReason.FILE_QUIET)
        self._sessions.send(session, Cancel(tuple(source.asked)).encode())
        for request in tuple(source.asked):
            self._lacks(source, request)
        self._pump_all(now)

    # --- messages ---------------------------------------------------------------------------------

    def missing(self, session: int, requests: tuple[int, ...], now: int) -> None:
        """A session lacks chunks."""
        source = self._sources[session]
        for request in requests:
            if request in source.asked:
                self._lacks(source, request)
            else:
                self._ctx.drop(DropReason.FILE_UNASKED)
        self._pump_all(now)

    def offer(self, session: int, message: Offer, now: int) -> None:
        """A session has got chunks that it lacked before."""
        for fetch in tuple(self._fetches.values()):
            clear = fetch.manifest.clear
            if (fetch.manifest.space, clear.root) == (message.space, message.root):
                for address in message.addresses:
                    if (job := fetch.jobs.get(address)) is not None:
                        job.missing.discard(session)
                        job.offered.add(session)
                self._pump(fetch, now)

    def held(self, session: int, space: bytes, roots: tuple[bytes, ...], now: int) -> None:
        """A session has whole files."""
        for fetch in tuple(self._fetches.values()):
            if fetch.manifest.space == space and fetch.manifest.clear.root in roots:
                fetch.lean.discard(session)
                for job in fetch.jobs.values():
                    job.missing.discard(session)
                self._pump(fetch, now)

    def piece(self, session: int, piece: Piece, data: bytes, now: int) -> None:
        """Take a piece of a chunk."""
        source = self._sources[session]
        found = source.asked.get(piece.request)
        if found is None:
            self._ctx.drop(DropReason.FILE_UNASKED)
            return
        fetch, job = found
        source.moved_us = now
        if piece.offset != job.received or job.received + len(data) > job.size:
            self._ctx.drop(DropReason.FILE_PIECE_UNFIT)
            self._sessions.send(session, Cancel((piece.request,)).encode())
            self._lacks(source, piece.request)
            self._pump(fetch, now)
            return
        job.parts.append(data)
        job.received += len(data)
        fetch.moved_us = now
        self._owner.piece_came(fetch, session, now)
        if job.received == job.size:
            del source.asked[piece.request]
            self._rest(source)
            self._keep(fetch, job, now)
            self._pump(fetch, now)

    # --- the way of one chunk ---------------------------------------------------------------------

    def _go_on(self, fetch: Fetch, now: int) -> None:
        """Begin further chunks within the window, each by asking the own store."""
        window = max(2, min(WINDOW_MAX, WINDOW_ALL_MAX // max(1, len(self._fetches))))
        while len(fetch.jobs) < window and (job := fetch.next_job()) is not None:
            self._look(fetch, job)

    def _look(self, fetch: Fetch, job: Job) -> None:
        """Ask the own store for a chunk."""
        then = partial(self._looked, fetch, job)
        if not job.is_index and fetch.target is not None:
            self._reads.ask(self._unseal(fetch, job), then)
        else:
            length = job.size if job.is_index else 0
            self._reads.ask(ChunkQuery(job.name, 0, length), then)

    def _looked(self, fetch: Fetch, job: Job, answer: Answer, why: str, now: int) -> None:
        """The own store held the chunk, or it is asked of others."""
        if fetch.id not in self._fetches:
            return
        if why:
            self._fail(fetch, why, now)
        elif isinstance(answer, int) and answer == plain_size(fetch.manifest.clear, job.address):
            self._done(fetch, job, now)
        elif isinstance(answer, tuple) and answer[0] == job.size:
            if job.is_index and isinstance(answer[1], bytes):
                fetch.take_index(job.address, answer[1])
            self._done(fetch, job, now)
        else:
            job.state = State.WANTED
            self._pump(fetch, now)

    def _keep(self, fetch: Fetch, job: Job, now: int) -> None:
        job.state = State.STORE
        parts, job.parts = tuple(job.parts), []
        if fetch.target is not None and not job.is_index:
            handle, key = fetch.target
            place = PlaceQuery(handle, key, job.address, job.name, parts)
            self._reads.ask(place, partial(self._placed, fetch, job))
            return
        data = b"".join(parts)
        if job.is_index:
            job.parts = [data]
        query = KeepQuery(job.name, data, durable=fetch.target is None)
        self._reads.ask(query, partial(self._kept, fetch, job))

    def _kept(self, fetch: Fetch, job: Job, answer: Answer, why: str, now: int) -> None:
        if fetch.id not in self._fetches:
            return
        if why:
            self._fail(fetch, why, now)
        elif answer is not True:
            self._wrong(fetch, job, now)
        else:
            if job.is_index:
                fetch.take_index(job.address, job.parts[0])
            self._done(fetch, job, now)

    def _placed(self, fetch: Fetch, job: Job, answer: Answer, why: str, now: int) -> None:
        if fetch.id not in self._fetches:
            return
        if why:
            self._fail(fetch, why, now)
        elif answer is False:
            self._wrong(fetch, job, now)
        elif answer != plain_size(fetch.manifest.clear, job.address):
            self._fail(fetch, f"chunk {job.address} does not open with the file's key", now)
        else:
            self._done(fetch, job, now)

    def _done(self, fetch: Fetch, job: Job, now: int) -> None:
        del fetch.jobs[job.address]
        fetch.moved_us = now
        fetch.pause_us = 0
        fetch.done += not job.is_index
        self._owner.chunk_done(fetch, job.address, now)
        if fetch.complete:
            self.stop(fetch)
            self._owner.fetch_done(fetch, now)
        else:
            self._go_on(fetch, now)

    def _fail(self, fetch: Fetch, why: str, now: int) -> None:
        self.stop(fetch)
        self._owner.fetch_failed(fetch, why, now)

    def _wrong(self, fetch: Fetch, job: Job, now: int) -> None:
        """Bytes that are not of the name: others are asked first, and soon only others."""
        self._ctx.drop(DropReason.FILE_WRONG_BYTES)
        job.reset()
        job.missing.add(job.session)
        job.offered.discard(job.session)
        source = self._sources.get(job.session)
        if source is not None:
            source.wrong += 1
        self._pump(fetch, now)

    def _unseal(self, fetch: Fetch, job: Job) -> UnsealQuery:
        assert fetch.target is not None
        return UnsealQuery(fetch.target.handle, fetch.target.key, job.address, job.name)

    # --- whom to ask ------------------------------------------------------------------------------

    def _pump_all(self, now: int) -> None:
        for fetch in tuple(self._fetches.values()):
            self._pump(fetch, now)

    def _pump(self, fetch: Fetch, now: int) -> None:
        """Ask for what is wanted; when nobody has it, say so and try again later."""
        asked: dict[int, list[Job]] = {}
        stuck = False
        for job in fetch.jobs.values():
            if job.state is not State.WANTED:
                continue
            able = self._able(fetch, job)
            source = _choose(fetch, job, able)
            if source is not None:
                self._assign(fetch, job, source)
                asked.setdefault(source.session, []).append(job)
            stuck = stuck or not able
        for session, jobs in asked.items():
            self._send_ask(fetch, self._sources[session], jobs, now)
        if stuck and self._ctx.timers.deadline(("files", "retry", fetch.id)) is None:
            self._starve(fetch, now)

    def _able(self, fetch: Fetch, job: Job) -> list[Source]:
        """Return the sessions that may have a chunk, busy ones too."""
        return [
            source
            for source in self._sources.values()
            if fetch.manifest.space in source.spaces
            and source.session not in job.missing
            and source.wrong < WRONG_MAX
        ]

    def _assign(self, fetch: Fetch, job: Job, source: Source) -> None:
        self._request = self._request % 0xFFFFFFFF + 1
        job.state = State.ASKED
        job.session, job.request = source.session, self._request
        source.asked[self._request] = (fetch, job)

    def _send_ask(self, fetch: Fetch, source: Source, jobs: list[Job], now: int) -> None:
        asked = tuple(Asked(job.request, job.address) for job in jobs)
        manifest = fetch.manifest
        message = Ask(manifest.space, manifest.clear.root, asked)
        if len(source.asked) == len(jobs):
            source.moved_us = now
            self._ctx.timers.set(("files", "quiet", source.session), now + QUIET_US)
        if not self._sessions.send(source.session, message.encode()):
            for job in jobs:
                del source.asked[job.request]
                job.reset()
            self._rest(source)

    def _starve(self, fetch: Fetch, now: int) -> None:
        pause = min(RETRY_LAST_US, max(RETRY_FIRST_US, 2 * fetch.pause_us))
        fetch.pause_us = pause
        until = now + pause
        if fetch.patience_us is not None:
            until = max(now + 1, min(until, fetch.moved_us + fetch.patience_us))
        self._ctx.timers.set(("files", "retry", fetch.id), until)
        self._owner.nobody_has(fetch, now)

    def _lacks(self, source: Source, request: int) -> None:
        fetch, job = source.asked.pop(request)
        job.reset()
        job.missing.add(source.session)
        job.offered.discard(source.session)
        fetch.lean.add(source.session)
        self._rest(source)

    def _rest(self, source: Source) -> None:
        if not source.asked:
            self._ctx.timers.cancel(("files", "quiet", source.session))


def _choose(fetch: Fetch, job: Job, able: list[Source]) -> Source | None:
    """Return whom to ask: who offered it, else who lacked nothing so far, the least busy first."""
    offering = [source for source in able if source.session in job.offered]
    whole = [source for source in able if source.session not in fetch.lean]
    best = offering or whole or able
    free = [source for source in best if len(source.asked) < ASKS_SESSION_MAX]
    return min(free, key=lambda source: len(source.asked), default=None)
