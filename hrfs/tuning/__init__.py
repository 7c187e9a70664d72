"""The scheduling core on Ray Tune: one adapter, usable with or without our command line."""
