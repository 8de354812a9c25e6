"""CPU work in processes that can be killed: reading pages and feeds without trusting them.

Does not fetch, store or decide anything. A child is `python -m pipeline.workers`; it gets tasks on its standard
input and answers on its standard output, each message a frame: two lengths (big-endian, 4 bytes each), then
that many bytes of JSON and of raw data. Nothing is unpickled, in either direction.
"""

import contextlib
import os
import queue
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import orjson

from pipeline import errors
from pipeline.errors import Permanent, Transient, Unparsable, VeilleError
from pipeline.model import Article, Claims, Feed

if TYPE_CHECKING:
    from pydantic import TypeAdapter
