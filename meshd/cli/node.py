"""run, init, id, version, demo: the commands that need no daemon, or are it."""

import os
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from meshd import __version__
from meshd.cli.main import Command
from meshd.cli.output import argument, common, positive, show, talk
from meshd.core.errors import Exit, RequestError

if TYPE_CHECKING:
    from meshd.config.values import NodeConfig, RadioConfig
    from meshd.core.identity import Identity


def add_run(parser: ArgumentParser) -> Command:
    """Add the options of `meshd run`; they go before those of the file."""
    from meshd.config import values

    common(parser, json="what ends it as a JSON object on stdout; while it runs, `meshd status`")
    parser.add_argument(
        "--config", metavar="FILE", help="default: STATE_DIR/meshd.toml, if it exists"
    )
    parser.add_argument(
        "--interface",
        action="append",
        type=argument(values.parse_interface),
        metavar="NAME[:mesh|shared|wired]",
        help="an interface to use; may be given several times",
    )
    parser.add_argument(
        "--admit",
        action="append",
        type=argument(values.parse_admit),
        metavar="udp/PORT",
        help="a port of this host that the mesh may reach; may be given several times",
    )
    parser.add_argument(
        "--peer",
        action="append",
        type=argument(values.parse_peer),
        metavar="tcp://HOST:PORT",
        help="a node to connect to over any network; may be given several times",
    )
    parser.add_argument(
        "--radio",
        action="append",
        type=argument(values.parse_radio),
        metavar="PORT[:KIND]",
        help="a LoRa radio, with --region; may be given several times, replaces those of the file",
    )
    parser.add_argument("--region", metavar="NAME", help="whose law holds for --radio, as EU868")
    parser.add_argument(
        "--listen",
        type=argument(values.parse_listen),
        metavar="ADDRESS:PORT",
        help="default [::]:6697",
    )
    parser.add_argument(
        "--name", type=argument(values.parse_name), help="what people call this node"
    )
    parser.add_argument(
        "--leaf", action="store_true", help="sync with neighbours only, install no routes"
    )
    parser.add_argument(
        "--mqtt",
        type=argument(values.parse_broker),
        metavar="mqtt://HOST[:PORT]",
        help="a broker to publish this node's status to",
    )
    parser.add_argument("--log-level", choices=values.LOG_LEVELS)
    parser.add_argument(
        "--record",
        metavar="FILE",
        help="write every input to a new file, for `meshd replay`; it holds the device's KEYS",
    )
    parser.add_argument(
        "--record-max-mb", type=positive, metavar="MB", help="end the recording there; default 64"
    )
    return _run


def _run(options: Namespace) -> int:
    from meshd.runtime.daemon import run

    return run(configuration(options))


def configuration(options: Namespace) -> "NodeConfig":
    """Return the configuration of file and options together.

    Raises: ConfigError.
    """
    from dataclasses import replace

    from meshd.config.loader import load
    from meshd.config.paths import CONFIG_FILE, default_state_dir
    from meshd.config.values import MqttConfig, NodeConfig

    said = os.path.abspath(options.state_dir) if options.state_dir else None
    usual = os.path.join(said or default_state_dir(), CONFIG_FILE)
    file = options.config or (usual if os.path.exists(usual) else None)
    config = load(file) if file else NodeConfig(state_dir=default_state_dir())
    given = {
        "state_dir": said,
        "interfaces": _unique(options.interface, "--interface"),
        "radios": _radios(options),
        "admit": _unique(options.admit, "--admit"),
        "peers": _unique(options.peer, "--peer"),
        "listen": options.listen,
        "name": options.name,
        "leaf": options.leaf or None,
        "log_level": options.log_level,
        "record": os.path.abspath(options.record) if options.record else None,
        "record_mb_max": options.record_max_mb,
    }
    config = replace(config, **{key: value for key, value in given.items() if value is not None})
    if options.mqtt:
        host, port, tls = options.mqtt
        known = config.mqtt or MqttConfig(host)
        config = replace(config, mqtt=replace(known, host=host, port=port, tls=tls))
    return config


