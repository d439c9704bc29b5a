"""Any plan that can be read is written back to text that reads the same; any text is answered."""

from hypothesis import given
from hypothesis import strategies as st

from meshd.core.errors import ConfigError
from meshd.simulation.plan import plan as values
from meshd.simulation.plan.file import dump, parse
from meshd.simulation.plan.uses import plain_fault

shares = st.floats(0, 1)
SIZE_M = 1e5
places = st.floats(0, SIZE_M)
times = st.floats(0.001, 1e5)
names = st.text("abcXYZ09-_", min_size=1, max_size=8)
titles = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=20)
terrains = st.builds(
    values.Terrain,
    width_m=st.floats(SIZE_M, 1e6),
    height_m=st.just(SIZE_M),
    loss_exponent=st.floats(1, 8),
    ridges=st.lists(
        st.builds(values.Ridge, places, places, places, places, st.floats(0, 200)), max_size=2
    ).map(tuple),
)
suns = st.builds(values.Sun, times, times, charge=shares)


@st.composite
def groups(draw, number):
    steps = sorted(draw(st.sets(st.floats(0, 1e5), max_size=3)))
    return values.NodeGroup(
        name=f"{draw(names)}x{number}x",
        count=draw(st.integers(1, 5)),
        media=draw(st.sampled_from(((), ("air",), ("air", "cable")))),
        layout=draw(st.sampled_from(values.LAYOUTS)),
        x_m=draw(st.none() | st.floats(50.0, SIZE_M - 50)),
        spread_m=draw(st.floats(0, 50)),
        walk=tuple(values.Step(at, draw(places), draw(places)) for at in steps),
        walk_again=draw(st.booleans()),
        sun=draw(st.none() | suns),
        wall_offset_s=draw(st.none() | places),
        relay_only=draw(st.booleans()),
    )


traffic = st.builds(
    values.Traffic,
    kind=st.sampled_from(values.TRAFFIC),
    nodes=st.just("*") | st.just("*x0x*"),
    every_s=st.floats(10_000, 1e5),
    size=st.integers(1, 1000),
    start_s=st.floats(0, 100),
    end_s=st.none() | st.floats(101, 200),
)
faults = st.builds(
    values.Fault,
    kind=st.sampled_from(values.IP_FAULTS),
    at_s=st.floats(0, 100),
    for_s=st.floats(0.1, 100),
    mode=st.sampled_from(values.PARTITIONS),
    share=shares,
    delay_s=times,
    disk=st.sampled_from(values.DISKS),
    behaviour=st.sampled_from(values.IP_BEHAVIOURS),
    count=st.integers(1, 100),
).map(plain_fault)


@st.composite
def plans(draw):
    return values.Plan(
        name=draw(names),
        title=draw(titles),
        duration_s=draw(st.floats(200, 1e7)),
        settle_s=draw(times),
        crypto=draw(st.sampled_from(("stand-in", "real"))),
        terrain=draw(terrains),
        media=(
            values.MediumPlan("air", "ip-radio", multicast_loss=draw(shares)),
            values.MediumPlan("cable", "wire", between=(("*", "*x0x*"),)),
        ),
        nodes=tuple(draw(groups(number)) for number in range(draw(st.integers(1, 3)))),
        traffic=tuple(draw(st.lists(traffic, max_size=2))),
        faults=tuple(draw(st.lists(faults, max_size=3))),
    )


@given(plans())
def test_written_plan_reads_the_same(plan):
    assert parse(dump(plan), "f") == plan


@given(st.text() | st.text('[]{}="\n,.#_ namednodesfaulttraffic0123'))
def test_any_text_is_a_plan_or_a_list_of_mistakes(text):
    try:
        parse(text, "f")
    except ConfigError as error:
        assert all(line.startswith("f:") for line in error.text.splitlines())
