"""One file a dialect: its routes, its fields, its answers."""
