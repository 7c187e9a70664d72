"""The scheduling core: events in, decisions out.

Pure: it imports the standard library and numpy, and has no clock, file, environment, thread
or random state of its own. The same core drives a cluster and a simulator.
"""
