"""What must hold of the membership models, as functions of steps, one for each rule.

They raise AssertionError. Hypothesis chooses the steps; the mutants are held against the same.
"""

from models.forks import exchange, vector
from models.history import below, pasts
from models.membership import grants, precedence
from models.partitions import World, pick, removals
from models.records import Admit, Head, Invite, Note, Post, Rank, Recover, Remove, Rotate
from models.replica import Replica, heads, write
from models.rotation import epochs, readers, removed, sealed_to, write_epoch
from models.validity import view


def play(steps, **how):
    """Return a world after some steps."""
    world = World(**how)
    for step in steps:
        world.step(*step)
    return world


def nothing_applied_is_un_applied(steps):
    """No member ever un-applies what was written or who was let in."""
    world = play(steps)
    world.meet()
    assert not world.shrunk, world.shrunk


def order_changes_nothing(steps, random):
    """A function of the records alone; somebody without a seat takes them one by one."""
    world = play(steps)
    world.meet()
    entries = sorted(world.final().entries, key=lambda entry: entry.name)
    random.shuffle(entries)
    observer = Replica("observer")
    for entry in entries:
        observer.take({entry})
    assert observer.applied == world.final().valid
    assert all(replica.applied == observer.applied for replica in world.replicas.values())
    assert observer.view.seats == world.final().seats


def fixed_point_is_the_least(steps):
    """Each entry above a pin that is valid leads, by closings, to one that is below."""
    world = play(steps)
    world.meet()
    seen = world.final()
    anchored = {e for e in seen.valid if not pinned(e, seen)}
    moved = True
    while moved:
        heads_named = [head for each in anchored for head in each.closing]
        more = {
            e
            for e in seen.valid - anchored
            if any(below(head, e, seen.entries) for head in heads_named)
        }
        anchored |= more
        moved = bool(more)
    assert all(e in anchored or e in seen.standing for e in seen.valid)


def pinned(entry, seen):
    """Tell whether a removal that stands names the feed of an entry and pins it below."""
    pins = [pin for each in seen.standing for pin in each.act.pins if pin.feed == entry.author]
    return bool(pins) and not all(below(pin, entry, seen.entries) for pin in pins)


def mutual_removal_removes_both(steps, one, two):
    """Equals that remove each other, neither knowing of the other's act, are both out."""
    world = World()
    for step in steps:
        if step[0] in ("post", "merge", "invite"):
            world.step(*step)
    ben, carl = world.replicas["ben"], world.replicas["carl"]
    for first, second in ((ben, carl), (carl, ben)):
        pins = heads(first.entries, second.key)
        person = {"ben": "Ben", "carl": "Carl"}[second.key] if one % 2 else ""
        world.give(first, {world.sign(first.key, first.entries, Remove(pins, person))})
    for number in range(two % 7):
        world.step("merge", number + one, number * two, 1)
    world.meet()
    for replica in world.replicas.values():
        assert not {"ben", "carl"} & replica.view.seats.keys()
        assert {"ben", "carl"} <= replica.view.gone.keys()
        assert {"anna", "dora", "eve"} <= replica.view.seats.keys()


