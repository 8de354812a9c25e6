"""How much goes into a request: what is too large or too slow is found alone, in nobody's way for long."""

from dataclasses import dataclass

from pipeline.search.elasticsearch.portion import MOST, MOST_BYTES, Portion


@dataclass(frozen=True)
class Part:
    size: int


def test_a_full_request_is_full_by_number_or_by_size():
    portion = Portion()
    assert len(portion.of([Part(10)] * 1000, 0)) == MOST
    assert len(portion.of([Part(10)] * 1000, 900)) == 100
    assert len(portion.of([Part(MOST_BYTES // 4)] * 10, 0)) == 4


def test_what_is_larger_than_a_request_goes_alone():
    parts = [Part(10), Part(5 * MOST_BYTES), Part(10)]
    assert [list(Portion().of(parts, at)) for at in range(3)] == [[parts[0]], [parts[1]], [parts[2]]]


def test_what_fails_is_found_alone():
    """Whatever its size, and wherever it stands, in as many steps as halving takes."""
    for poison in (Part(1), Part(50), Part(3 * MOST_BYTES)):
        for at in (0, 250, 499):
            parts = [Part(50)] * 500
            parts[at] = poison
            portion, sent, failed = Portion(), 0, 0
            while True:
                batch = portion.of(parts, sent)
                if all(part is not poison for part in batch):
                    portion.was_right()
                    sent += len(batch)
                    continue
                failed += 1
                portion.was_too_much(batch)
                assert failed <= 30
                if len(batch) == 1:
                    break
            assert sent == at


def test_what_works_is_soon_sent_in_full_again():
    portion = Portion()
    for _ in range(20):
        portion.was_too_much(portion.of([Part(1000)] * 500, 0))
    assert len(portion.of([Part(1000)] * 500, 0)) == 1
    for _ in range(40):
        portion.was_right()
    assert len(portion.of([Part(1000)] * 500, 0)) == MOST
