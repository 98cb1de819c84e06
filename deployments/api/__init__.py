"""HTTP: from a request to an answer; knows nothing of Ray, only the protocols of `jobs.py`."""