def removed_device_writes_nothing(steps, theft, one):
    """All have the removal, then the thief signs what it likes and feigns what it likes.

    Nothing of it is ever valid, but that it can take those along who removed somebody.
    """
    world = play(steps)
    world.meet()
    target = pick(["ben", "carl", "dora"], one)
    able = [r for r in world.replicas.values() if r.is_member and r.key != target]
    if not able or target in world.final().forked or target not in world.final().seats:
        return
    remover = pick(able, one // 3)
    whole = world.final().person(target) if one % 2 else ""
    removal = world.sign(remover.key, remover.entries, Remove(heads_of(world, target), whole))
    world.give(remover, {removal})
    if removal not in remover.view.standing:
        return
    world.meet()
    before = world.final()
    thieves, forged = [target], []
    for _, _, two, three in theft:
        replica = pick(list(world.replicas.values()), two)
        entry = world.steal(replica, two, three, key=pick(thieves, two), hidden=removal)
        if entry is not None:
            forged.append(entry)
            thieves += [grants(entry)] * bool(grants(entry))
            assert entry not in replica.view.valid or entry in replica.view.standing
    world.meet()
    seen = world.final()
    assert not [e for e in forged if e in seen.valid and e not in seen.standing]
    removers = {before.person(each.author) for each in removals(before.entries | seen.valid)}
    lost = {who for key, who in before.seats.items() if key in seen.gone}
    assert lost <= removers, (lost, removers)
    assert {key for key in seen.seats if key in thieves} == set()


def heads_of(world, key):
    """Return the pins of a device, from all that was ever signed."""
    return heads(world.final().entries, key)


def recovery_wins(steps, theft, person):
    """A person's phrase outranks all their devices, whoever holds those."""
    world = World()
    for step in steps:
        if step[0] in ("post", "merge", "invite", "device"):
            world.step(*step)
    key = person.lower()
    pins = tuple(h for k in devices(world.start, person) for h in heads(world.start, k))
    home = world.replicas["eve"]
    act = Recover(f"{key}-new", pins)
    recovery = world.sign(f"!{person}", home.entries, act, alone=True)
    for _, _, two, three in theft:
        world.steal(pick(list(world.replicas.values()), two), two, three, key=key)
    others = [e for e in removals(world.created) if e != recovery]
    world.give(home, {recovery})
    world.meet()
    seen = world.final()
    assert key not in seen.seats
    mine = [e for e in others if e.author == key]
    assert not [e for e in mine if e in seen.standing and e not in pasts(seen.entries)[recovery]]
    assert act.device in seen.seats


def devices(entries, person):
    """Return the devices of a person in a set of entries."""
    return sorted(key for key, who in view(frozenset(entries)).seats.items() if who == person)


def founder_comes_back(steps, theft):
    """Whatever all others did, the founder's phrase gives the founder a seat and power."""
    world = play(steps)
    for _, one, two, three in theft:
        world.steal(pick(list(world.replicas.values()), one), two, three)
    home = world.replicas["eve"]
    pins = tuple(h for key in devices(home.entries, "Anna") for h in heads(home.entries, key))
    act = Recover("anna-new", pins)
    world.give(home, {world.sign("!Anna", home.entries, act, alone=True)})
    world.meet()
    seen = world.final()
    assert seen.seats.get("anna-new") == "Anna" and seen.rank("anna-new") is Rank.OWNER
    assert not {pin.feed for pin in pins} & seen.seats.keys()


def grinding_changes_nothing(steps, salts):
    """The same acts under other hashes have the same outcome."""
    plays = [play(steps, salts=(0,)), play(steps, salts=salts)]
    for world in plays:
        world.meet()
    outcomes = []
    for world in plays:
        seen = world.final()
        if seen.forked:  # which branch a thief goes on with, this play decides by name
            return
        verdicts = [
            (e.author, e.seq, type(e.act).__name__, e in seen.valid, e in seen.standing)
            for e in seen.entries
        ]
        using = write_epoch(seen)
        epoch = using and (using.author, using.seq)
        seats = sorted(seen.seats.items()), sorted(seen.gone), precedence(seen)
        outcomes.append((sorted(verdicts), seats, epoch))
    assert outcomes[0] == outcomes[1]


def forks_are_found(steps, lengths, key):
    """Two replicas that hold two branches find it by their heads alone, whoever else knows."""
    world = play([step for step in steps if step[0] in ("post", "merge")])
    one, other = split(world, key, lengths)
    assert vector(one.entries)[key].name != vector(other.entries)[key].name
    proofs = [p for p in exchange(one.entries, other.entries) if p.one.author == key]
    assert proofs and all(proof.holds() for proof in proofs)
    return world


def neither_branch_grows(steps, lengths, key):
    """All have the proof; what device and copy then sign on either branch is valid nowhere.

    What had been applied of both branches stays, everywhere.
    """
    world = forks_are_found(steps, lengths, key)
    world.meet()
    kept = {entry for entry in world.final().valid if entry.author == key}
    assert kept and not [entry for entry in world.final().held if entry.author == key]
    for end in heads(world.final().entries, key):
        known = upto(world.final().entries, end)
        more = world.sign(key, known, Post(), salt=9)
        world.give(world.replicas["carl"], {more})
        assert more in world.replicas["carl"].view.held
    world.meet()
    assert {e for e in world.final().valid if e.author == key} == kept
    assert not world.shrunk


def split(world, key, lengths):
    """Let a device and its copy write on from one place, each heard by another replica."""
    one, other = world.replicas["anna"], world.replicas["eve"]
    known = world.start | world.replicas[key].entries
    for number, (replica, count) in enumerate(zip((one, other), lengths, strict=True)):
        branch = known
        for _ in range(count):
            branch |= {world.sign(key, branch, Post(), salt=number)}
        world.give(replica, branch)
    return one, other


def upto(entries, end):
    """Return entries without those of one feed that are not below a head."""
    return frozenset(e for e in entries if e.author != end.feed or below(end, e, entries))


def removed_read_nothing_new(steps, theft):
    """Whoever is out, as a maker of an epoch knew, has its key by no way but a later maker's.

    And no key that is out for all reads what is written from then on.
    """
    world = play(steps)
    for _, one, two, three in theft:
        world.steal(pick(list(world.replicas.values()), one), two, three)
    world.meet()
    seen = world.final()
    for epoch in epochs(seen):
        then = view(pasts(seen.entries)[epoch] | {epoch})
        assert not sealed_to(epoch, seen) & removed(then)
    using = write_epoch(seen)
    can_read = readers(seen)
    assert using is None or not can_read[using] & removed(seen)
    for epoch in epochs(seen):
        later = [e for e in can_read if e == epoch or epoch in pasts(seen.entries)[e]]
        for key in can_read[epoch]:
            admitted = any(grants(e) == key for e in seen.valid)
            assert admitted or any(key in sealed_to(e, seen) for e in later)


def one_rotation_is_due_after_two_removals(steps, one):
    """Each new key reached the other's target; one more rotation ends it, for all."""
    world = World()
    for step in steps:
        if step[0] in ("post", "merge"):
            world.step(*step)
    ben, carl = world.replicas["ben"], world.replicas["carl"]
    targets = [("dora", "eve"), ("eve", "dora"), ("carl", "ben")][one % 3]
    for replica, target in zip((ben, carl), targets, strict=True):
        world.give(
            replica, {world.sign(replica.key, replica.entries, Remove(heads(world.start, target)))}
        )
    world.meet()
    assert write_epoch(world.final()) is None
    world.give(world.replicas["anna"], {world.sign("anna", world.final().entries, Rotate())})
    world.meet()
    seen = world.final()
    using = write_epoch(seen)
    assert using is not None and isinstance(using.act, Rotate)
    able = {k for k in seen.seats if seen.rank(k) >= Rank.READER}
    assert able <= readers(seen)[using] and not readers(seen)[using] & removed(seen)


def circle_saves_nothing():
    """Two that were removed together name each other's later entries."""
    world = World()
    ben, dora = world.replicas["ben"].entries, world.replicas["dora"].entries
    one = write("ben", ben, Post())
    other = write("dora", dora, Note(), closing=(Head("ben", 9, "not written yet"),))
    back = write("ben", ben | {one}, Note(), closing=(other.head,))
    pins = (Head("ben", 0, ""), Head("dora", 0, ""))
    removal = write("anna", world.start, Remove(pins))
    seen = view(world.start | {one, other, back, removal})
    assert {one, other, back} <= seen.held


def puppet_has_no_power():
    """Whom a removed device lets in afterwards can neither close its admission nor remove."""
    world = World()
    carl = world.replicas["carl"]
    removal = carl.write(Remove(heads(carl.entries, "ben")))
    links = [e for e in world.start if isinstance(e.act, Invite) and e.act.rank is Rank.ADMIN]
    guest = write("ben", world.start, Admit("P", "puppet", min(e.name for e in links)))
    known = world.start | {guest}
    closing = write("puppet", known, Note(), closing=(guest.head,))
    attack = write("puppet", known | {closing}, Remove(heads(known, "dora")))
    seen = view(known | {closing, attack, removal})
    assert seen.standing == [removal] and {guest, closing, attack} <= seen.held
    assert sorted(seen.seats) == ["anna", "carl", "dora", "eve"]
