"""The sets of real articles, read. Judges nothing."""

import json
import tarfile


def lines(folder):
    """The records of a set, packed or not."""
    for path in folder.glob("*.jsonl"):
        yield from map(json.loads, path.read_text("utf-8").splitlines())
    for path in folder.glob("*.tar.xz"):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".jsonl"):
                    yield from map(json.loads, tar.extractfile(member).read().decode().splitlines())


def articles_of_march(corpus):
    """2 565 articles of one newspaper, March 2022."""
    return lines(next(corpus.glob("40-*")))
