"""Threads that work side by side stop together."""

import threading
import time

import pytest

from pipeline.stages.shift import Shift


def until_over(shift, seconds=20.0):
    """Work until the shift is over, or for so long; whether it was."""
    ends = time.monotonic() + seconds
    while not shift.over() and time.monotonic() < ends:
        time.sleep(0.01)
    return shift.over()


@pytest.mark.parametrize("place", [0, 1, 2])
def test_when_one_thread_fails_the_others_end(place):
    """Whichever it is: nobody works on for an hour beside a failure that nobody has heard of."""
    shift, ends = Shift(3600), []

    def fail():
        raise RuntimeError("the disk is full")

    calls = [lambda: ends.append(until_over(shift))] * 2
    with pytest.raises(RuntimeError, match="disk"):
        shift.work(3, [*calls[:place], fail, *calls[place:]])

    assert ends == [True, True]


def test_an_interruption_cuts_what_the_others_wait_for():
    """Who types Ctrl-C does not wait for a server that does not answer; a failure lets the others finish."""
    answered, cuts = threading.Event(), []

    def wait():
        assert answered.wait(20)

    def raise_(error):
        raise error

    def cut():
        cuts.append(1)
        answered.set()

    with pytest.raises(KeyboardInterrupt):
        Shift(3600, cut=cut).work(2, [wait, lambda: raise_(KeyboardInterrupt())])
    assert cuts == [1]
    with pytest.raises(RuntimeError):
        Shift(3600, cut=cut).work(2, [wait, lambda: raise_(RuntimeError())])
    assert cuts == [1]


def test_the_first_failure_is_told():
    """What follows from it, in threads that were called off, is not."""
    shift = Shift(3600)

    def follow():
        raise KeyError(until_over(shift))

    def fail():
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError):
        shift.work(2, [follow, fail])
