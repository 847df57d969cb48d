"""What the program says about itself: plain lines for people, JSON for machines."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

LOG_FORMATS = ("text", "json")
LOG_LEVELS = ("debug", "info", "warning", "error")


class JsonLines(logging.Formatter):
    """One JSON object a message, with ECS names."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the message as one line of JSON."""
        stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        entry = {
            "@timestamp": stamp.replace("+00:00", "Z"),
            "log.level": record.levelname.lower(),
            "log.logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["error.stack_trace"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def set_up_logs(log_format: str, level: str) -> None:
    """Send messages of *level* and above to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    plain = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")
    handler.setFormatter(JsonLines() if log_format == "json" else plain)
    logger = logging.getLogger("cloudfront_ecs")
    logger.handlers = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
    # It tells every request, and at DEBUG whole bodies; what matters our own messages say.
    logging.getLogger("elastic_transport").setLevel(logging.ERROR)
