"""Policies against the least possible makespan, over suites of simulated clusters.

    python -m benchmarks.scheduling                       # all policies and suites, 200 seeds
    python -m benchmarks.scheduling --seeds 20 --suites design drift --policies hrfs static
    python -m benchmarks.scheduling --plot scheduling.png

The figures are makespan / C* (1 is the best possible) and the mean spread of the population,
leader minus last, in iterations. C* is that of a schedule that knows the spec and moves trials
for nothing (:func:`hrfs.simulator.bound.clairvoyant_bound_s`). All is drawn from the seeds, so
the same command prints the same figures on any machine.
"""
