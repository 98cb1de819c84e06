"""Who is let in: a bounded number of requests under way, fair between callers."""
