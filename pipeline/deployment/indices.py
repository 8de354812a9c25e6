"""The search index as the stack needs it before anything else starts: there, and one that this Veille reads.

Does not judge what is in it: a document that the engine refused is no reason not to start.
"""

from pipeline.errors import VeilleError
from pipeline.runtime import Runtime
from pipeline.search import REBUILD
from pipeline.stages import index


def make(runtime: Runtime) -> bool:
    """Prepare the engine and make the index; return whether one was there that had to be made anew.

    It is made anew where its own error says so: an older Veille wrote it, or it is damaged. Searches of what
    it holds go on meanwhile. Raises ConfigError for an index of a newer Veille, Transient if the engine is
    not ready.
    """
    runtime.index.setup()
    try:
        index.ensure(runtime)
    except VeilleError as error:
        if error.hint != REBUILD:
            raise
        index.rebuild(runtime)
        return True
    return False
