"""A black-box Locust kit for the paired-sets service: it speaks HTTP and imports none of it."""