def _radios(options: Namespace) -> "tuple[RadioConfig, ...] | None":
    """Return the radios that options name, each as its region allows."""
    if not options.radio:
        if options.region:
            raise RequestError("--region is for --radio, and none is given", code=Exit.USAGE)
        return None
    from meshd.cli.regions import law_named, no_region
    from meshd.config.radio_plan import PlanError, clash, radio_config

    if not options.region:
        raise no_region("no region is chosen, so the radio would send nothing")
    region = law_named(options.region).region
    radios: list[RadioConfig] = []
    for port, kind in options.radio:
        try:
            table = {"port": os.path.abspath(port), "kind": kind, "region": region}
            one = radio_config(table)
            wrong = clash(one, radios)
        except PlanError as error:
            wrong = error
        if wrong is not None:
            remedy = "meshd radio set writes a radio with all its settings into the configuration"
            raise RequestError(f"--radio {port}: {wrong.text}", code=Exit.USAGE, remedy=remedy)
        radios.append(one)
    return tuple(radios)


def _unique(given: list[object] | None, option: str) -> tuple[object, ...] | None:
    """Return what an option was given as, refusing one thing twice."""
    if given is None:
        return None
    names = [getattr(item, "name", item) for item in given]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise RequestError(
                f"{option} {name} is given twice", code=Exit.USAGE, remedy="leave one of them out"
            )
    return tuple(given)


def add_init(parser: ArgumentParser) -> Command:
    """Add the options of `meshd init`."""
    common(parser)
    return _init


def _init(options: Namespace) -> int:
    from meshd.config.paths import CONTROL_GROUP, KEY_FILE, default_state_dir
    from meshd.runtime.statedir import open_state_dir, read_identity

    path = os.path.abspath(options.state_dir or default_state_dir())
    made = not os.path.lexists(os.path.join(path, KEY_FILE))
    if made:
        held = open_state_dir(path, group=CONTROL_GROUP)
        try:
            identity = held.identity()
        finally:
            held.close()
    else:
        identity = read_identity(path)
    value = {**_names(identity), "state_dir": path, "created": made}
    talk(f"{'made' if made else 'found'} the device key in {path}")
    show(options, "init", value, _id_text(value))
    return Exit.OK


def add_id(parser: ArgumentParser) -> Command:
    """Add the options of `meshd id`."""
    common(parser)
    return _id


def _id(options: Namespace) -> int:
    from meshd.cli.client import Client, state_dir

    path = state_dir(options.state_dir)
    try:
        with Client(path) as client:
            value = client.call("id")
    except RequestError as error:
        if error.code is not Exit.NOT_RUNNING:
            raise
        from meshd.runtime.statedir import read_identity

        value = _names(read_identity(path))
    show(options, "id", value, _id_text(value))
    return Exit.OK


def _names(identity: "Identity") -> dict[str, object]:
    from meshd.core.ids import OPEN_MESH_ID, address_text, encode_text, node_text

    return {
        "node": node_text(identity.node),
        "address": address_text(identity.address(OPEN_MESH_ID)),
        "mesh": encode_text(OPEN_MESH_ID),
    }


def _id_text(value: dict[str, object]) -> str:
    from meshd.core.ids import grouped

    return f"node     {grouped(str(value['node']))}\naddress  {value['address']}"


def add_version(parser: ArgumentParser) -> Command:
    """Add the options of `meshd version`."""
    common(parser)
    return _version


def _version(options: Namespace) -> int:
    import platform

    value: dict[str, object] = {"version": __version__, "python": platform.python_version()}
    show(options, "version", value, f"meshd {__version__} (Python {value['python']})")
    return Exit.OK


def add_demo(parser: ArgumentParser) -> Command:
    """Add the options of `meshd demo`."""
    common(parser, of_a_node=False)
    parser.add_argument("--once", action="store_true", help="exit after the story")
    parser.add_argument(
        "--leaf", action="store_true", help="play with leaves on the loopback, without namespaces"
    )
    return _demo


def _demo(options: Namespace) -> int:
    from meshd.lab.demo import main

    return main(options)
