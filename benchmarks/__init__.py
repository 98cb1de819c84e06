"""Measurements that decide something: each prints a table with a conclusion, and can write JSON."""
