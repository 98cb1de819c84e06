"""What the embedded demo weights are worth: figures with bounds, and pictures to look at."""
