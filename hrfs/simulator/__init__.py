"""Virtual time: the scheduling core driven without a cluster."""
