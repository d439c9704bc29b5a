"""What the publisher does without any broker; tests/interop/test_mosquitto.py has a real one."""

import asyncio
import sys
from random import Random

import pytest
from aiomqtt import MqttError
from daemons.fake_host import snapshot

from meshd.config.values import MqttConfig
from meshd.status.mqtt import Pace, cause_of, publish


def problems(broker: MqttConfig, count: int) -> list:
    """Run the publisher until it told `count` problems."""
    told: list = []

    async def main():
        def on_problem(problem):
            told.append(problem)
            if len(told) == count:
                task.cancel()

        pace = Pace(retry_first_s=0.001, retry_max_s=0.002)
        task = asyncio.create_task(
            publish(broker, snapshot, on_problem=on_problem, pace=pace, rng=Random(1))
        )
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    return told


def test_missing_library_is_a_problem(monkeypatch):
    monkeypatch.setitem(sys.modules, "aiomqtt", None)
    assert problems(MqttConfig("localhost"), 1)[0].code == "mqtt-missing"


def test_bad_certificates_are_a_problem_with_a_remedy(tmp_path):
    (tmp_path / "ca.pem").write_text("nonsense")
    for name in ("ca.pem", "none.pem"):
        (problem,) = problems(MqttConfig("localhost", 1, True, ca_file=str(tmp_path / name)), 1)
        assert problem.code == "mqtt-credentials" and "ca_file" in problem.remedy


def test_one_warning_for_one_state_however_often_it_is_tried(caplog, tmp_path):
    broker = MqttConfig("localhost", username="a", password_file=str(tmp_path / "none"))
    told = problems(broker, 5)
    assert {problem.code for problem in told} == {"mqtt-credentials"}
    assert caplog.text.count("correct password_file") == 1


def test_what_the_library_says_of_its_own_messages_is_said_for_people():
    assert cause_of(MqttError("Disconnected during message iteration")) == "it ended the connection"
    assert cause_of(MqttError("Connection refused")) == "Connection refused"
