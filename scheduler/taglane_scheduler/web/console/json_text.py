"""Reads what somebody typed as JSON, and says where a mistake is. Pure."""

from __future__ import annotations

import json
from typing import Any

from taglane.errors import BadParams
from taglane.model.params import check_params


def read_object(text: str) -> tuple[dict[str, Any] | None, str]:
    """Return the JSON object that a text is, an empty one for no text; or None, and what is wrong, with its place."""
    if not text.strip():
        return {}, ""
    try:
        return check_params(json.loads(text)), ""
    except json.JSONDecodeError as error:
        line = text.splitlines()[error.lineno - 1] if error.lineno <= len(text.splitlines()) else ""
        near = line[max(0, error.colno - 21) : error.colno + 20].strip()
        return None, f"line {error.lineno}, column {error.colno}: {error.msg}" + (f", near {near!r}" if near else "")
    except BadParams as error:
        return None, str(error)[:400]
    except (RecursionError, ValueError):
        return None, "it is nested too deep, or has a number that is too long"
