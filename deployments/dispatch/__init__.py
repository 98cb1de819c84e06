"""From a paired job to two sets: which replica makes what, and what happens when one fails."""
