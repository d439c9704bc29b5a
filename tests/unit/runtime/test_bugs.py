"""What people are shown of an exception that nobody caught."""

import errno
import logging

from meshd.runtime.bugs import problem_of


def test_fault_is_named_and_logged_with_its_traceback(caplog):
    with caplog.at_level(logging.ERROR):
        kind, problem = problem_of({"message": "in a callback", "exception": KeyError("x")})
    assert kind == "bug" and "KeyError" in problem.text and "report" in problem.remedy
    assert caplog.records[0].exc_info and "in a callback" in caplog.text


def test_no_descriptor_left_is_no_fault_of_meshd():
    kind, problem = problem_of({"message": "accept", "exception": OSError(errno.EMFILE, "many")})
    assert kind == "descriptors" and "LimitNOFILE" in problem.remedy
