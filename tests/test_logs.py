"""The log in the home: bounded, whoever writes it."""

import logging

from pipeline import logs
from pipeline.settings import from_environment


def test_a_long_log_is_put_aside_once(tmp_path, monkeypatch):
    """What was written before stays in one older file; events go on in a new one."""
    monkeypatch.setattr(logs, "LOG_BYTES", 100)
    settings = from_environment({"VEILLE_HOME": str(tmp_path)})
    logger = logging.getLogger("pipeline")
    before, propagates = logger.handlers, logger.propagate
    logger.handlers = []
    try:
        for event in ("old " * 50, "new"):
            logs.configure(settings)
            logger.warning(event)
    finally:
        for handler in logger.handlers:
            handler.close()
        logger.handlers, logger.propagate = before, propagates

    assert (tmp_path / "veille.log").read_text().split()[-1] == "new"
    assert "old" in (tmp_path / "veille.log.1").read_text()
