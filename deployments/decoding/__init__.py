"""What callers send, taken apart in processes of their own: bounded in memory, time and turns."""
