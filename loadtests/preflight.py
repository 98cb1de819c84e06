"""Asks before a run whether there is somebody to test."""

from __future__ import annotations

import urllib.error
from http.client import HTTPException

from loadtests.options import Options
from loadtests.replicas import fetch

NO_KEY = (401, 403)


def objection(host: str, options: Options) -> str:
    """Return why a run would say nothing of a service, as a sentence; empty where it may begin.

    Whatever answers is worth testing, also slowly or wrongly: that is for the run to show.
    """
    try:
        fetch(f"{host.rstrip('/')}/v1/models", options.headers())
    except urllib.error.HTTPError as error:
        if error.code not in NO_KEY:
            return ""
        given = "the API key is not known there" if options.api_key else "it asks for an API key"
        return f"{host} answers {error.code}: {given}; set TWINSET_API_KEY"
    except TimeoutError:
        return ""
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            return ""
        return f"nobody answers at {host} ({reason}): start the service, or set --host (HOST=)"
    return ""
